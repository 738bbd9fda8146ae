# SPDX-License-Identifier: Apache-2.0
"""Frames of the hypervisor. Its return addresses on the stack are signed, its assembly has no unwind tables, and QEMU's
stub does not tell gdb which bits the code takes, so gdb's own unwinder ends at the first frame. Every function keeps a
frame pointer; this one reads the prologue up to the PC."""
import struct

import gdb
from gdb.FrameDecorator import FrameDecorator
from gdb.unwinder import Unwinder

from . import machine
from .walks import strip_pac

ENTER_GUEST_FRAME = 96  # arm_vcpu_enter_guest: x29, x30, x19 to x28
LONGEST_PROLOGUE = 64  # instructions
PACIASP, AUTIASP, RET = 0xD503233F, 0xD50323BF, 0xD65F03C0


class FrameId:
    def __init__(self, sp: int, pc: int):
        self.sp = sp
        self.pc = pc


class Prologue:
    """What the instructions from the start of a function to the PC have done: `size` bytes of stack, registers saved at
    offsets from the lowest of them, x29 at `frame_offset` (None: not set up)."""

    def __init__(self, code: list[int]):
        self.size = 0
        self.saved: dict[int, int] = {}
        self.frame_offset: int | None = None
        for word in code:
            self._step(word)

    def _step(self, word: int) -> None:
        rn, rt, rt2 = word >> 5 & 31, word & 31, word >> 10 & 31
        if self.frame_offset is None and word & 0xFFC003FF == 0xD10003FF:  # sub sp, sp, #imm
            self._grow((word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0))
        elif word & 0xFFC003E0 == 0xA98003E0:  # stp rt, rt2, [sp, #imm]!
            self._grow(-_signed(word >> 15 & 0x7F, 7) * 8)
            self.saved |= {rt: 0, rt2: 8}
        elif word & 0xFFC003E0 == 0xA90003E0:  # stp rt, rt2, [sp, #imm]
            offset = _signed(word >> 15 & 0x7F, 7) * 8
            self.saved |= {rt: offset, rt2: offset + 8} if {rt, rt2} & set(range(19, 31)) else {}
        elif word & 0xFFE00FE0 == 0xF8000FE0 and rn == 31:  # str rt, [sp, #imm]!
            self._grow(-_signed(word >> 12 & 0x1FF, 9))
            self.saved[rt] = 0
        elif word & 0xFFC003E0 == 0xF90003E0 and 19 <= rt <= 30:  # str rt, [sp, #imm]
            self.saved.setdefault(rt, (word >> 10 & 0xFFF) * 8)
        elif word & 0xFFC003FF == 0x910003FD:  # add x29, sp, #imm; mov x29, sp
            self.frame_offset = word >> 10 & 0xFFF

    def _grow(self, count: int) -> None:
        if self.frame_offset is not None:
            return  # below the frame: x29 does not move
        self.size += count
        self.saved = {register: offset + count for register, offset in self.saved.items()}


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> width - 1 else value


class Decorator(FrameDecorator):
    """Names what gdb cannot: code of the assembly files, and a noreturn call at the end of its function."""

    def function(self):
        frame = self.inferior_frame()
        pc = frame.pc()
        if frame.function() is not None or not machine.image.contains(pc):
            return frame.name()
        name = machine.hypervisor_symbol(pc - (1 if frame.level() else 0)).split("+")[0]
        return name or "(world switch)"


class FrameNames:
    """Leaves the frame at PC 0 out of backtraces: it says that there is no caller, see _caller()."""

    name = "arm_vcpu-frames"
    enabled = True
    priority = 100

    def filter(self, frames):
        for frame in frames:
            inferior_frame = frame.inferior_frame()
            if inferior_frame.level() == 0 or inferior_frame.pc() != 0:
                yield Decorator(frame)


class HypervisorUnwinder(Unwinder):
    def __init__(self):
        super().__init__("arm_vcpu-el2")
        self._prologues: dict[tuple[int, int], Prologue] = {}

    def __call__(self, pending):
        try:
            pc = int(pending.read_register("pc"))
            if not machine.image.contains(pc) or int(pending.read_register("cpsr")) >> 2 & 3 != 2:
                return None
            return self._unwind(pending, pc)
        except (gdb.error, ValueError, KeyError):
            return None

    def _unwind(self, pending, pc: int):
        sp, fp, lr = (int(pending.read_register(name)) for name in ("sp", "x29", "x30"))
        # A return address can be just behind the function's last instruction: look the caller up one below.
        inside = pc - (1 if pending.level() else 0)
        found = machine.image.elf.find(inside - machine.image.base)
        name, offset = found if found else ("", 0)
        start = inside - offset
        if name in ("arm_vcpu_vectors", "arm_vcpu_enter_guest") or not found:
            return self._world_switch(pending, fp, sp)
        prologue = self._prologue(start, pc)
        word, = struct.unpack("<I", gdb.selected_inferior().read_memory(pc, 4).tobytes())
        if prologue.frame_offset is None or word in (RET, AUTIASP):
            cfa = sp + (prologue.size if word not in (RET, AUTIASP) else 0)
            base = sp
            saved = prologue.saved if word not in (RET, AUTIASP) else {}
        else:
            base = fp - prologue.frame_offset
            cfa = base + prologue.size
            saved = prologue.saved
        return self._caller(pending, start, cfa, {register: base + at for register, at in saved.items()}, fp, lr)

    def _prologue(self, start: int, pc: int) -> Prologue:
        end = min(pc, start + 4 * LONGEST_PROLOGUE)
        if (start, end) not in self._prologues:
            data = gdb.selected_inferior().read_memory(start, end - start).tobytes() if end > start else b""
            self._prologues[start, end] = Prologue([w for w, in struct.iter_unpack("<I", data)])
        return self._prologues[start, end]

    def _world_switch(self, pending, fp: int, sp: int):
        """Behind vmexit_handler(): SP and x29 are at the frame that arm_vcpu_enter_guest made."""
        if fp != sp:
            return None  # SP is the vCPU's context: nothing has been switched to the host's stack yet
        saved = {29: fp, 30: fp + 8} | {19 + n: fp + 16 + 8 * n for n in range(10)}
        return self._caller(pending, machine.image.base, fp + ENTER_GUEST_FRAME, saved, fp, 0)

    def _caller(self, pending, start: int, cfa: int, saved: dict[int, int], fp: int, lr: int):
        info = pending.create_unwind_info(FrameId(gdb.Value(cfa), gdb.Value(start)))
        word = gdb.lookup_type("unsigned long")
        inferior = gdb.selected_inferior()

        def load(at: int) -> int:
            return struct.unpack("<Q", inferior.read_memory(at, 8).tobytes())[0]

        # The boot code enters C++ with x29 0: there is no caller. gdb ends at PC 0 without a word.
        address = strip_pac(load(saved[30]) if 30 in saved else lr) if fp or 29 in saved else 0
        for n in range(19, 30):
            value = gdb.Value(load(saved[n])).cast(word) if n in saved else pending.read_register(f"x{n}")
            info.add_saved_register(f"x{n}", value)
        info.add_saved_register("x30", gdb.Value(address).cast(word))  # as the call left it
        info.add_saved_register("pc", gdb.Value(address).cast(word))
        info.add_saved_register("sp", gdb.Value(cfa).cast(word))
        info.add_saved_register("cpsr", pending.read_register("cpsr"))
        return info
