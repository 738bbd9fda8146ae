# SPDX-License-Identifier: Apache-2.0
"""`./x bench --profile ROW`: each instruction of one exit, by function, with what is expensive on a real core marked; and of
the boot, how many each function took."""
import functools
import re
import subprocess
from collections import Counter
from pathlib import Path

from xlib import paths

from .rows import Run, Step

RAM_BASE = 0x4000_0000
DEFAULT_OFFSET = 0x20_0000  # where QEMU puts an Image whose text_offset is below 4096

# Kind, its letter in the listing, its instructions. Ordered: the first that matches counts.
KINDS = [
    ("GPRs", "G", None),  # saved or restored: by place, see _kind
    ("sysreg reads", "R", r"mrs\b"),
    ("PSTATE writes", "P", r"msr\s+(daif|spsel|pan|uao|ssbs|dit|tco)\w*\s*,\s*#"),
    ("sysreg writes", "W", r"msr\b"),
    ("barriers", "B", r"(dsb|dmb|isb|sb|csdb|ssbb|pssbb)\b"),
    ("cache/TLB/AT", "M", r"(tlbi|dc|ic|at|sysl?)\b"),
    ("atomics", "A", r"(ld[a]?x|st[l]?x|ldar|ldapr|stlr|cas|swp|ldadd|ldset|ldclr|ldeor)\w*\b"),
    ("loads/stores", "", r"(ld|st|prf)\w*\b"),
    ("branches", "", r"(b|bl|br|blr|ret|retaa|eret|cbn?z|tbn?z|b\.\w+)\b"),
    ("PAC/BTI", "", r"(pac|aut|xpac|bti)\w*\b"),
    ("other", "", r""),
]
NAMES = [name for name, _, _ in KINDS]
ENTRY_FILES = ("vectors.S",)


def image_base(image: Path) -> int:
    offset = int.from_bytes(image.read_bytes()[8:16], "little")
    return RAM_BASE + (offset if offset >= 4096 else DEFAULT_OFFSET)


def _places(elf: Path, addresses: list[int]) -> dict[int, list[tuple[str, str]]]:
    """(function, file:line) of each address, innermost first: inlined functions come before those they are in."""
    done = subprocess.run(["aarch64-linux-gnu-addr2line", "-a", "-f", "-i", "-C", "-e", str(elf)], text=True,
                          input="\n".join(map(hex, addresses)), capture_output=True, check=True)
    result: dict[int, list[tuple[str, str]]] = {}
    lines = iter(done.stdout.splitlines())
    here: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith("0x"):
            here = result[int(line, 16)] = []
        else:
            where = next(lines)
            where = re.sub(r" \(discriminator \d+\)", "", where)
            name, _, number = where.rpartition(":")
            short = re.sub(r"\(.*", "", line.replace("(anonymous namespace)::", "").replace("arm_vcpu::", ""))
            here.append((short, f"{Path(name).name}:{number}"))
    return result


def _kind(text: str, file: str) -> str:
    in_entry = file.startswith(ENTRY_FILES)
    # x0 to x30 are the first 248 bytes of the context that SP points to.
    if in_entry and re.match(r"(stp|ldp|str|ldr)\s+x\d+, .*\[sp(, #0x[0-9a-f]{1,2})?\]$", text):
        return NAMES[0]
    return next(name for name, _, pattern in KINDS[1:] if re.match(pattern, text))


# The disassembler knows no name of these.
HINTS = {"hint #0x19": "paciasp", "hint #0x1d": "autiasp", "hint #0x22": "bti c", "hint #0x24": "bti j"}


@functools.cache
def _sources() -> dict[str, list[str]]:
    """Lines of the files whose instructions run at EL2, by file name."""
    found = {}
    for folder in ("hypervisor", "include", "lib"):
        for file in (paths.ROOT / folder).rglob("*"):
            if file.suffix in (".cpp", ".hpp", ".S"):
                found[file.name] = file.read_text(encoding="utf-8").splitlines()
    return found


class _Located:
    def __init__(self, step: Step, function: str, inlined: str, file: str, at_el2: bool):
        step.text = HINTS.get(step.text, step.text)
        self.step, self.function, self.inlined, self.file, self.at_el2 = step, function, inlined, file, at_el2
        self.kind = _kind(step.text, file) if at_el2 else "guest"

    def source(self) -> str:
        """The line of source; in an assembly file its comment, where it has one."""
        name, _, number = self.file.rpartition(":")
        file = _sources().get(name)
        if file is None or not number.isdigit():
            return ""
        line = file[int(number) - 1].strip()
        comment = line.partition("//")[2].strip()
        return comment if name.endswith(".S") and comment else line if not name.endswith(".S") else ""


def _locate(steps: list[Step], elf: Path, base: int) -> list[_Located]:
    size = max(1, elf.with_suffix(".img").stat().st_size)
    inside = sorted({step.address - base for step in steps if 0 <= step.address - base < size})
    places = _places(elf, inside)
    located = []
    for step in steps:
        offset = step.address - base
        if offset not in places:
            located.append(_Located(step, "(guest)", "", "", False))
            continue
        chain = places[offset]
        outer, file = chain[-1][0], chain[0][1]
        if outer == "??" or file.startswith(ENTRY_FILES):
            outer = file.partition(":")[0]
        located.append(_Located(step, outer, chain[0][0] if len(chain) > 1 else "", file, True))
    return located


def locate(run: Run, row: str) -> list[_Located]:
    return _locate(run.steps.get(row, []), paths.HYPERVISOR_ELF, image_base(paths.HYPERVISOR_IMAGE))


def totals(run: Run, row: str) -> dict[str, int]:
    """How many instructions of each kind the hypervisor executes for one operation."""
    counts = Counter(one.kind for one in locate(run, row) if one.at_el2)
    return {kind: counts[kind] for kind in NAMES if counts[kind]}


def path(run: Run, row: str) -> list[list[str]]:
    """The hypervisor's instructions in order: [function, letter of the kind, instruction, the line of source it is of]."""
    letters = {name: letter for name, letter, _ in KINDS}
    return [[one.function, letters[one.kind], re.sub(r"#0x4\w{7}\b", "...", one.step.text), one.source()]
            for one in locate(run, row) if one.at_el2]


def report(run: Run, row: str, title: str, listing: bool) -> str:
    located = locate(run, row)
    at_el2 = [one for one in located if one.at_el2]
    lines = [f"{row} ({title}): {len(located)} instructions, {len(at_el2)} of them at EL2", ""]
    by_function: dict[str, Counter] = {}
    for one in at_el2:
        by_function.setdefault(one.function, Counter())[one.kind] += 1
    shown = [name for name in NAMES if any(counts[name] for counts in by_function.values())]
    width = max([len(name) for name in by_function] + [12])
    lines.append(f"  {'function':<{width}}{'all':>6}" + "".join(f"{name:>{len(name) + 2}}" for name in shown))
    total: Counter = Counter()
    for function, counts in by_function.items():
        total += counts
        lines.append(_count_line(function, counts, shown, width))
    lines.append(_count_line("total", total, shown, width))
    if listing:
        lines += ["", *_listing(located)]
    return "\n".join(lines)


# What the boot is paid for, by function. Ordered: the first that matches counts.
BOOT = [
    ("guest RAM zeroed, so that no guest sees what was there, past the caches, which are off when it starts",
     r"hv::memory::zero"),
    ("what was put there cleaned to the point of coherency", r"hv::Vm::clean"),
    ("device tree and bundle: checked as a whole, then read", r"fdt_|structure_ends|hv::dt::|mem(chr|cmp)|str(n?len|n?cmp|r?chr)|hv::read_board|hv::find_|.*Bundle"),
    ("the image's bss, relocations and lines in caches", r"primary_start|.*boot\.S|hv_boot|hv_build"),
    ("EL2's own tables", r"hv::Stage1Map|hv::mmu|hv_.*map"),
    ("vCPUs, vGIC, stage 2, the guest's device tree", r"sanitise|Vgic|Aarch64VCpu|hw::|Stage2|.*GuestFdt|write_guest|hv::Vm|id_|memset|memcpy"),
]


def boot_functions(run: Run) -> Counter:
    """How many instructions each function took until the guest's first, on all CPUs."""
    base, size = image_base(paths.HYPERVISOR_IMAGE), paths.HYPERVISOR_IMAGE.stat().st_size
    places = _places(paths.HYPERVISOR_ELF, sorted({at - base for at in run.executed if 0 <= at - base < size}))
    counts: Counter = Counter()
    for address, count in run.executed.items():
        chain = places.get(address - base)
        outer = "(loader)" if chain is None else chain[-1][0]
        counts[chain[0][1].partition(":")[0] if chain and outer == "??" else outer] += count
    return counts


def boot_purposes(functions: Counter) -> dict[str, int]:
    counts = {purpose: 0 for purpose, _ in BOOT} | {"the rest: GIC, CPUs, console, placing the guest": 0}
    for name, count in functions.items():
        purpose = next((purpose for purpose, pattern in BOOT if re.match(pattern, name)), list(counts)[-1])
        counts[purpose] += count
    return counts


def boot_report(run: Run, title: str, listing: bool, least: int = 1000) -> str:
    """By purpose, and by function; functions below `least` instructions in one line."""
    functions = boot_functions(run)
    total = functions.total()
    width = max(len(purpose) for purpose in boot_purposes(functions))

    def line(name: str, count: int) -> str:
        return f"  {name[:width]:<{width}}{count:>10}{100 * count / total:>7.1f} %"

    lines = [f"boot ({title}): {total} instructions from reset to the guest's first, on all CPUs", "",
             *(line(purpose, count) for purpose, count in boot_purposes(functions).items())]
    if listing:
        big = [(name, count) for name, count in functions.most_common() if count >= least]
        rest = total - sum(count for _, count in big)
        lines += ["", *(line(name, count) for name, count in big), line(f"{len(functions) - len(big)} others, each below {least}", rest)]
    return "\n".join(lines)


def _count_line(name: str, counts: Counter, shown: list[str], width: int) -> str:
    return f"  {name:<{width}}{counts.total():>6}" + "".join(f"{counts[kind] or '-':>{len(kind) + 2}}" for kind in shown)


def _listing(located: list[_Located]) -> list[str]:
    letters = {name: letter for name, letter, _ in KINDS}
    marks = ", ".join(f"{letter} {name}" for name, letter, _ in KINDS if letter)
    lines = [f"  each instruction; {marks}"]
    several = len({one.step.cpu for one in located}) > 1
    before = None
    for one in located:
        if (one.step.cpu, one.function) != before:
            before = (one.step.cpu, one.function)
            lines.append(f"  {f'cpu {one.step.cpu}: ' if several else ''}{one.function}")
        origin = f"{one.file} {one.inlined}".strip()
        lines.append(f"    {letters.get(one.kind, ''):<2}{one.step.address:>10x}  {one.step.text:<44}{origin}".rstrip())
    return lines
