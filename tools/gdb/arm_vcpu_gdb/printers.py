# SPDX-License-Identifier: Apache-2.0
"""Pretty-printers for the library's types."""
import gdb
import gdb.printing

from . import machine, tables, trace

# Register images, by type: their fields are in include/arm_vcpu/arch/register_fields*.def.
IMAGES = {"Hcr": "HCR_EL2", "Vtcr": "VTCR_EL2", "Vttbr": "VTTBR_EL2", "SctlrEl1": "SCTLR_EL1", "Cptr": "CPTR_EL2",
          "Mdcr": "MDCR_EL2", "Cnthctl": "CNTHCTL_EL2", "Hpfar": "HPFAR_EL2", "gic::IchLr": "ICH_LR<n>_EL2",
          "gic::IchHcr": "ICH_HCR_EL2", "gic::IchVmcr": "ICH_VMCR_EL2", "gic::IchVtr": "ICH_VTR_EL2"}


def alternative(reason: gdb.Value) -> tuple[str, gdb.Value]:
    """Name and value of what an AxVCpuExitReason holds."""
    variant = reason["value"]
    index = int(variant["_M_index"])
    union = variant["_M_u"]
    for _ in range(index):
        union = union["_M_rest"]
    name = machine.enum_name("arm_vcpu::ExitKind", index)
    return name, union["_M_first"]["_M_storage"]


def scalar(v: gdb.Value) -> str:
    kind = v.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_ENUM:
        return machine.enumerator(v)
    if kind.code == gdb.TYPE_CODE_BOOL:
        return "true" if v else "false"
    if kind.code == gdb.TYPE_CODE_INT:
        number = int(v)
        return str(number) if -10 < number < 10 else hex(number)
    if kind.code == gdb.TYPE_CODE_STRUCT and "_M_elems" in [f.name for f in kind.fields()]:
        return "{" + ", ".join(scalar(element) for element in machine.elements(v)) + "}"
    if kind.code == gdb.TYPE_CODE_STRUCT and kind.name == "arm_vcpu::Esr":
        return f"{int(v['raw']):#x}"
    return str(v)


def describe_reason(reason: gdb.Value) -> str:
    name, value = alternative(reason)
    parts = [f"{f.name}={scalar(value[f.name])}" for f in value.type.strip_typedefs().fields()]
    return f"{name}{{{', '.join(parts)}}}" if parts else name


class ExitReasonPrinter:
    def __init__(self, v):
        self._v = v

    def to_string(self):
        return describe_reason(self._v)


class ErrorPrinter:
    def __init__(self, v):
        self._v = v

    def to_string(self):
        name = machine.enumerator(self._v["code"])
        what, asked, has, fix = (tables.error_texts().get(name, []) + [""] * 4)[:4]
        numbers = [f"{label} {int(self._v[key])}" for label, key in ((asked, "asked"), (has, "has")) if label]
        return f"{name}: {what}" + (f" ({', '.join(numbers)})" if numbers else "") + (f"; {fix}" if fix else "")


class EsrPrinter:
    def __init__(self, v):
        self._raw = int(v["raw"])

    def to_string(self):
        return f"{self._raw:#x}: {tables.esr_brief(self._raw)}"


class SpsrPrinter:
    def __init__(self, v):
        self._raw = int(v["raw"])

    def to_string(self):
        return f"{self._raw:#x}: {tables.spsr_brief(self._raw)}"


class ImagePrinter:
    register = ""

    def __init__(self, v):
        self._raw = int(v["raw"])

    def to_string(self):
        return f"{self._raw:#x}: {tables.brief(self.register, self._raw)}"


def register_lines(gprs: list[int], columns: int = 4) -> list[str]:
    cells = [f"{f'x{n}':>3} {value:016x}" for n, value in enumerate(gprs)]
    return ["  ".join(cells[n:n + columns]) for n in range(0, len(cells), columns)]


class TrapFramePrinter:
    def __init__(self, v):
        self._v = v

    def to_string(self):
        v = self._v
        spsr = int(v["spsr"]["raw"])
        lines = [f"TrapFrame at {int(v.address):#x}" if v.address else "TrapFrame",
                 f" pc {int(v['elr']):016x}  spsr {spsr:#x} ({tables.spsr_brief(spsr)})  sp_el0 {int(v['sp_el0']):016x}"]
        return "\n".join(lines + register_lines([int(v["gpr"]["x"][n]) for n in range(31)]))


class GuestSystemRegistersPrinter:
    def __init__(self, v):
        self._v = v

    def to_string(self):
        lines = ["GuestSystemRegisters (of a bound vCPU its own are live on the CPU: 'vcpu VM.VCPU' reads them there)"]
        return "\n".join(lines + sysreg_lines({f.name.upper(): int(self._v[f.name]) for f in self._v.type.fields()}))


DECODED = {"HCR_EL2", "VTCR_EL2", "VTTBR_EL2", "CPTR_EL2", "MDCR_EL2", "CNTHCTL_EL2", "SCTLR_EL1", "TCR_EL1", "CPACR_EL1"}


def sysreg_lines(values: dict[str, int]) -> list[str]:
    lines = []
    for name, value in values.items():
        note = ""
        if name == "ESR_EL1" and value:
            note = tables.esr_brief(value)
        elif name == "SPSR_EL1":
            note = tables.spsr_brief(value)
        elif name in DECODED and tables.has_fields(name):
            note = tables.brief(name, value)
        lines.append(f"{name.lower():>15} {value:016x}" + (f"  {note}" if note else ""))
    return lines


class RecordPrinter:
    def __init__(self, v):
        self._v = v

    def to_string(self):
        record = trace.from_value(self._v)
        return f"#{record.sequence} {record.kind_name} vm{record.vm} vcpu{record.vcpu} pc {record.pc:#x} " \
               f"{trace.class_name(record)}: {trace.describe(record)}" + (f" [{record.outcome_name}]" if record.is_exit else "")


def build() -> gdb.printing.RegexpCollectionPrettyPrinter:
    collection = gdb.printing.RegexpCollectionPrettyPrinter("arm_vcpu")
    for name, printer in {"AxVCpuExitReason": ExitReasonPrinter, "Error": ErrorPrinter, "Esr": EsrPrinter,
                          "Spsr": SpsrPrinter, "TrapFrame": TrapFramePrinter, "trace::Record": RecordPrinter,
                          "GuestSystemRegisters": GuestSystemRegistersPrinter}.items():
        collection.add_printer(name, f"^arm_vcpu::{name}$", printer)
    for name, register in IMAGES.items():
        if tables.has_fields(register):
            collection.add_printer(name, f"^arm_vcpu::{name}$", type(name, (ImagePrinter,), {"register": register}))
    return collection
