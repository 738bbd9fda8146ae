# SPDX-License-Identifier: Apache-2.0
"""gdb's view of the hypervisor: `source tools/gdb/init.py`, or `./x gdb`, which does it."""
import gdb
import gdb.printing
import gdb.unwinder

from . import breakpoints, commands, printers, unwinder

gdb.printing.register_pretty_printer(None, printers.build(), replace=True)
gdb.unwinder.register_unwinder(None, unwinder.HypervisorUnwinder(), replace=True)
breakpoints.CurrentEl()
gdb.events.breakpoint_created.connect(breakpoints.on_created)
commands.register()
