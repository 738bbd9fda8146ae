# SPDX-License-Identifier: Apache-2.0
"""gdb's view of the hypervisor: `source tools/gdb/init.py`, or `./x gdb`, which does it. tables, walks and elf need no gdb."""
