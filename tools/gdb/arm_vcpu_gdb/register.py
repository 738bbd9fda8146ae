# SPDX-License-Identifier: Apache-2.0
"""Makes all of it known to gdb, when it is imported."""
import gdb
import gdb.printing
import gdb.unwinder

from . import breakpoints, commands, printers, unwinder

gdb.printing.register_pretty_printer(None, printers.build(), replace=True)
gdb.unwinder.register_unwinder(None, unwinder.HypervisorUnwinder(), replace=True)
gdb.frame_filters[unwinder.FrameNames.name] = unwinder.FrameNames()
breakpoints.CurrentEl()
gdb.events.breakpoint_created.connect(breakpoints.on_created)
commands.register()
