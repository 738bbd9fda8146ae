# SPDX-License-Identifier: Apache-2.0
"""The simulated failures: what each is, how it is brought about, and the code that it must be diagnosed as."""
from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass

START, LOOP, MMIO, CALL = "start-up", "loop", "mmio", "psci"
GUEST, IRQ, HYPERVISOR, HEALTHY = "guest", "interrupts", "hypervisor", "healthy"
CLASSES = {START: "the vCPU does not start, or starts wrongly", LOOP: "an exception loop", MMIO: "an access fails",
           CALL: "a PSCI or SMCCC call gets no answer", GUEST: "the guest fails by itself",
           IRQ: "timers and interrupts", HYPERVISOR: "the hypervisor itself fails",
           HEALTHY: "healthy guests that look as if they failed: nothing may be diagnosed"}


@dataclass(frozen=True)
class Fault:
    name: str
    kind: str
    code: int  # 0: none
    what: str
    after: tuple[int, ...] = ()  # codes that are right, too, and come before
    cpu: str = "max,pauth-impdef=on"
    cpus: int = 1
    pmu: str = "on"
    shared: bool = False  # by all of them: one physical CPU
    sve_bits: int | None = None  # the longest vector; 0: no SVE
    simulate: str = ""  # /hypervisor simulate: hypervisor/simulate.def
    guest: str = ""  # the name in guests/faults, when it is another one
    image: str = ""  # a file of the build in place of guests/faults.img
    content: bytes = b""  # or one of these bytes
    machine: str = "virt,virtualization=on,gic-version=3"
    tree: tuple[str, ...] = ()  # a node of the machine's device tree, a property, and the cells that it has instead
    reboots: bool = False
    seconds: float = 15.0


def _simulated(name: str, kind: str, code: int, what: str, guest: str = "healthy-busy", **more) -> Fault:
    return Fault(name, kind, code, what, simulate=name, guest=guest, **more)


# An ELF header for A64, and what a linker puts behind it: enough to see what it is.
_ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 183, 1) + bytes(4096)

FAULTS = [
    Fault("no-el2", START, 1, "a machine without EL2", machine="virt,gic-version=3"),
    Fault("gic-v2", START, 1, "a GICv2 without virtualization extensions", machine="virt,virtualization=on,gic-version=2",
          cpu="cortex-a57", tree=("/intc@8000000", "reg", "0", "8000000", "0", "10000", "0", "8010000", "0", "10000")),
    _simulated("ipa-size", START, 1, "RAM of 1 PiB on a CPU with 40 bits of physical address", cpu="cortex-a53"),
    _simulated("start-level", START, 8, "VTCR_EL2.SL0 does not fit the root table", cpu="cortex-a57"),
    Fault("zeroes", START, 12, "the kernel is a file of zeroes", content=bytes(4096)),
    Fault("elf-kernel", START, 12, "the kernel is an ELF file", content=_ELF),
    Fault("gzip-kernel", START, 12, "the kernel is compressed", content=gzip.compress(bytes(range(256)) * 64, mtime=0)),
    _simulated("wrong-x0", START, 12, "x0 is not the device tree"),
    _simulated("overlap", START, 13, "the initrd lies on the kernel"),
    _simulated("memory-node", START, 34, "the device tree has twice the RAM"),
    Fault("elsewhere", START, 36, "a binary that is linked to another address", image="elsewhere.bin"),
    _simulated("entry-outside", START, 36, "the entry is behind the RAM"),
    _simulated("passthrough", START, 33, "interrupts are passed through, and HCR_EL2.IMO is set"),
    _simulated("cpu-node", START, 26, "a CPU of the device tree is no vCPU"),

    Fault("vectors-outside-ram", LOOP, 2, "VBAR_EL1 points outside RAM: every fetch of a vector exits"),
    Fault("vectors-unmapped", LOOP, 2, "VBAR_EL1 is unmapped at stage 1: a storm that makes no exits"),
    Fault("handler-faults", LOOP, 2, "the handler faults itself: a storm that makes no exits"),
    Fault("bad-stack", LOOP, 2, "SP_EL1 is no stack: the first push of each vector faults"),
    Fault("returns-to-fault", LOOP, 2, "the handler returns to an access that faults at stage 1"),
    Fault("returns-to-hole", LOOP, 2, "the handler returns to an access of a device that is not there", after=(3,)),
    Fault("returns-to-undefined", LOOP, 2, "the handler returns to an undefined instruction that exits", after=(18,)),

    Fault("mmio-hole-read", MMIO, 3, "a read just behind the UART"),
    Fault("mmio-hole-write", MMIO, 3, "a write where no device is"),
    Fault("mmio-width", MMIO, 3, "8 bytes of a device that takes 4"),
    Fault("mmio-past-end", MMIO, 3, "a pair of words: the second is behind the UART's last"),
    Fault("mmio-behind-ram", MMIO, 3, "a read of RAM that is not there"),
    _simulated("hidden-device", MMIO, 3, "a stage-2 mapping hides the UART"),
    Fault("mmio-pair", MMIO, 3, "LDP whose second register is behind the UART"),
    Fault("mmio-write-back", MMIO, 3, "a load with write-back where no device is"),
    Fault("mmio-sve", MMIO, 5, "an SVE load of a vector from a device: no syndrome, and not emulated"),
    Fault("table-entry-in-hole", MMIO, 6, "an entry of the guest's tables leads outside RAM"),
    Fault("table-base-in-hole", MMIO, 6, "TTBR0_EL1 leads outside RAM"),
    Fault("mmio-beyond-ipa", MMIO, 9, "an address beyond the VM's IPA size"),

    Fault("psci-unknown", CALL, 4, "a PSCI function that does not exist"),
    Fault("psci-smc64", CALL, 4, "CPU_OFF by its SMC64 number, which does not exist"),
    Fault("hvc-vendor", CALL, 4, "HVC with a number that is no function"),
    Fault("smc-vendor", CALL, 4, "SMC with a number that is no function"),
    Fault("psci-immediate", CALL, 4, "HVC #1 for a PSCI call"),
    Fault("smc-immediate", CALL, 4, "SMC #1 for a PSCI call"),
    Fault("smc-secure", CALL, 4, "a Trusted OS that is not there, asked for 200 times"),
    Fault("cpu-on-target", CALL, 26, "CPU_ON of a CPU that is not there", cpus=2),
    Fault("cpu-on-res1", CALL, 26, "CPU_ON with bit 31 of MPIDR_EL1 in the target", cpus=2),
    Fault("cpu-on-entry", CALL, 26, "CPU_ON with a virtual address as its entry", cpus=2),
    Fault("cpu-on-twice", CALL, 27, "CPU_ON of a CPU that is on", cpus=2),
    _simulated("reset", CALL, 31, "the machine resets after an SMC went to the firmware", reboots=True),

    Fault("pmu-register", GUEST, 18, "a register of the performance monitors, which are hidden", pmu="off"),
    Fault("lor-register", GUEST, 18, "a register of the LORegions, which are hidden"),
    Fault("sve", GUEST, 19, "an SVE instruction, which is hidden", sve_bits=0),
    Fault("undefined", GUEST, 19, "UDF, and a vector that only spins"),
    Fault("undefined-asleep", GUEST, 19, "UDF, and a vector that only sleeps"),
    Fault("el2-register", GUEST, 19, "a register of EL2"),
    Fault("eret-el2", GUEST, 14, "ERET to EL2"),
    Fault("eret-aarch32", GUEST, 14, "ERET to AArch32 EL1, which HCR_EL2.RW does not allow"),
    Fault("stale-code", GUEST, 35, "an undefined instruction where memory holds a valid one",
          after=(32,)),
    Fault("null-call", GUEST, 32, "a call of a function that is not mapped"),
    Fault("hole-call", GUEST, 32, "a call into a place without memory"),
    Fault("guest-abort", GUEST, 32, "an abort of the guest's own, and a vector that only sleeps"),
    Fault("asleep", GUEST, 9999, "asleep for good, without any exception"),

    _simulated("cntvoff", IRQ, 23, "CNTVOFF_EL2 was not written"),
    _simulated("no-ticks", IRQ, 23, "the virtual timer's interrupt does not reach the guest", guest="healthy-ticks"),
    _simulated("timer-sleeps", IRQ, 22, "the virtual timer does not end WFI", guest="healthy-nap"),
    _simulated("maintenance-storm", IRQ, 24, "the GIC's maintenance interrupt without end"),
    _simulated("interrupt-lost", IRQ, 25, "an active interrupt that no list register holds"),
    _simulated("starvation", IRQ, 29, "the end of a slice is not armed: a vCPU keeps the CPU that two share",
               guest="healthy-spinlock", cpus=2, shared=True),
    _simulated("serror", IRQ, 28, "an SError while the guest runs"),

    _simulated("fp-at-el2", HYPERVISOR, 20, "EL2 executes floating point"),
    _simulated("stack-overflow", HYPERVISOR, 21, "EL2 recurses without end"),
    _simulated("wrong-stack", HYPERVISOR, 21, "EL2 runs on SP_EL0"),
    _simulated("lock-held", HYPERVISOR, 30, "EL2 waits for a lock that it holds"),
    _simulated("null-write", HYPERVISOR, 9999, "EL2 writes to address 0: a failure without a name of its own"),

    Fault("healthy-busy", HEALTHY, 0, "a busy loop"),
    Fault("healthy-spinlock", HEALTHY, 0, "a spinlock whose holder is slow", cpus=2),
    Fault("healthy-shared", HEALTHY, 0, "the same on one physical CPU", cpus=2, shared=True, guest="healthy-spinlock"),
    Fault("healthy-idle", HEALTHY, 0, "a guest that sleeps"),
    Fault("healthy-nap", HEALTHY, 0, "a guest that sleeps shortly, with its timer"),
    Fault("healthy-ticks", HEALTHY, 0, "a tick each millisecond"),
    Fault("healthy-masked", HEALTHY, 0, "a tick that stays pending"),
    Fault("healthy-uart", HEALTHY, 0, "a poll of the UART"),
    Fault("healthy-accesses", HEALTHY, 0, "devices accessed by pairs, write-back, exclusives and vectors"),
    Fault("healthy-exceptions", HEALTHY, 0, "exceptions all the time, each of which is handled"),
    Fault("healthy-probes", HEALTHY, 0, "a guest that asks its firmware what there is"),
]

BY_NAME = {fault.name: fault for fault in FAULTS}
