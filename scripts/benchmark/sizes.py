# SPDX-License-Identifier: Apache-2.0
"""`./x bench --sizes`: what the bytes of the image are for. Symbols by the source file that debug information gives them;
what no symbol covers is texts, relocations and the space between sections."""
import re
import subprocess
from collections import Counter
from pathlib import Path

from xlib import paths

# Component, the files that belong to it. Ordered: the first that matches counts.
COMPONENTS = [
    ("diagnosis: rules, explanations, names of registers",
     r"lib/trace/(diagnosis|explain)/|include/arm_vcpu/trace/(diagnosis|explain|stage1_walk|backtrace)|hypervisor/vm_doctor"
     r"|lib/arch/sysreg_id|lib/vm/stage2/stage2_text|include/arm_vcpu/vm/stage2_walk"),
    ("failures on purpose (./x fault)", r"hypervisor/simulate"),
    ("recorder", r"lib/trace/|include/arm_vcpu/trace/|hypervisor/trace_area"),
    ("emulator of loads and stores", r"lib/vcpu/emul|lib/arch/load_store|include/arm_vcpu/emulation|lib/el2/guest_access"),
    ("GICv2: model and driver", r"distributor_v2|gic_v2"),
    ("virtual GIC", r"lib/vm/vgic/|include/arm_vcpu/vm/vgic"),
    ("vCPU: world switch, exits, PSCI, debug, PMU, SVE", r"lib/(vcpu|el2)/|include/arm_vcpu/(vcpu|el2)"),
    ("stage 2", r"stage2"),
    ("guest: bundle, layout, device tree", r"lib/vm/guest/|include/arm_vcpu/vm/(bundle|guest|image|device_tree)"),
    ("devices", r"lib/vm/|include/arm_vcpu/vm/"),
    ("console and messages", r"hypervisor/(console|pl011|panic|verdict|semihosting)|lib/arch/text|include/arm_vcpu/text"),
    ("boot: board, memory, stage 1, GICv3, CPUs",
     r"hypervisor/(boot|board|device_tree|firmware|gic|guests|host_psci|main|memory|mmu|page_alloc|ranges|smp|stage1|per_cpu|layout|pauth|platform)"),
    ("VMs and their scheduling", r"hypervisor/"),
]
REST = "rest of the library"
KINDS = ("code", "constants", "data")
LIBFDT = "libfdt"


def _component(file: str) -> str:
    return next((name for name, pattern in COMPONENTS if re.search(pattern, file)), REST)


def _sections(elf: Path) -> dict[str, tuple[int, int, bool]]:
    """Address, size, and whether it is written, of what is loaded from the image."""
    done = subprocess.run(["aarch64-linux-gnu-readelf", "-SW", str(elf)], capture_output=True, text=True, check=True)
    found = re.findall(r"\] (\.\S+) +(\w+) +(\w+) \w+ (\w+) \w+ +(\w*A\w*) ", done.stdout)
    return {name: (int(address, 16), int(size, 16), name == ".data")
            for name, kind, address, size, _ in found if kind != "NOBITS"}


def by_component(elf: Path = paths.HYPERVISOR_ELF) -> dict[str, dict[str, int]]:
    """{component: {"code", "constants", "data"}}, the largest first."""
    sections = _sections(elf)
    done = subprocess.run(["aarch64-linux-gnu-nm", "-S", "-l", "-n", "--defined-only", str(elf)], capture_output=True, text=True,
                          check=True)
    result: dict[str, Counter] = {}
    covered: Counter = Counter()
    end = 0
    for line in done.stdout.splitlines():
        words, _, where = line.partition("\t")
        fields = words.split()
        if len(fields) != 4:
            continue
        address, size, name = int(fields[0], 16), int(fields[1], 16), fields[3]
        section = next((one for one, (at, bytes_, _) in sections.items() if at <= address < at + bytes_), None)
        size = min(size, max(0, address + size - end))  # two names of one place count once
        if section is None or size == 0:
            continue
        end = max(end, address + size)
        file = where.rpartition(":")[0].removeprefix(f"{paths.ROOT}/")
        component = LIBFDT if name.startswith("fdt_") else _component(file)
        kind = "code" if section == ".text" else "data" if sections[section][2] else "constants"
        result.setdefault(component, Counter())[kind] += size
        covered[section] += size
    loose = {name: size - covered[name] for name, (_, size, _) in sections.items()}
    result["texts and tables without a name"] = Counter(constants=loose.pop(".rodata"))
    result["relocations"] = Counter(constants=loose.pop(".rela.dyn"))
    result["alignment, headers"] = Counter(code=loose.pop(".text"), data=loose.pop(".data"), constants=sum(loose.values()))
    ordered = sorted(result.items(), key=lambda one: -one[1].total())
    return {name: {kind: counts[kind] for kind in KINDS} for name, counts in ordered}


def table(by: dict[str, dict[str, int]]) -> list[list[str]]:
    total = {kind: sum(counts[kind] for counts in by.values()) for kind in KINDS}
    return [[name, *(str(counts[kind] or "–") for kind in KINDS), str(sum(counts.values()))]
            for name, counts in [*by.items(), ("all", total)]]


def report() -> str:
    lines = [f"  {'bytes of the image':<52}{'code':>9}{'constants':>11}{'data':>9}{'all':>9}"]
    lines += [f"  {name:<52}{code:>9}{constants:>11}{data:>9}{total:>9}" for name, code, constants, data, total in table(by_component())]
    return "\n".join(lines)
