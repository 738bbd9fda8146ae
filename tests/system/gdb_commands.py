# SPDX-License-Identifier: Apache-2.0
"""The commands of tools/gdb, in EL2 and in the guest, against QEMU's own registers and memory. Argument: release or debug."""
import re
import sys

from gdb_session import EXITS, Part, Session, expect, monitor_words, printed
from harness import check, run

AT_SMC = ["break handle_smc64_exception", "continue", "vcpu", "vcpu 0.0", "p/x $ELR_EL2", "p/x $SPSR_EL2", "p/x $SP_EL1",
          "p/x $TTBR0_EL1", "p/x $VTTBR_EL2", "p/x $HCR_EL2", "exits 5", "why", "gbt", "bt", "delete"]
AT_MMIO = ["tbreak handle_data_abort", "continue", "why", "p/x $ESR_EL2", "p/x $HPFAR_EL2", "exits 3 --vcpu 0.0",
           "s2 0x9000018", "up", "p vcpu.exit_", "p vcpu.frame", "p vcpu.esr"]


IN_GUEST = ["hbreak guest::gic::init_cpu", "continue", "p $_el()", "p/x $pc", "p/x $sp", "p/x $x29", "vcpu", "vcpu 0.0",
            "gbt", "walk (long)$pc & ~7", "why", "exits 2", "x/1gx (long)$pc & ~7", "el2 print 'arm_vcpu::hv::(anonymous namespace)::g_vm_count'"]


def number(text: str, pattern: str, what: str) -> int:
    return int(expect(text, pattern, what).group(1), 16)


def test_at_smc(session: Part) -> None:
    table, one = session.of("vcpu"), session.of("vcpu 0.0")
    elr, spsr = printed(session.of("p/x $ELR_EL2")), printed(session.of("p/x $SPSR_EL2"))
    row = expect(table, r"^0\.0\* +on +0 +(\w+) +(0x\w+) +(\w+) +in EL2, handle_smc64_exception +<guest::call", "vcpu")
    check((row.group(1), int(row.group(2), 16), row.group(3)) == ("EL1h", elr, "smc64"), "vcpu: mode, PC or exit")
    check(number(one, r"^ pc ([0-9a-f]+)", "pc") == elr, "vcpu 0.0: the PC is not ELR_EL2")
    check(number(one, r"^ spsr 0x([0-9a-f]+): EL1h DAIF", "spsr") == spsr, "vcpu 0.0: SPSR_EL2")
    check(number(one, r"^ *sp_el1 ([0-9a-f]+)", "sp_el1") == printed(session.of("p/x $SP_EL1")), "vcpu 0.0: SP_EL1")
    for name in ("TTBR0_EL1", "VTTBR_EL2", "HCR_EL2"):
        ours = number(one, rf"^ *{name.lower()} ([0-9a-f]+)", name)
        check(ours == printed(session.of(f"p/x ${name}")), f"vcpu 0.0: {name} is {ours:#x}")
    expect(one, r"hcr_el2 \w+  .*\bTSC\b.*\bIMO\b", "HCR_EL2's fields")
    expect(one, r"^ x0 0000000084000000", "the function in x0")
    expect(session.of("exits 5"), rf"0\.0 +smc64 +open +0x0*{elr:x} <guest::call.*PSCI_VERSION \(0x84000000\)", "exits")
    check(len(re.findall(r"^ +0 +\d+ ", session.of("exits 5"), re.MULTILINE)) == 5, "exits 5: not five records")
    why = session.of("why")
    expect(why, r"x1 to x3: 0x0", "why")
    expect(why, r"the guest made an SMC: PSCI_VERSION \(0x84000000\)", "why")
    expect(why, r"it is being handled", "why")
    frames = re.findall(r"^#\d+ +0x\w+ <(.*?)>", session.of("gbt"), re.MULTILINE)
    check([f.split("+")[0] for f in frames[:4]] ==
          ["guest::call", "guest::has_hypervisor", "guest_main", "guest_start"], f"gbt: {frames}")
    expect(session.of("bt"), r"hypervisor_main", "bt of EL2")


def test_at_mmio(session: Part) -> None:
    why = session.of("why")
    hpfar, esr = printed(session.of("p/x $HPFAR_EL2")), printed(session.of("p/x $ESR_EL2"))
    page = (hpfar >> 4 & 0xFFFFFFFFFFF) << 12
    ipa = number(why, r"the guest (?:read from|wrote to) IPA (0x\w+)", "why")
    check(ipa & ~0xFFF == page, f"why: IPA {ipa:#x}, and HPFAR_EL2 has the page {page:#x}")
    expect(why, rf"ESR_EL2 {esr:#x}: EC 0x24 data abort", "why")
    expect(why, r"(pl011@9000000|GICD|GICR of vCPU 0)\+0x", "the device")
    expect(session.of("exits 3 --vcpu 0.0"), rf"data_abort_lower +open +0x\w+ .* at IPA {ipa:#x}", "exits --vcpu")
    expect(session.of("s2 0x9000018"), r"translation fault, level 3\n +an access exits; at this IPA: pl011@9000000\+0x18", "s2")


def test_in_guest(session: Part) -> None:
    check("= 1" in session.of("p $_el()"), "not stopped in the guest")
    pc = printed(session.of("p/x $pc"))
    row = expect(session.of("vcpu"), r"^0\.0\* +on +0 +EL1h +(0x\w+) +\w+ +the guest runs +<guest::gic::init_cpu", "vcpu")
    check(int(row.group(1), 16) == pc, "vcpu: the PC of a guest that runs")
    one = session.of("vcpu 0.0")
    expect(one, r"registers from the CPU's registers: the guest runs", "vcpu 0.0")
    check(number(one, r"^ sp ([0-9a-f]+) \(sp_el1\)", "sp") == printed(session.of("p/x $sp")), "vcpu 0.0: SP")
    check(number(one, r"\bx29 ([0-9a-f]+)", "x29") == printed(session.of("p/x $x29")), "vcpu 0.0: x29")
    frames = re.findall(r"^#\d+ +0x\w+ <(.*?)>", session.of("gbt"), re.MULTILINE)
    check([f.split("+")[0] for f in frames[:2]] == ["guest::gic::init_cpu", "guest_main"], f"gbt: {frames}")
    # What the walks end at holds what the CPU itself reads at the VA.
    walk = session.of("walk (long)$pc & ~7")
    expect(walk, r"L1 IPA 0x\w+ \(PA 0x\w+\): 0x\w+ table", "stage 1 of walk")
    expect(walk, r"-> 0x\w+ normal-wb EL1 r.x", "stage 1's result")
    expect(walk, r"-> 0x\w+ normal-wb rwx inner-shareable, 2048 KiB", "stage 2's result")
    seen = number(walk, r"memory there: 0x([0-9a-f]+)", "the memory")
    read = number(session.of("x/1gx (long)$pc & ~7"), r":\s+0x([0-9a-f]+)", "x")
    check(seen == read, f"walk ends at {seen:#x}, and the CPU reads {read:#x}")
    expect(session.of("el2 print 'arm_vcpu::hv::(anonymous namespace)::g_vm_count'"), r"= 1\b", "el2 print in the guest")


def test_memory(arguments: list[str]) -> None:
    """The descriptors and the memory that walk names, read by QEMU's monitor by physical address."""
    first = Session(arguments, ["break handle_smc64_exception", "continue", "walk 0x40081000"])
    text = first.results[2]
    places = [(int(at, 16), int(raw, 16)) for at, raw in re.findall(r"PA (0x\w+)\)?: (0x\w+)", text)]
    memory = expect(text, r"memory there: (0x\w+) at PA (0x\w+)", "the memory")
    places.append((int(memory.group(2), 16), int(memory.group(1), 16)))
    check(len(places) == 5, f"walk: two levels, two levels and the memory expected in:\n{text}")
    commands = ["break handle_smc64_exception", "continue"] + [f"monitor xp /1gx {at:#x}" for at, _ in places]
    second = Session(arguments, commands)
    for (at, raw), said in zip(places, second.results[2:], strict=True):
        check(monitor_words(said) == [raw], f"PA {at:#x}: walk says {raw:#x}, QEMU says {said}")


def test() -> None:
    arguments = [*EXITS, *(["--debug"] if sys.argv[1] == "debug" else [])]
    session = Session(arguments, [*AT_SMC, *AT_MMIO, *IN_GUEST])
    test_at_smc(session.part(AT_SMC))
    test_at_mmio(session.part(AT_MMIO))
    test_in_guest(session.part(IN_GUEST))
    test_memory(arguments)


run(test)
