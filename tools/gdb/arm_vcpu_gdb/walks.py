# SPDX-License-Identifier: Apache-2.0
"""Stage-1 and stage-2 table walks as the hardware does them, over whatever reads a descriptor. Pure Python, no gdb.
[armarm] "The VMSAv8-64 address translation system"."""
from collections.abc import Callable
from dataclasses import dataclass, field

PAGE_SHIFT_TG0 = {0: 12, 1: 16, 2: 14}
PAGE_SHIFT_TG1 = {1: 14, 2: 12, 3: 16}
PA_BITS = [32, 36, 40, 42, 44, 48, 52, 52]
STAGE2_TYPES = {0b0000: "device-nGnRnE", 0b0001: "device-nGnRE", 0b0010: "device-nGRE", 0b0011: "device-GRE",
                0b0101: "normal-nc", 0b1010: "normal-wt", 0b1111: "normal-wb"}
SHAREABILITY = ["non", "reserved", "outer", "inner"]


class Unreadable(Exception):
    """A descriptor, or what it translates, cannot be read: the text says why."""


def bits(value: int, hi: int, lo: int) -> int:
    return value >> lo & ((1 << (hi - lo + 1)) - 1)


def strip_pac(address: int, va_bits: int = 48) -> int:
    """A return address without its pointer authentication code: all bits above the VA as bit 55."""
    low = address & ((1 << va_bits) - 1)
    return low | ((1 << 64) - (1 << va_bits) if address >> 55 & 1 else 0)


@dataclass
class Step:
    level: int
    at: int  # address of the descriptor, in the space that the walk's tables are in
    descriptor: int
    what: str
    note: str = ""  # how the descriptor itself was reached


@dataclass
class Walk:
    steps: list[Step] = field(default_factory=list)
    output: int | None = None
    fault: str = ""
    region_bytes: int = 0
    attributes: str = ""

    @property
    def ok(self) -> bool:
        return self.output is not None


@dataclass
class Regime:
    """The shape of a tree of tables."""
    root: int
    input_bits: int
    page_shift: int
    start_level: int
    output_bits: int
    extended: bool = False  # TCR_ELx.DS, VTCR_EL2.DS: 52-bit addresses with 4 KiB and 16 KiB granules

    @property
    def bits_per_level(self) -> int:
        return self.page_shift - 3

    def shift(self, level: int) -> int:
        return self.page_shift + self.bits_per_level * (3 - level)

    @property
    def first_block_level(self) -> int:
        wide = self.extended or self.page_shift == 16 and self.output_bits == 52
        return {12: 1, 14: 2, 16: 2}[self.page_shift] - (1 if wide else 0)

    def output_of(self, descriptor: int, low: int) -> int:
        """The output address of a descriptor whose address bits begin at `low`."""
        if self.extended:
            return bits(descriptor, 49, low) << low | bits(descriptor, 9, 8) << 50
        if self.page_shift == 16 and self.output_bits == 52:
            return bits(descriptor, 47, max(low, 16)) << max(low, 16) | bits(descriptor, 15, 12) << 48
        return bits(descriptor, 47, low) << low


Read = Callable[[int], tuple[int, str]]


def walk(regime: Regime, address: int, read: Read, leaf_attributes: Callable[[int, int], str]) -> Walk:
    """`read(address)` gives the descriptor there and a note on how it was reached; it raises Unreadable."""
    result = Walk()
    table = regime.root
    for level in range(regime.start_level, 4):
        shift = regime.shift(level)
        top = regime.input_bits if level == regime.start_level else shift + regime.bits_per_level
        at = table + 8 * bits(address, top - 1, shift)
        try:
            descriptor, note = read(at)
        except Unreadable as error:
            result.fault = f"level {level}: the descriptor at {at:#x} cannot be read: {error}"
            return result
        result.region_bytes = 1 << shift
        is_leaf_level = level >= regime.first_block_level
        is_leaf = descriptor & 3 == 3 if level == 3 else descriptor & 3 == 1 and is_leaf_level
        is_table = level < 3 and descriptor & 3 == 3
        what = "table" if is_table else ("page" if level == 3 else "block") if is_leaf else "invalid"
        result.steps.append(Step(level, at, descriptor, what, note))
        if is_table:
            table = regime.output_of(descriptor, regime.page_shift)
            if table >> regime.output_bits:
                result.fault = f"address size fault, level {level}: the next table {table:#x} is beyond " \
                               f"{regime.output_bits} bits"
                return result
            continue
        if not is_leaf:
            result.fault = f"translation fault, level {level}"
            return result
        base = regime.output_of(descriptor, regime.page_shift) & ~((1 << shift) - 1)
        result.attributes = leaf_attributes(descriptor, level)
        if base >> regime.output_bits:
            result.fault = f"address size fault, level {level}: {base:#x} is beyond {regime.output_bits} bits"
            return result
        result.output = base | address & ((1 << shift) - 1)
        if not descriptor >> 10 & 1:
            result.fault = f"access flag fault, level {level} (without hardware management of the flag)"
        return result
    raise AssertionError("level 3 has no tables")


def stage2_regime(vttbr: int, vtcr: int) -> Regime:
    """Raises ValueError for a VTCR_EL2 that names no walk."""
    page_shift = PAGE_SHIFT_TG0.get(bits(vtcr, 15, 14))
    input_bits = 64 - bits(vtcr, 5, 0)
    extended = bool(bits(vtcr, 32, 32))
    sl0 = bits(vtcr, 7, 6)
    start = {12: {0: 2, 1: 1, 2: 0, 3: 3}, 14: {0: 3, 1: 2, 2: 1, 3: 0}, 16: {0: 3, 1: 2, 2: 1}}.get(page_shift, {}).get(sl0)
    if start is None or page_shift is None or not 16 <= input_bits <= 52:
        raise ValueError(f"VTCR_EL2 {vtcr:#x} describes no legal walk")
    if extended and page_shift == 12 and bits(vtcr, 33, 33) and sl0 == 0:
        start = -1
    root = bits(vttbr, 47, 1) << 1
    if extended or page_shift == 16 and PA_BITS[bits(vtcr, 18, 16)] == 52:
        root = (root & ~0x3F) | bits(vttbr, 5, 2) << 48
    return Regime(root, input_bits, page_shift, start, PA_BITS[bits(vtcr, 18, 16)], extended)


def stage2_attributes(descriptor: int, _level: int) -> str:
    kind = STAGE2_TYPES.get(bits(descriptor, 5, 2), f"MemAttr={bits(descriptor, 5, 2):#x}")
    s2ap = bits(descriptor, 7, 6)
    xn = bits(descriptor, 54, 54)
    return f"{kind} {'r' if s2ap & 1 else '-'}{'w' if s2ap & 2 else '-'}{'-' if xn else 'x'} " \
           f"{SHAREABILITY[bits(descriptor, 9, 8)]}-shareable"


def stage2_walk(vttbr: int, vtcr: int, ipa: int, read: Read) -> Walk:
    regime = stage2_regime(vttbr, vtcr)
    if ipa >> regime.input_bits:
        return Walk(fault=f"translation fault, level 0: the IPA is beyond {regime.input_bits} bits")
    return walk(regime, ipa, read, stage2_attributes)


@dataclass
class Stage1:
    """The registers that decide an EL1&0 stage-1 walk."""
    sctlr: int
    tcr: int
    ttbr0: int
    ttbr1: int
    mair: int

    @property
    def enabled(self) -> bool:
        return bool(self.sctlr & 1)

    def va_bits(self, upper: bool) -> int:
        return 64 - (bits(self.tcr, 21, 16) if upper else bits(self.tcr, 5, 0))

    def regime(self, upper: bool) -> Regime | None:
        """None: walks through this TTBR are off (EPD), or the granule is reserved."""
        page_shift = (PAGE_SHIFT_TG1.get(bits(self.tcr, 31, 30)) if upper else PAGE_SHIFT_TG0.get(bits(self.tcr, 15, 14)))
        walks_off = bits(self.tcr, 23, 23) if upper else bits(self.tcr, 7, 7)
        if walks_off or page_shift is None:
            return None
        extended = bool(bits(self.tcr, 59, 59))
        input_bits = self.va_bits(upper)
        per_level = page_shift - 3
        levels = -(-(input_bits - page_shift) // per_level)
        ttbr = self.ttbr1 if upper else self.ttbr0
        output_bits = PA_BITS[bits(self.tcr, 34, 32)]
        if not extended and page_shift != 16:
            output_bits = min(output_bits, 48)
        root = bits(ttbr, 47, 1) << 1
        if output_bits == 52:
            root = root & ~0x3F | bits(ttbr, 5, 2) << 48
        return Regime(root, input_bits, page_shift, 4 - levels, output_bits, extended)

    def attributes(self, descriptor: int, _level: int) -> str:
        attr = bits(self.mair, 8 * bits(descriptor, 4, 2) + 7, 8 * bits(descriptor, 4, 2))
        ap = bits(descriptor, 7, 6)
        el1 = "r" + ("-" if ap & 2 else "w") + ("-" if bits(descriptor, 53, 53) else "x")
        el0 = ("r" + ("-" if ap & 2 else "w") if ap & 1 else "--") + ("-" if bits(descriptor, 54, 54) else "x")
        return f"{mair_name(attr)} EL1 {el1} EL0 {el0} {'nG' if descriptor >> 11 & 1 else 'global'}"


def mair_name(attr: int) -> str:
    if attr & 0xF0 == 0:
        return {0x0: "device-nGnRnE", 0x4: "device-nGnRE", 0x8: "device-nGRE", 0xC: "device-GRE"}.get(attr, f"MAIR {attr:#x}")
    if attr == 0xF0:
        return "tagged-wb"
    outer, inner = attr >> 4, attr & 0xF
    name = {0x4: "nc", 0xF: "wb", 0xB: "wt", 0xA: "wt", 0xE: "wb", 0x7: "wb", 0x5: "wb", 0x6: "wb"}
    return f"normal-{name.get(outer, hex(outer))}" if outer == inner else f"normal-{name.get(outer, hex(outer))}/{name.get(inner, hex(inner))}"


def stage1_walk(registers: Stage1, va: int, read: Read) -> Walk:
    """`read` takes IPAs. With the MMU off the IPA is the VA."""
    if not registers.enabled:
        return Walk(output=va, attributes="stage 1 is off (SCTLR_EL1.M is 0): the IPA is the VA")
    upper = bool(va >> 55 & 1)
    top_byte_ignored = bits(registers.tcr, 38, 38) if upper else bits(registers.tcr, 37, 37)
    regime = registers.regime(upper)
    which = "TTBR1_EL1" if upper else "TTBR0_EL1"
    if regime is None:
        return Walk(fault=f"translation fault, level 0: TCR_EL1 turns walks through {which} off")
    highest = 55 if top_byte_ignored else 63
    above = bits(va, highest, regime.input_bits)
    if above != ((1 << (highest + 1 - regime.input_bits)) - 1 if upper else 0):
        return Walk(fault=f"translation fault, level 0: the VA is beyond the {regime.input_bits} bits of {which}")
    return walk(regime, va, read, registers.attributes)


def frames(pc: int, fp: int, lr: int, leaf: bool, read: Callable[[int], int], va_bits: int = 48, limit: int = 64):
    """Return addresses from the frame records at x29, as (address, fp). Ends where a record cannot be read, is not
    above the last one, or is null; a text says which."""
    yield pc, fp
    if leaf and strip_pac(lr, va_bits) not in (0, pc):
        yield strip_pac(lr, va_bits), fp
    for _ in range(limit):
        if fp == 0:
            return
        if fp % 8:
            yield f"the frame pointer {fp:#x} is not aligned", fp
            return
        try:
            next_fp, address = read(fp), read(fp + 8)
        except Unreadable as error:
            yield f"the frame record at {fp:#x} cannot be read: {error}", fp
            return
        address = strip_pac(address, va_bits)
        if address == 0:
            return
        yield address, next_fp
        if next_fp != 0 and next_fp <= fp:
            yield f"the frame record at {fp:#x} does not lead upward ({next_fp:#x})", next_fp
            return
        fp = next_fp
    yield f"more than {limit} frames", fp
