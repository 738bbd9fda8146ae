# SPDX-License-Identifier: Apache-2.0
"""U-Boot for QEMU's arm64 virt machine, as a firmware guest: to its prompt, an answer, power off. Arguments: options of
`./x run`."""
import sys

from harness import BOOT_SECONDS, Machine, check, run

UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"


def test() -> None:
    with Machine("--firmware", UBOOT, *sys.argv[1:]) as machine:
        machine.expect(r"U-Boot 20\d\d\.", BOOT_SECONDS)
        machine.expect(r"Hit any key to stop autoboot", BOOT_SECONDS)
        machine.send(" ")
        machine.expect(r"^=> ")
        machine.send("version\n")
        machine.expect(r"^U-Boot 20\d\d\..*[\s\S]*?^=> ")
        machine.send("fdt addr $fdtcontroladdr; fdt print /psci method\n")
        check(machine.expect(r'^method = "(\w+)"').group(1) == "hvc", "the machine's PSCI is not by hvc")
        machine.expect(r"^=> ")
        machine.send("poweroff\n")
        machine.ends_with(0)


run(test)
