# SPDX-License-Identifier: Apache-2.0
"""Healthy guests are not diagnosed. Argument: linux.1, linux.4, uboot or reset."""
import re
import sys

from harness import BOOT_SECONDS, ROOT, Machine, check, run

UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"


def linux(machine: Machine) -> None:
    machine.boot()
    # Idle for longer than the pre-set looks at a sleeper, then busy in the kernel and in a program.
    machine.shell("sleep 2; for i in 1 2 3 4; do cat /proc/kallsyms > /dev/null; done; dmesg > /dev/null")
    machine.poweroff()


def uboot(machine: Machine) -> None:
    machine.expect(r"Hit any key to stop autoboot", BOOT_SECONDS)
    machine.send(" ")
    machine.expect(r"^=> ")
    machine.send("sleep 2; poweroff\n")
    machine.ends_with(0)


def reset(machine: Machine) -> None:
    machine.expect(r"^reset: second boot", BOOT_SECONDS)
    machine.ends_with(0)


GUESTS = {"linux.1": (["--vcpus", 1], linux), "linux.4": (["--vcpus", 4], linux), "uboot": (["--firmware", UBOOT], uboot),
          "reset": (["--kernel", ROOT / "build/el2/guests/reset.img", "--memory", 128, "--vcpus", 2], reset)}


def test() -> None:
    arguments, drive = GUESTS[sys.argv[1]]
    with Machine(*arguments) as machine:
        drive(machine)
        found = re.search(r"^\[hv\] (AV\d{4} .*)", machine.output, re.MULTILINE)
        check(found is None, f"a healthy guest was diagnosed: {found and found[1]}")


run(test)
