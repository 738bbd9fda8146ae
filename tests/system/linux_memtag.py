# SPDX-License-Identifier: Apache-2.0
"""Linux finds allocation tags on every CPU, and processes use them on all CPUs at once (guests/linux-programs/memtag.cpp).
Arguments: number of vCPUs, options of `./x run`."""
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Machine, check, run

sys.path.insert(0, str(ROOT / "scripts"))
from xlib import initramfs, paths  # noqa: E402


def test() -> None:
    count = int(sys.argv[1])
    initramfs.ensure()
    with tempfile.TemporaryDirectory() as folder:
        initrd = Path(folder) / "initrd"
        program = (ROOT / "build/el2/guests/memtag").read_bytes()
        initrd.write_bytes(paths.GUEST_INITRAMFS.read_bytes() + initramfs.appendix({"usr/bin/memtag": program}))
        with Machine("--kernel", paths.GUEST_KERNEL, "--initrd", initrd, "--append", "console=ttyAMA0 cryptomgr.notests",
                     "--vcpus", count, "--mte", "on", *sys.argv[2:]) as machine:
            machine.boot()
            check(machine.shell("grep -c -w mte /proc/cpuinfo || true") == str(count), "not every CPU has mte")
            machine.shell("dmesg -n 1")  # the kernel's remarks stay out of what the programs write
            said = machine.shell("for i in $(seq %d); do memtag & done; wait" % (2 * count), 120)
            check(said.count("memtag: all right") == 2 * count and "FAIL" not in said, "memtag failed")
            complaints = machine.shell(r"dmesg | grep -E 'WARNING|BUG|Oops' || true")
            check(complaints == "", f"the kernel complains: {complaints}")
            machine.poweroff()


run(test)
