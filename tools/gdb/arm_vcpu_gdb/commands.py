# SPDX-License-Identifier: Apache-2.0
"""The commands: vcpu, exits, walk, s2, why, gbt, and what attaches gdb to the hypervisor."""
import os
import traceback

import gdb

from . import breakpoints, guest_console, machine, printers, tables, trace, vcpus, walks
from .elf import Elf
from .machine import NotReady
from .walks import Unreadable

guest_symbols: list[tuple[Elf, int]] = []  # files, and how far from their link address they run


def guest_symbol(address: int, is_return: bool = False) -> str:
    """A return address is behind the call, which can be the last instruction of its function."""
    for elf, offset in guest_symbols:
        found = elf.find(address - offset - int(is_return))
        if found:
            found = found[0], found[1] + int(is_return)
            name = machine.demangle(found[0])
            name = name.split("(")[0] if name.endswith(")") else name
            return f"<{name}+{found[1]:#x}>" if found[1] else f"<{name}>"
    return ""


class Command(gdb.Command):
    """Runs with physical memory in sight, and reports what is missing in one line."""

    def __init__(self, name: str, command_class: int = gdb.COMMAND_DATA, completer: int = gdb.COMPLETE_NONE):
        super().__init__(name, command_class, completer)
        self.name = name

    def invoke(self, argument: str, from_tty: bool) -> None:
        try:
            if gdb.selected_thread() is None:
                raise NotReady(f"{self.name}: no machine is attached: target remote ... first")
            with machine.physical():
                self.run(gdb.string_to_argv(argument))
        except (NotReady, gdb.GdbError):
            raise
        except (Unreadable, gdb.error, ValueError) as error:
            if os.environ.get("ARM_VCPU_GDB_DEBUG"):
                traceback.print_exc()
            raise gdb.GdbError(f"{self.name}: {error}") from None

    def run(self, words: list[str]) -> None:
        raise NotImplementedError


def say(text: str = "") -> None:
    gdb.write(text + "\n")


def number(text: str) -> int:
    """An address: any expression that gdb knows."""
    return int(gdb.parse_and_eval(text).cast(gdb.lookup_type("unsigned long"))) & (1 << 64) - 1


def where(vcpu: vcpus.Vcpu) -> str:
    """What the vCPU's physical CPU does."""
    if vcpu.cpu is None:
        return "on no CPU"
    if vcpu.in_guest:
        return "the guest runs"
    symbol = machine.hypervisor_symbol(vcpu.cpu.pc).split("+")[0].removeprefix("arm_vcpu::").removeprefix("hv::")
    return ("waits in " if vcpu.cpu.halted else "in EL2, ") + (symbol or "?")


def last_exit_of(vcpu: vcpus.Vcpu) -> trace.Record | None:
    try:
        return trace.last_exit(vcpu.vm.id, vcpu.index, vcpu.cpu.index if vcpu.cpu else None,
                               vcpus.open_records())
    except NotReady:
        return None


class VcpuCommand(Command):
    """vcpu [VM.VCPU]: all VMs and vCPUs; of one, its registers and its interrupts.

The registers are read where they are current: on the CPU while the guest runs, in the TrapFrame while EL2 does."""

    def run(self, words):
        if words:
            self._one(vcpus.by_name(words[0]))
        else:
            self._all()

    def _all(self):
        machines = vcpus.vms()
        if not machines:
            raise NotReady("no VM has been made yet")
        for vm in machines:
            say(f"vm{vm.id} ({vm.name}): {vm.state}, {vm.vcpu_count} vCPUs")
        say(f"{'vCPU':<5} {'power':<10} {'CPU':<4} {'mode':<7} {'PC':<18} {'last exit':<18} {'CPU is':<34} guest symbol")
        selected = gdb.selected_thread()
        for vcpu in vcpus.vcpus():
            mark = "*" if vcpu.cpu is not None and vcpu.cpu.thread.num == selected.num else " "
            record = last_exit_of(vcpu)
            cpu = vcpu.cpu.index if vcpu.cpu else "-"
            say(f"{vcpu.name + mark:<5} {vcpu.power:<10} {cpu!s:<4} {tables.mode_name(vcpu.spsr):<7} {vcpu.pc:#018x} "
                f"{trace.class_name(record) if record else '-':<18} {where(vcpu):<34} {guest_symbol(vcpu.pc)}".rstrip())

    def _one(self, vcpu):
        say(f"vCPU {vcpu.name} of {vcpu.vm.name}: {vcpu.power}, " +
            (f"on physical CPU {vcpu.cpu.index} (thread {vcpu.cpu.thread.num}), {where(vcpu)}" if vcpu.cpu else "on no CPU"))
        say(f"registers from {vcpu.frame_source}")
        say(f" pc {vcpu.pc:016x} {guest_symbol(vcpu.pc)}".rstrip())
        say(f" spsr {vcpu.spsr:#x}: {tables.spsr_brief(vcpu.spsr)}")
        for line in printers.register_lines([vcpu.gpr(n) for n in range(31)]):
            say(line)
        say(f" sp {vcpu.sp:016x} (sp_el{1 if vcpu.spsr & 0x1F == 5 else 0})  sp_el0 {vcpu.sp_el0:016x}  "
            f"sp_el1 {vcpu.sp_el1:016x}")
        exit_frame = vcpu.value
        say(f"last exit that run() returned: {printers.describe_reason(exit_frame['exit_'])}")
        say(f"exits handled inside: {int(exit_frame['handled'])}, unexpected: {int(exit_frame['unexpected_exits_'])}")
        say(f"system registers ({'live on the CPU' if vcpu.cpu else 'saved'}):")
        for line in printers.sysreg_lines({name: vcpu.sysreg(name) for name in vcpu.sysreg_names()}):
            say(line)
        pending = vcpus.interrupts(vcpu)
        say("interrupts pending or active:" + ("" if pending else " none"))
        for intid, text, enabled in pending:
            say(f"  INTID {intid}: {text}")
        for n, raw in vcpus.list_registers(vcpu):
            say(f"  list register {n} when EL2 last read or wrote it: {raw:#x} {tables.brief('ICH_LR<n>_EL2', raw)}")


class ExitsCommand(Command):
    """exits [N] [--cpu C] [--vcpu VM.VCPU]: the recorder's last N records (default 20), oldest first, all CPUs in order
of time. Times are in milliseconds of CNTPCT_EL0; "took" is from the vector to the next entry of the guest."""

    def run(self, words):
        count, cpu, wanted = 20, None, None
        words = list(words)
        while words:
            word = words.pop(0)
            if word in ("--cpu", "--vcpu"):
                if not words:
                    raise NotReady(f"exits: {word} needs a value")
                value = words.pop(0)
                cpu, wanted = (int(value, 0), wanted) if word == "--cpu" else (cpu, vcpus.by_name(value))
            elif word.isdigit():
                count = int(word)
            else:
                raise NotReady("usage: exits [N] [--cpu C] [--vcpu VM.VCPU]")
        rings = [ring for ring in trace.rings() if cpu is None or ring.cpu == cpu]
        if not rings:
            raise NotReady(f"there is no CPU {cpu}: the recorder has {len(trace.rings())}")
        records = []
        for ring in rings:
            found = ring.last(count if wanted is None else ring.capacity, vcpus.open_records())
            records += [r for r in found if wanted is None or (r.vm, r.vcpu) == (wanted.vm.id, wanted.index)]
        records.sort(key=lambda r: (r.time, r.cpu, r.sequence))
        self._print(records[-count:])
        for ring in rings:
            say(f"CPU {ring.cpu}: {ring.written} records so far, the last {min(ring.written, ring.capacity)} are here")

    def _print(self, records):
        hz = trace.counter_hz()
        devices = {vm.id: vm.device_at for vm in vcpus.vms()}
        say(f"{'CPU':>3} {'number':>8} {'time/ms':>12} {'vCPU':<5} {'kind':<18} {'outcome':<9} {'took/us':>8} {'PC':<18} what")
        for r in records:
            is_exit = r.is_exit
            took = f"{r.duration * 1e6 / hz:.1f}" if is_exit and r.outcome_name != "open" else ""
            kind = trace.class_name(r) if is_exit else r.kind_name
            where = f"{r.pc:#018x}" if r.pc or is_exit else ""
            say(f"{r.cpu:>3} {r.sequence:>8} {r.time * 1e3 / hz:>12.3f} {f'{r.vm}.{r.vcpu}':<5} {kind:<18} "
                f"{r.outcome_name if is_exit else '':<9} {took:>8} {where:<18} " +
                " ".join(filter(None, [guest_symbol(r.pc), trace.describe(r, devices.get(r.vm))])))


def print_walk(found: walks.Walk, space: str) -> None:
    for step in found.steps:
        note = f" ({step.note})" if step.note else ""
        say(f"  L{step.level} {space} {step.at:#x}{note}: {step.descriptor:#018x} {step.what}")
    if found.ok:
        size = f", {found.region_bytes >> 10} KiB" if found.region_bytes else ""
        say(f"  -> {found.output:#x} {found.attributes}{size}" + (f"; {found.fault}" if found.fault else ""))
    else:
        say(f"  -> {found.fault}")


def print_stage2(vm: vcpus.Vm, ipa: int) -> walks.Walk:
    vttbr, vtcr = vm.stage2_registers()
    found = vm.stage2_walk(ipa)
    say(f"stage 2 of vm{vm.id}: IPA {ipa:#x}, VTTBR_EL2 {vttbr:#x} (VMID {vttbr >> 48}), VTCR_EL2 {vtcr:#x}")
    print_walk(found, "PA")
    if not found.ok:
        say(f"  an access exits; at this IPA: {vm.device_at(ipa)}")
    return found


class WalkCommand(Command):
    """walk VA [VM.VCPU]: a virtual address of the guest through stage 1, then through stage 2, level by level."""

    def run(self, words):
        vcpu = vcpus.by_name(words.pop() if len(words) > 1 and vcpus.is_vcpu_name(words[-1]) else "")
        if not words:
            raise NotReady("usage: walk VA [VM.VCPU]")
        va = number(" ".join(words))
        registers = vcpu.stage1()
        upper = bool(va >> 55 & 1)
        root = registers.ttbr1 if upper else registers.ttbr0
        say(f"stage 1 of vCPU {vcpu.name}: VA {va:#x}" +
            (f", TTBR{int(upper)}_EL1 {root:#x}, TCR_EL1 {registers.tcr:#x}" if registers.enabled else ""))
        found = vcpu.stage1_walk(va)
        print_walk(found, "IPA")
        if not found.ok:
            return
        second = print_stage2(vcpu.vm, found.output)
        if second.ok:
            try:
                say(f"  memory there: {machine.read_u64(second.output & ~7):#018x} at PA {second.output & ~7:#x}")
            except Unreadable as error:
                say(f"  {error}")


class Stage2Command(Command):
    """s2 IPA [VM]: an intermediate physical address through stage 2, level by level."""

    def run(self, words):
        if len(words) not in (1, 2):
            raise NotReady("usage: s2 IPA [VM]")
        vm = vcpus.Vm(int(words[1], 0)) if len(words) == 2 else vcpus.current().vm
        print_stage2(vm, number(words[0]))


class WhyCommand(Command):
    """why [VM.VCPU]: what the vCPU's last exit means, in words."""

    def run(self, words):
        vcpu = vcpus.by_name(words[0] if words else "")
        record = last_exit_of(vcpu)
        if record is None:
            say(f"vCPU {vcpu.name} has not exited yet: it is {vcpu.power}, {where(vcpu)}")
            return
        say(f"vCPU {vcpu.name}: {self._what(vcpu, record)}")
        say(f"  at PC {record.pc:#x} {guest_symbol(record.pc)}".rstrip() + f", {tables.mode_name(record.spsr)}, record "
            f"{record.sequence} of CPU {record.cpu}")
        if record.kind_name == "exit_sync":
            say(f"  ESR_EL2 {record.esr:#x}: {tables.esr_brief(record.esr)}")
        for line in self._detail(vcpu, record):
            say("  " + line)
        say("  " + self._outcome(vcpu, record))
        say("  now: " + (where(vcpu) + (f" at {vcpu.pc:#x} {guest_symbol(vcpu.pc)}".rstrip() if vcpu.in_guest else "")))

    def _what(self, vcpu, record) -> str:
        kind = record.kind_name
        if kind != "exit_sync":
            return {"exit_irq": f"a physical IRQ, INTID {record.data}, came while the guest ran",
                    "exit_fiq": f"a physical FIQ, INTID {record.data}, came while the guest ran",
                    "exit_serror": "an SError came while the guest ran"}[kind]
        name = trace.class_name(record)
        if name == "data_abort_lower":
            direction = "wrote to" if record.iss >> 6 & 1 else "read from"
            return f"the guest {direction} IPA {record.ipa:#x} (VA {record.far:#x}): {vcpu.vm.device_at(record.ipa)}"
        if name == "instruction_abort_lower":
            return f"the guest fetched from IPA {record.ipa:#x}, which it cannot execute: {vcpu.vm.device_at(record.ipa)}"
        if name in ("hvc64", "smc64"):
            call = "an HVC" if name == "hvc64" else "an SMC"
            if record.iss & 0xFFFF:
                return f"the guest made {call} with immediate {record.iss & 0xFFFF:#x}"
            return f"the guest made {call}: {tables.call_name(record.data & 0xFFFF_FFFF)}"
        if name == "wfx":
            return f"the guest waits ({trace.describe(record)})"
        if name == "sysreg":
            return f"the guest used a trapped system register: {trace.describe(record)}"
        return f"{tables.ec_meaning(record.ec)}"

    def _detail(self, vcpu, record) -> list[str]:
        if record.kind_name != "exit_sync":
            return []
        name = trace.class_name(record)
        lines = []
        if name == "data_abort_lower":
            if record.iss >> 24 & 1:
                width = 1 << (record.iss >> 22 & 3)
                lines.append(f"{width} bytes" + (f", value {record.data & ((1 << 8 * width) - 1):#x}"
                                                 if record.iss >> 6 & 1 else f" into x{record.iss >> 16 & 31}"))
            else:
                lines.append("the access is not described (ISV 0: a pair, post-index, SIMD or exclusive access): the "
                             "instruction is fetched and carried out access by access")
        if name in ("data_abort_lower", "instruction_abort_lower"):
            found = vcpu.vm.stage2_walk(record.ipa)
            lines.append("stage 2 now: " + (f"mapped to PA {found.output:#x}, {found.attributes}" if found.ok else found.fault))
        elif name in ("hvc64", "smc64") and int(vcpu.value["frame"]["elr"]) in (record.pc, record.pc + 4):
            lines.append("x1 to x3: " + ", ".join(f"{int(vcpu.value['frame']['gpr']['x'][n]):#x}" for n in (1, 2, 3)))
        return lines

    def _outcome(self, vcpu, record) -> str:
        outcome = record.outcome_name
        reason = printers.describe_reason(vcpu.value["exit_"])
        if outcome == "open" and machine.enum_name("arm_vcpu::trace::Outcome", record.outcome) == "handled":
            return "it is being handled; before it, run() returned " + reason
        if outcome == "open":
            return f"run() returns {reason}: the hypervisor's turn"
        return {"handled": "the vCPU dealt with it and the guest went on",
                "injected": "the guest got an exception: ESR_EL1 " +
                            f"{vcpu.sysreg('ESR_EL1'):#x} ({tables.esr_brief(vcpu.sysreg('ESR_EL1'))})",
                "returned": f"run() returned {reason}, the hypervisor acted on it",
                "answered": "the vector answered it",
                "waits": "the guest waits, and another vCPU goes on in its place",
                "failed": "nobody could deal with it"}.get(outcome, outcome)


class GuestBacktraceCommand(Command):
    """gbt [VM.VCPU]: the guest's stack, from its frame pointers, through stage 1 and stage 2. Pointer authentication
codes are taken off. A function that keeps no frame record is not seen."""

    def run(self, words):
        vcpu = vcpus.by_name(words[0] if words else "")
        say(f"vCPU {vcpu.name}, {tables.mode_name(vcpu.spsr)}, SP {vcpu.sp:#x} (SP_EL{1 if vcpu.spsr & 0x1F == 5 else 0})")
        if vcpu.spsr & 0x10:
            raise NotReady("AArch32 code: its frames cannot be followed")
        shown = 0
        for address, fp in walks.frames(vcpu.pc, vcpu.gpr(29), vcpu.gpr(30), self._is_leaf(vcpu), vcpu.read_u64, vcpu.va_bits):
            if isinstance(address, str):
                say(f"    ends: {address}")
                return
            say(f"#{shown:<2} {address:#018x} {guest_symbol(address, is_return=shown > 0)}".rstrip())
            shown += 1

    def _is_leaf(self, vcpu) -> bool:
        """Whether x30 is the caller: the function has not stored it, or takes it back. Its frame record says it then
        does not begin with the same return address."""
        try:
            saved = walks.strip_pac(vcpu.read_u64(vcpu.gpr(29) + 8), vcpu.va_bits)
        except Unreadable:
            return True
        return walks.strip_pac(vcpu.gpr(30), vcpu.va_bits) != saved and self._in_prologue(vcpu)

    def _in_prologue(self, vcpu) -> bool:
        found = None
        for elf, offset in guest_symbols:
            found = found or elf.find(vcpu.pc - offset)
        if found is None:
            return False
        start = vcpu.pc - found[1]
        code = vcpu.read(start, min(vcpu.pc - start, 256)) if vcpu.pc > start else b""
        words = [int.from_bytes(code[n:n + 4], "little") for n in range(0, len(code), 4)]
        # `stp x29, x30, ...` has not been executed yet: a leaf, or the first instructions.
        return not any(word & 0x7FFF == 0x7BFD and word >> 24 in (0xA9, 0xA8) for word in words)


class El2Command(Command):
    """el2 COMMAND: runs a gdb command with the hypervisor's memory in sight, wherever the CPU is stopped.

While the guest runs, gdb's own commands read memory through the guest's translation: `print g_vms` then shows what the
guest has at that address. `el2 print ...` shows the hypervisor's."""

    def __init__(self):
        super().__init__("el2", completer=gdb.COMPLETE_COMMAND)

    def invoke(self, argument, from_tty):
        with machine.physical():
            gdb.execute(argument, from_tty)

    def run(self, words):
        pass


class AttachCommand(gdb.Command):
    """arm-vcpu attach ELF: finds the hypervisor in the machine's memory and loads its symbols there."""

    def __init__(self):
        super().__init__("arm-vcpu", gdb.COMMAND_FILES, gdb.COMPLETE_NONE, True)
        _Sub("arm-vcpu attach", self.attach, gdb.COMPLETE_FILENAME, self.__doc__)
        _Sub("arm-vcpu guest-symbols", guest_symbols_command, gdb.COMPLETE_FILENAME,
             "arm-vcpu guest-symbols ELF [OFFSET]: a guest's symbols, OFFSET bytes above their link addresses.")
        _Sub("arm-vcpu console", guest_console.use, gdb.COMPLETE_FILENAME,
             "arm-vcpu console LOG SOCKET: where QEMU writes the console, and takes keys.")
        _Sub("arm-vcpu run-to-guest", run_to_guest, gdb.COMPLETE_NONE,
             "arm-vcpu run-to-guest: lets the machine run to the first instruction of the first guest.")

    @staticmethod
    def attach(words):
        if len(words) != 1:
            raise NotReady("usage: arm-vcpu attach ELF")
        machine.attach_image(words[0])
        say(f"{os.path.basename(words[0])} is at {machine.image.base:#x}")


class _Sub(gdb.Command):
    def __init__(self, name, action, completer, text):
        self.__doc__ = text
        super().__init__(name, gdb.COMMAND_FILES, completer)
        self._action = action

    def invoke(self, argument, from_tty):
        self._action(gdb.string_to_argv(argument))


def guest_symbols_command(words: list[str]) -> None:
    if len(words) not in (1, 2):
        raise NotReady("usage: arm-vcpu guest-symbols ELF [OFFSET]")
    offset = int(words[1], 0) if len(words) == 2 else 0
    guest_symbols.append((Elf(words[0]), offset))
    gdb.execute(f"add-symbol-file {words[0]} -o {offset:#x}", to_string=True)


def run_to_guest(_words=()) -> None:
    """The world switch is entered with the vCPU's context in x0; its frame has the guest's entry point."""
    entry = gdb.Breakpoint("arm_vcpu_enter_guest", internal=True, temporary=True)
    entry.condition = breakpoints.EL2_CONDITION
    entry.silent = True
    gdb.execute("continue", to_string=True)
    vcpu = vcpus.current()
    start = vcpu.pc
    breakpoints.GuestBreakpoint(start, temporary=True)
    gdb.execute("continue")
    say(f"vCPU {vcpu.name} is at its first instruction, {start:#x} {guest_symbol(start)}".rstrip())


def register() -> None:
    VcpuCommand("vcpu", gdb.COMMAND_STATUS)
    ExitsCommand("exits", gdb.COMMAND_STATUS)
    WalkCommand("walk")
    Stage2Command("s2")
    WhyCommand("why", gdb.COMMAND_STATUS)
    GuestBacktraceCommand("gbt", gdb.COMMAND_STACK)
    El2Command()
    guest_console.ConsoleCommand()
    guest_console.TypeCommand()
    AttachCommand()
