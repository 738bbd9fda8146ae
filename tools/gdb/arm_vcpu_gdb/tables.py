# SPDX-License-Identifier: Apache-2.0
"""The library's .def tables, read where they are written: names and meanings have one home. Pure Python, no gdb."""
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[3] / "include" / "arm_vcpu"
FIELD_FILES = ["arch/register_fields.def", "arch/register_fields_gic.def", "arch/register_fields_iss.def"]


def rows(file: str, *macros: str):
    """(macro, arguments) of each line `MACRO(a, "b", ...)`; strings without their quotes."""
    text = (INCLUDE / file).read_text(encoding="utf-8")
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    for macro, body in re.findall(r"^\s*(VCPU_\w+)\(((?:[^()\"]|\"(?:[^\"\\]|\\.)*\"|\([^()]*\))*)\)", text, re.MULTILINE):
        if macro in macros:
            yield macro, [part.strip().strip('"') for part in re.findall(r'\s*("(?:[^"\\]|\\.)*"|[^,]+)', body)]


@lru_cache
def meanings(file: str, macro: str, value: int, text: int) -> dict[int, str]:
    return {int(row[value], 0): row[text] for _, row in rows(file, macro)}


def ec_meaning(ec: int) -> str:
    return meanings("arch/ec.def", "VCPU_EC", 0, 2).get(ec, f"reserved exception class {ec:#x}")


def fsc_meaning(fsc: int) -> str:
    return meanings("arch/fsc.def", "VCPU_FSC", 0, 4).get(fsc, f"reserved fault status {fsc:#x}")


@lru_cache
def fsc_kind(fsc: int) -> str:
    return meanings("arch/fsc.def", "VCPU_FSC", 0, 2).get(fsc, "reserved")


@lru_cache
def exit_meanings() -> dict[str, str]:
    return {row[0]: row[1] for _, row in rows("exit_reason.def", "VCPU_EXIT")}


@lru_cache
def error_texts() -> dict[str, list[str]]:
    return {row[0]: row[1:] for _, row in rows("errors.def", "VCPU_ERRC")}


@lru_cache
def system_registers() -> dict[tuple[int, ...], str]:
    return {tuple(int(n, 0) for n in row[1:6]): row[0] for _, row in rows("arch/sysreg_names.def", "VCPU_SYSREG")}


def sysreg_name(iss: int) -> str:
    """The register that an ISS of EC 0x18 names, or its generic name."""
    key = (iss >> 20 & 3, iss >> 14 & 7, iss >> 10 & 15, iss >> 1 & 15, iss >> 17 & 7)
    return system_registers().get(key, "S%d_%d_C%d_C%d_%d" % key)


@lru_cache
def _calls() -> dict[int, str]:
    """PSCI: VCPU_PSCI(name, number, 32-bit form, 64-bit form, ...)."""
    names = {}
    for _, row in rows("arch/psci.def", "VCPU_PSCI"):
        number = int(row[1], 0)
        if row[2] == "true":
            names[0x8400_0000 + number] = row[0]
        if row[3] == "true":
            names[0xC400_0000 + number] = row[0]
    names |= {0x8000_0000: "SMCCC_VERSION", 0x8000_0001: "SMCCC_ARCH_FEATURES", 0x8000_0002: "SMCCC_ARCH_SOC_ID",
              0x8000_8000: "SMCCC_ARCH_WORKAROUND_1", 0x8000_7FFF: "SMCCC_ARCH_WORKAROUND_2",
              0x8000_3FFF: "SMCCC_ARCH_WORKAROUND_3"}
    return names


def call_name(function: int) -> str:
    """A PSCI or SMCCC function ID in words; the owner of the range where it has no name."""
    name = _calls().get(function)
    if name:
        return f"{name} ({function:#x})"
    owners = ["Arm Architecture", "CPU Service", "SiP Service", "OEM Service", "Standard Secure Service",
              "Standard Hypervisor Service", "Vendor Specific Hypervisor Service"]
    if function < 0x8000_0000:
        return f"{function:#x}, no fast call of SMCCC"
    owner = function >> 24 & 0x3F
    return f"{function:#x} ({owners[owner] if owner < len(owners) else f'owner {owner}'}, no function of that number)"


@dataclass
class FieldRow:
    hi: int
    lo: int
    name: str
    kind: str
    meaning: str
    when: tuple[int, int, int] | None = None
    values: dict[int, str] = field(default_factory=dict)

    def of(self, raw: int) -> int:
        return raw >> self.lo & ((1 << (self.hi - self.lo + 1)) - 1)


@lru_cache
def _registers() -> dict[str, list[FieldRow]]:
    registers: dict[str, list[FieldRow]] = {}
    current: list[FieldRow] = []
    for file in FIELD_FILES:
        for macro, row in rows(file, "VCPU_REGISTER", "VCPU_FIELD", "VCPU_FIELD_WHEN", "VCPU_VALUE"):
            if macro == "VCPU_REGISTER":
                current = registers.setdefault(row[0], [])
            elif macro == "VCPU_VALUE":
                current[-1].values[int(row[0], 0)] = row[1]
            else:
                when = tuple(int(n, 0) for n in row[5:8]) if macro == "VCPU_FIELD_WHEN" else None
                current.append(FieldRow(int(row[0], 0), int(row[1], 0), row[2], row[3], row[4], when))
    return registers


def has_fields(register: str) -> bool:
    return register in _registers()


def fields(register: str, raw: int) -> list[tuple[FieldRow, int]]:
    """The fields that are there in `raw`, with their values."""
    present = []
    for row in _registers().get(register, []):
        if row.when and raw >> row.when[1] & ((1 << (row.when[0] - row.when[1] + 1)) - 1) != row.when[2]:
            continue
        present.append((row, row.of(raw)))
    return present


def brief(register: str, raw: int) -> str:
    """Flags that are 1 by name; other fields that are not 0 as NAME=value, with what the value means."""
    words = []
    for row, value in fields(register, raw):
        if row.hi == row.lo and row.kind == "flag":
            words += [row.name] if value else []
        elif value:
            text = row.values.get(value)
            shown = value << row.lo if row.kind == "address" else value
            words.append(f"{row.name}={shown:#x}" + (f" ({text})" if text else ""))
    return " ".join(words) or "no field set"


MODES = {0: "EL0t", 4: "EL1t", 5: "EL1h", 8: "EL2t", 9: "EL2h", 12: "EL3t", 13: "EL3h"}


def mode_name(spsr: int) -> str:
    if spsr & 0x10:
        return "AArch32"
    return MODES.get(spsr & 0xF, f"M={spsr & 0xF:#x}")


def spsr_brief(spsr: int) -> str:
    daif = "".join(c if spsr >> bit & 1 else "-" for c, bit in (("D", 9), ("A", 8), ("I", 7), ("F", 6)))
    nzcv = "".join(c if spsr >> bit & 1 else "-" for c, bit in (("N", 31), ("Z", 30), ("C", 29), ("V", 28)))
    more = [name for name, bit in (("TCO", 25), ("DIT", 24), ("UAO", 23), ("PAN", 22), ("SS", 21), ("IL", 20), ("SSBS", 12))
            if spsr >> bit & 1]
    btype = spsr >> 10 & 3
    return " ".join([mode_name(spsr), daif, nzcv, *more, *([f"BTYPE={btype}"] if btype else [])])


def iss_brief(esr: int) -> str:
    ec, iss = esr >> 26 & 0x3F, esr & 0x1FF_FFFF
    detail = {0x24: _data_abort, 0x25: _data_abort, 0x20: _instruction_abort, 0x21: _instruction_abort,
              0x18: _sysreg, 0x16: _immediate, 0x17: _immediate, 0x15: _immediate, 0x01: _wfx}.get(ec)
    return detail(iss) if detail else f"ISS {iss:#x}"


def esr_brief(esr: int) -> str:
    ec = esr >> 26 & 0x3F
    return f"EC {ec:#04x} {ec_meaning(ec)}, {iss_brief(esr)}"


def _data_abort(iss: int) -> str:
    words = ["write" if iss >> 6 & 1 else "read"]
    if iss >> 24 & 1:
        register = iss >> 16 & 31
        file = "x" if iss >> 15 & 1 else "w"
        words.append(f"of {1 << (iss >> 22 & 3)} bytes, {file}{'zr' if register == 31 else register}")
    else:
        words.append("without a valid instruction syndrome (ISV 0)")
    for bit, text in ((10, "FAR not valid"), (9, "EA"), (8, "cache maintenance"), (7, "on a stage-1 table walk")):
        words += [text] if iss >> bit & 1 else []
    return " ".join(words) + ": " + fsc_meaning(iss & 0x3F)


def _instruction_abort(iss: int) -> str:
    return ("on a stage-1 table walk: " if iss >> 7 & 1 else "") + fsc_meaning(iss & 0x3F)


def _sysreg(iss: int) -> str:
    register = iss >> 5 & 31
    xt = "xzr" if register == 31 else f"x{register}"
    return f"mrs {xt}, {sysreg_name(iss)}" if iss & 1 else f"msr {sysreg_name(iss)}, {xt}"


def _immediate(iss: int) -> str:
    return f"immediate {iss & 0xFFFF:#x}"


def _wfx(iss: int) -> str:
    return ["WFI", "WFE", "WFIT", "WFET"][iss & 3]
