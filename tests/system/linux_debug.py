# SPDX-License-Identifier: Apache-2.0
"""Linux finds breakpoints, watchpoints and performance monitors, and they work: a process that debugs another one and
counts its cycles (guests/linux-programs/hwdebug.cpp), on all CPUs at once. With --pmu off there are no performance
monitors. Arguments: CPU model, number of vCPUs, on or off, options of
`./x run`."""
import re
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Machine, check, run

sys.path.insert(0, str(ROOT / "scripts"))
from xlib import initramfs, paths  # noqa: E402


def test() -> None:
    cpu, count, pmu = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    initramfs.ensure()
    with tempfile.TemporaryDirectory() as folder:
        initrd = Path(folder) / "initrd"
        program = (ROOT / "build/el2/guests/hwdebug").read_bytes()
        initrd.write_bytes(paths.GUEST_INITRAMFS.read_bytes() + initramfs.appendix({"usr/bin/hwdebug": program}))
        with Machine("--kernel", paths.GUEST_KERNEL, "--initrd", initrd, "--append", "console=ttyAMA0 cryptomgr.notests",
                     "--cpu", cpu, "--vcpus", count, "--pmu", pmu, *sys.argv[4:]) as machine:
            machine.boot()
            found = machine.shell("dmesg | grep hw-breakpoint")
            counts = re.search(r"found (\d+) breakpoint and (\d+) watchpoint registers", found)
            check(counts is not None and min(map(int, counts.groups())) >= 2, f"the kernel says: {found}")
            interrupts = machine.shell("grep -c arm-pmu /proc/interrupts || true")
            if pmu == "off":
                check(interrupts == "0", "the interrupt of performance monitors that are hidden")
                devices = machine.shell("ls /sys/bus/event_source/devices")
                check("armv8" not in devices, f"performance monitors that are hidden: {devices}")
                machine.poweroff()
                return
            driver = machine.shell("dmesg | grep 'hw perfevents'")
            check("PMU driver" in driver and "counters available" in driver, f"the kernel says: {driver}")
            machine.shell("dmesg -n 1")  # the kernel's remarks stay out of what the programs write
            said = machine.shell("for i in $(seq %d); do hwdebug & done; wait" % count, 120)
            check(said.count("hwdebug: all right") == count and "FAIL" not in said, "hwdebug failed")
            overflows = machine.shell("grep arm-pmu /proc/interrupts")
            taken = [int(word) for word in overflows.split()[1:1 + count]]
            check(sum(taken) >= 2 * count, f"overflow interrupts: {taken}")
            machine.poweroff()


run(test)
