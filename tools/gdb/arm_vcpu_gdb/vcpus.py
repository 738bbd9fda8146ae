# SPDX-License-Identifier: Apache-2.0
"""VMs and vCPUs: where the current state of one is (in a CPU's registers while the guest runs, in its TrapFrame while EL2
does, in memory alone while it is on no CPU), and its memory."""
import struct
from collections.abc import Iterator

import gdb

from . import machine, tables, walks
from .machine import NotReady
from .walks import Unreadable

VMS = "arm_vcpu::hv::(anonymous namespace)::g_vms"
VM_COUNT = "arm_vcpu::hv::(anonymous namespace)::g_vm_count"
VECTORS_BYTES = 0x800
SYNC_SLOT, IRQ_SLOT = 0x400, 0x480
SLOT_BRANCH = 17 * 4  # the slot's last instruction, behind 16 stores and the kind
SYNC_LATCH, IRQ_LATCH = 8 * 4, 4 * 4  # instructions that latch the syndrome


class Vcpu:
    """One vCPU, and the physical CPU that it is on, if any."""

    def __init__(self, vm: "Vm", index: int):
        self.vm = vm
        self.index = index
        self.slot = machine.array(vm.value["slots_"])[index]
        vcpu = machine.optional(self.slot["vcpu"])
        if vcpu is None:
            raise NotReady(f"vCPU {vm.id}.{index} is not made yet")
        self.value = vcpu
        self.address = int(vcpu.address)
        self.cpu: machine.Cpu | None = None
        bound = int(vcpu["cpu_"])
        if bound:
            self.cpu = machine.cpu_by_index(int(vcpu["cpu_"]["index_"]))

    @property
    def name(self) -> str:
        return f"{self.vm.id}.{self.index}"

    @property
    def power(self) -> str:
        return machine.enumerator(machine.atomic(machine.array(self.vm.value["power_slots_"])[self.index]["state"]))

    @property
    def in_guest(self) -> bool:
        return self.cpu is not None and self.cpu.el < 2

    def _latching(self) -> str:
        """How far the vector has come: "slot" while general-purpose registers are being saved, "latch" until ELR_EL2 and
        the syndrome are, "" behind that (or when this vCPU is not at its vector)."""
        if self.cpu is None or self.cpu.el != 2 or self.cpu["sp"] != self.address:
            return ""
        base = machine.image.base
        vectors = base + machine.image.elf.address("arm_vcpu_vectors")
        if vectors <= self.cpu.pc < vectors + VECTORS_BYTES:
            return "slot"
        for slot, latch in ((SYNC_SLOT, SYNC_LATCH), (IRQ_SLOT, IRQ_LATCH)):
            branch, = struct.unpack("<I", machine.read(vectors + slot + SLOT_BRANCH, 4))
            offset = ((branch & 0x3FF_FFFF) ^ 0x200_0000) - 0x200_0000
            target = vectors + slot + SLOT_BRANCH + 4 * offset
            if branch >> 26 == 5 and target <= self.cpu.pc < target + latch:
                return "latch"
        return ""

    def gpr(self, n: int) -> int:
        if n == 31:
            return 0
        # In the slot's last two instructions X0 holds the kind already; its store was the first.
        if self.in_guest or self._latching() == "slot" and n != 0:
            return self.cpu[f"x{n}"]
        return int(self.value["frame"]["gpr"]["x"][n])

    @property
    def pc(self) -> int:
        if self.in_guest:
            return self.cpu.pc
        return self.cpu["ELR_EL2"] if self._latching() else int(self.value["frame"]["elr"])

    @property
    def spsr(self) -> int:
        if self.in_guest:
            return self.cpu["cpsr"]
        return self.cpu["SPSR_EL2"] if self._latching() else int(self.value["frame"]["spsr"]["raw"])

    @property
    def sp_el0(self) -> int:
        if self.cpu is None:
            return int(self.value["frame"]["sp_el0"])
        if self.in_guest and not self.spsr & 1:  # EL0t, EL1t
            return self.cpu["sp"]
        return self.cpu["SP_EL0"]

    @property
    def sp_el1(self) -> int:
        if self.cpu is None:
            return int(self.value["registers_"]["sp_el1"])
        return self.cpu["sp"] if self.in_guest and self.spsr & 0xF == 5 else self.cpu["SP_EL1"]

    @property
    def sp(self) -> int:
        """The stack pointer that the guest's code uses: SPSR.M[0] is SPSel, and EL0 has only SP_EL0."""
        return self.sp_el1 if self.spsr & 0x1F == 5 else self.sp_el0

    @property
    def frame_source(self) -> str:
        if self.in_guest:
            return "the CPU's registers: the guest runs"
        if self._latching():
            return "the CPU's registers: the exit is just being taken"
        return "its TrapFrame, saved at the last exit" if self.cpu else "its TrapFrame: it is on no CPU"

    def sysreg(self, name: str) -> int:
        """A register of the guest, by the architecture's name. While the vCPU is bound it is live on its CPU; the IA key
        is EL2's own there while EL2 runs."""
        field = name.lower()
        if name == "SP_EL1":
            return self.sp_el1
        ia_key = name in ("APIAKEYLO_EL1", "APIAKEYHI_EL1")
        if ia_key and self.cpu is not None and not self.in_guest and int(self.value["swap_ia_key"]):
            return int(self.value["guest_ia_key"][0 if "LO" in name else 1])
        if self.cpu is not None and self.cpu.has(name):
            return self.cpu[name]
        return int(self.value["registers_"][field])

    def sysreg_names(self) -> list[str]:
        return [f.name.upper() for f in self.value["registers_"].type.fields()]

    # The guest's memory.

    def stage1(self) -> walks.Stage1:
        return walks.Stage1(*(self.sysreg(f"{r}_EL1") for r in ("SCTLR", "TCR", "TTBR0", "TTBR1", "MAIR")))

    def stage1_walk(self, va: int) -> walks.Walk:
        def descriptor(ipa: int) -> tuple[int, str]:
            pa = self.vm.pa_of(ipa)
            return machine.read_u64(pa), f"PA {pa:#x}" if pa != ipa else ""

        return walks.stage1_walk(self.stage1(), va, descriptor)

    def pa_of(self, va: int) -> int:
        found = self.stage1_walk(va)
        if not found.ok:
            raise Unreadable(f"VA {va:#x}: {found.fault}")
        return self.vm.pa_of(found.output)

    def read(self, va: int, count: int) -> bytes:
        """By VA, in pieces that no translation granule splits."""
        out = b""
        while count:
            piece = min(count, 4096 - va % 4096)
            out += machine.read(self.pa_of(va), piece)
            va, count = va + piece, count - piece
        return out

    def read_u64(self, va: int) -> int:
        return struct.unpack("<Q", self.read(va, 8))[0]

    @property
    def va_bits(self) -> int:
        registers = self.stage1()
        return registers.va_bits(bool(self.pc >> 55 & 1)) if registers.enabled else 48


class Vm:
    def __init__(self, number: int):
        vm = machine.optional(machine.array(machine.value(VMS))[number])
        if vm is None:
            raise NotReady(f"there is no VM {number}")
        self.value = vm
        self.id = number

    @property
    def name(self) -> str:
        return machine.string_view(self.value["config_"]["name"])

    @property
    def vcpu_count(self) -> int:
        return int(self.value["vcpu_count_"])

    @property
    def state(self) -> str:
        return machine.enumerator(machine.atomic(self.value["state_"]))

    def vcpu(self, index: int) -> Vcpu:
        if index >= self.vcpu_count:
            raise NotReady(f"VM {self.id} has {self.vcpu_count} vCPUs; there is no {self.id}.{index}")
        return Vcpu(self, index)

    def stage2_registers(self) -> tuple[int, int]:
        registers = self.vcpu(0).value["registers_"]
        return int(registers["vttbr_el2"]), int(registers["vtcr_el2"])

    def stage2_walk(self, ipa: int) -> walks.Walk:
        vttbr, vtcr = self.stage2_registers()
        if vttbr == 0:
            raise NotReady(f"VM {self.id} has no stage-2 tables yet")
        return walks.stage2_walk(vttbr, vtcr, ipa, lambda pa: (machine.read_u64(pa), ""))

    def pa_of(self, ipa: int) -> int:
        found = self.stage2_walk(ipa)
        if not found.ok:
            raise Unreadable(f"IPA {ipa:#x}: stage 2: {found.fault}")
        return found.output

    def device_at(self, ipa: int) -> str:
        """What answers an IPA: "pl011@9000000+0x18", "GICD+0x4"; or the nearest devices."""
        vgic = machine.optional(self.value["vgic_"])
        regions = []
        if vgic is not None:
            regions.append((int(vgic["gicd_base_"]), int(vgic["gicd_bytes_"]), "GICD"))
            if int(vgic["version_"]) == 2:
                regions.append((int(vgic["gicr_base_"]), int(vgic["gicr_bytes_"]), "GICC_DIR"))
            else:
                regions += [(int(vgic["gicr_base_"]) + 0x20000 * n, 0x20000, f"GICR of vCPU {n}")
                            for n in range(self.vcpu_count)]
        bus = self.value["bus_"]
        for n in range(int(bus["count_"])):
            region = machine.array(bus["regions_"])[n]
            regions.append((int(region["base"]), int(region["size"]), machine.string_view(region["name"])))
        for base, size, name in regions:
            if base <= ipa < base + size:
                return f"{name}+{ipa - base:#x}"
        below = max((r for r in regions if r[0] <= ipa), default=None)
        above = min((r for r in regions if r[0] > ipa), default=None)
        near = [f"{ipa - (r[0] + r[1]) + 1:#x} bytes past the end of {r[2]}" for r in [below] if r] + \
               [f"{r[0] - ipa:#x} bytes below {r[2]}" for r in [above] if r]
        return "no device; " + (", ".join(near) if near else "the VM has none")


def vms() -> list[Vm]:
    found = []
    for number in range(int(machine.value(VM_COUNT))):
        try:
            found.append(Vm(number))
        except NotReady:
            pass
    return found


def vcpus() -> Iterator[Vcpu]:
    for vm in vms():
        for index in range(vm.vcpu_count):
            try:
                yield vm.vcpu(index)
            except NotReady:
                pass


def open_records() -> frozenset[int]:
    """Addresses of the records of exits that are not over."""
    return frozenset(int(vcpu.value["open_record"]) for vcpu in vcpus()) - {0}


def current() -> Vcpu:
    """The vCPU of the selected thread's CPU; of a machine with one vCPU, that one."""
    selected = gdb.selected_thread()
    if selected is None:
        raise NotReady("no machine is attached: target remote ... first")
    everyone = list(vcpus())
    for vcpu in everyone:
        if vcpu.cpu is not None and vcpu.cpu.thread.num == selected.num:
            return vcpu
    if len(everyone) == 1:
        return everyone[0]
    raise NotReady("no vCPU is on this CPU" + ("; name one: " + ", ".join(v.name for v in everyone) if everyone else
                                               ": no VM has been made yet"))


def by_name(text: str) -> Vcpu:
    """"0.1", or "" for the current one."""
    if not text:
        return current()
    vm, dot, index = text.partition(".")
    if not (vm.isdigit() and (index.isdigit() or not dot)):
        raise NotReady(f"'{text}' is no vCPU: write VM.VCPU, as 0.1")
    return Vm(int(vm)).vcpu(int(index) if dot else 0)


def is_vcpu_name(text: str) -> bool:
    vm, dot, index = text.partition(".")
    return bool(dot) and vm.isdigit() and index.isdigit()


# Interrupts.

def interrupts(vcpu: Vcpu) -> list[tuple[int, str, bool]]:
    """(INTID, state in words, deliverable) of what is pending or active for this vCPU."""
    vgic = machine.optional(vcpu.vm.value["vgic_"])
    if vgic is None:
        return []
    found = []
    private = machine.elements(machine.array(vcpu.vm.value["vgic_cpus_"])[vcpu.index]["irqs"])
    for intid, irq in enumerate(private + machine.elements(vcpu.vm.value["vgic_spis_"])):
        if intid >= 32 and int(irq["target"]) != vcpu.index and int(irq["holder"]) != vcpu.index:
            continue
        words = []
        follows_line = not bool(irq["edge"]) and not bool(irq["linked"])
        if bool(irq["latch"]) or follows_line and bool(irq["line"]):
            words.append("pending")
        if bool(irq["active"]):
            words.append("active")
        if bool(irq["in_lr"]):
            words.append(f"in list register {int(irq['slot'])}")
        if not words:
            continue
        words += [] if bool(irq["enabled"]) else ["disabled"]
        words.append(f"priority {int(irq['priority']):#04x}")
        if bool(irq["by_source"]):  # an SGI of a GICv2
            senders = int(irq["sources"]) | (1 << int(irq["source"]) if bool(irq["active"]) or bool(irq["in_lr"]) else 0)
            words.append("of vCPU " + ", ".join(str(n) for n in range(8) if senders >> n & 1))
        if bool(irq["linked"]):
            words.append(f"physical INTID {int(irq['physical_intid'])}")
        found.append((intid, ", ".join(words), bool(irq["enabled"])))
    return found


def list_registers(vcpu: Vcpu) -> list[tuple[int, int]]:
    state = machine.array(vcpu.vm.value["vgic_cpus_"])[vcpu.index]
    used = int(state["lr_used"])
    return [(n, int(machine.array(state["lr"])[n]["raw"])) for n in range(16) if used >> n & 1]
