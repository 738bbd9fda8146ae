# SPDX-License-Identifier: Apache-2.0
"""The exit recorder's rings in memory, and their records in words. The format is include/arm_vcpu/trace/record.hpp."""
import struct
from dataclasses import dataclass

import gdb

from . import machine, tables
from .machine import NotReady

HEADER = "arm_vcpu::hv::trace_area::(anonymous namespace)::g_header"
RECORD = struct.Struct("<6Q3I4B")
RING = struct.Struct("<4sI4Q")
RING_BYTES = 64
EXITS = 16  # kinds below are exits


@dataclass
class Record:
    time: int
    pc: int
    esr: int
    far: int
    hpfar: int
    data: int
    spsr: int
    duration: int
    sequence: int
    vm: int
    vcpu: int
    kind: int
    outcome: int
    cpu: int = 0
    address: int = 0
    is_open: bool = False  # a vCPU is still in this exit; the outcome is then what it will be if nothing else comes

    @property
    def is_exit(self) -> bool:
        return self.kind < EXITS

    @property
    def ec(self) -> int:
        return self.esr >> 26 & 0x3F

    @property
    def iss(self) -> int:
        return self.esr & 0x1FF_FFFF

    @property
    def ipa(self) -> int:
        """Of an abort: the page from HPFAR_EL2, the offset from FAR_EL2, but for a fault on a stage-1 walk."""
        page = (self.hpfar >> 4 & 0xFFF_FFFF_FFFF) << 12
        return page if self.iss >> 7 & 1 else page | self.far & 0xFFF

    @property
    def kind_name(self) -> str:
        return machine.enum_name("arm_vcpu::trace::Kind", self.kind)

    @property
    def outcome_name(self) -> str:
        name = machine.enum_name("arm_vcpu::trace::Outcome", self.outcome)
        return "open" if self.is_open and name == "handled" else name


def from_value(v: gdb.Value) -> Record:
    names = ["time", "pc", "esr", "far", "hpfar", "data", "spsr", "duration", "sequence", "vm", "vcpu", "kind", "outcome"]
    return Record(*(int(v[name]) for name in names))


@dataclass
class Ring:
    cpu: int
    capacity: int
    written: int
    lost: int
    address: int  # of record 0

    def last(self, count: int, open_records: frozenset[int] = frozenset()) -> list[Record]:
        first = max(0, self.written - min(count, self.capacity))
        records = []
        n = first
        while n < self.written:  # in one or two pieces
            index = n % self.capacity
            piece = min(self.written - n, self.capacity - index)
            at = self.address + 64 * index
            for fields in RECORD.iter_unpack(machine.read(at, 64 * piece)):
                records.append(Record(*fields, cpu=self.cpu, address=at, is_open=at in open_records))
                at += 64
            n += piece
        return records


def header_address() -> int:
    address = int(machine.value(HEADER))
    if address == 0:
        raise NotReady("the recorder has not been started yet")
    return address


def counter_hz() -> int:
    return int(machine.value(HEADER)["counter_hz"]) or 1


def rings() -> list[Ring]:
    base = header_address()
    header = machine.value(HEADER)
    found = []
    at = base + int(header["header_bytes"])
    for _ in range(int(header["cpus"])):
        magic, cpu, capacity, written, _, lost = RING.unpack(machine.read(at, RING.size))
        if magic != b"AVRB":
            raise NotReady(f"no ring of the recorder at {at:#x}: its memory is damaged")
        found.append(Ring(cpu, capacity, written, lost, at + RING_BYTES))
        at += RING_BYTES + 64 * capacity
    return found


def last_exit(vm: int, vcpu: int, cpu: int | None, open_records: frozenset[int]) -> Record | None:
    """The newest exit of a vCPU, on `cpu` or on any."""
    newest = None
    for ring in rings():
        if cpu is not None and ring.cpu != cpu:
            continue
        for count in (64, 4096):
            found = [r for r in ring.last(count, open_records) if r.is_exit and (r.vm, r.vcpu) == (vm, vcpu)]
            if found:
                if newest is None or found[-1].time > newest.time:
                    newest = found[-1]
                break
    return newest


def class_name(record: Record) -> str:
    """"data_abort_lower" for a synchronous exit, else the kind."""
    if record.kind_name == "exit_sync":
        return machine.enum_name("arm_vcpu::Ec", record.ec)
    return record.kind_name.removeprefix("exit_")


def describe(record: Record, device_at=None) -> str:
    """The record's fields in words, by its kind: see trace/kinds.def."""
    kind = record.kind_name
    if kind == "exit_sync":
        return _describe_sync(record, device_at)
    if kind in ("exit_irq", "exit_fiq"):
        return f"INTID {record.data}"
    if kind == "exit_serror":
        return f"ESR {record.esr:#x}"
    if kind == "psci_call":
        answer = struct.unpack("<i", struct.pack("<I", record.data >> 32))[0]
        return f"{tables.call_name(record.data & 0xFFFF_FFFF)}, x1 {record.far:#x}, x2 {record.hpfar:#x} -> {answer}"
    if kind == "smc_forwarded":
        return f"{tables.call_name(record.data)} -> {record.far:#x}"
    if kind == "irq_injected":
        return f"INTID {record.data}, " + ("by an edge or software" if record.far else "by a level")
    if kind == "irq_delivered":
        return f"INTID {record.data} in list register {record.far}: {record.hpfar:#x}"
    if kind == "stage2_map":
        return f"IPA {record.far:#x} -> PA {record.hpfar:#x}, {record.data:#x} bytes"
    if kind == "stage2_unmap":
        return f"IPA {record.far:#x}, {record.data:#x} bytes"
    if kind == "vm_event":
        return machine.enum_name("arm_vcpu::trace::VmEvent", record.data)
    if kind == "vcpu_scheduled":
        return "after a wait" if record.data == 1 else ""
    if kind == "vcpu_parked":
        return {0: "off", 1: "WFI", 2: "WFE"}.get(record.data, str(record.data))
    if kind == "guest_sample":
        return f"ESR_EL1 {record.esr:#x}, FAR_EL1 {record.far:#x}, ELR_EL1 {record.hpfar:#x}"
    if kind == "diagnosis":
        return f"AV{record.data:04}"
    return ""


def _describe_sync(record: Record, device_at) -> str:
    name = class_name(record)
    if name == "data_abort_lower":
        text = tables.iss_brief(record.esr).split(": ")[0]
        text = text.replace(" of ", f" at IPA {record.ipa:#x} of ", 1) if " of " in text else f"{text} at IPA {record.ipa:#x}"
        value = f" = {record.data:#x}" if record.iss >> 6 & 1 and record.iss >> 24 & 1 else ""
        return text + value + (f", {device_at(record.ipa)}" if device_at else "") + f" (VA {record.far:#x})"
    if name == "instruction_abort_lower":
        return f"fetch at IPA {record.ipa:#x} (VA {record.far:#x}): {tables.fsc_meaning(record.iss & 0x3F)}"
    if name in ("hvc64", "smc64"):
        immediate = record.iss & 0xFFFF
        return f"#{immediate:#x} " + tables.call_name(record.data & 0xFFFF_FFFF) if immediate == 0 else \
               f"#{immediate:#x}, x0 {record.data:#x}"
    text = tables.iss_brief(record.esr)
    if name == "sysreg" and not record.iss & 1:
        text += f" = {record.data:#x}"
    return text
