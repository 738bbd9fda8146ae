# SPDX-License-Identifier: Apache-2.0
"""Breakpoints by Exception level. The hypervisor and its guests use the same addresses for different things, and QEMU
stops at an address whoever executes it: a breakpoint in the hypervisor gets the condition that it is hit at EL2."""
import gdb

from . import machine

EL2_CONDITION = "$_el() == 2"
GUEST_CONDITION = "$_el() < 2"


class CurrentEl(gdb.Function):
    """$_el(): the Exception level of the selected CPU, 0 to 3."""

    def __init__(self):
        super().__init__("_el")

    def invoke(self):
        cpsr = int(gdb.newest_frame().read_register("cpsr"))
        return 0 if cpsr & 0x10 else cpsr >> 2 & 3


def _addresses(breakpoint: gdb.Breakpoint) -> list[int]:
    if hasattr(breakpoint, "locations"):
        return [location.address for location in breakpoint.locations]
    # gdb before 13 does not tell: ask it where the location is.
    try:
        found = gdb.decode_line(breakpoint.location)[1] or []
    except gdb.error:
        return []
    return [line.pc for line in found]


def on_created(breakpoint: gdb.Breakpoint) -> None:
    if breakpoint.type not in (gdb.BP_BREAKPOINT, gdb.BP_HARDWARE_BREAKPOINT) or breakpoint.condition:
        return
    if not breakpoint.is_valid() or breakpoint.number < 0 or machine.image.base is None:
        return
    addresses = _addresses(breakpoint)
    if not addresses or any(name in (breakpoint.location or "") for name in ("*",)):
        return  # `break *ADDRESS` is taken as it is written
    inside = [machine.image.contains(address) and machine.hypervisor_symbol(address) != "" for address in addresses]
    if all(inside):
        breakpoint.condition = EL2_CONDITION


class GuestBreakpoint(gdb.Breakpoint):
    """Stops at a virtual address of the guest, never at EL2."""

    def __init__(self, address: int, temporary: bool = False):
        super().__init__(f"*{address:#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=False, temporary=temporary)
        self.condition = GUEST_CONDITION
