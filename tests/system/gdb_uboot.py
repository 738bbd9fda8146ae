# SPDX-License-Identifier: Apache-2.0
"""Firmware under gdb: from its first instruction, with keys typed from gdb, to its SYSTEM_OFF."""
from gdb_session import Part, Session, expect
from harness import check, run

COMMANDS = ["p/x $pc", "vcpu", "s2 0", r"type \x03\x03poweroff\n",
            "break handle_psci_call if ((arm_vcpu::VCpuContext*)$x0)->frame.gpr.x[0] == 0x84000008",
            "continue", "why", "exits 2", "console 4", "walk $SP_EL1", "gbt"]


def test() -> None:
    session = Session(["--firmware", "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "--guest"], COMMANDS, 150)
    part: Part = session.part(COMMANDS)
    check("= 0x0" in part.of("p/x $pc"), "--guest does not stop at the flash's first instruction")
    expect(part.of("vcpu"), r"^0\.0\* +on +0 +EL1h +0x0000000000000000 +- +the guest runs", "vcpu at the first instruction")
    expect(part.of("s2 0"), r"normal-wb r-x", "the flash's attributes")
    expect(part.of("why"), r"the guest made an HVC: SYSTEM_OFF \(0x84000008\)", "why")
    expect(part.of("exits 2"), r"hvc64 +open .*SYSTEM_OFF", "exits")
    expect(part.of("console 4"), r"=> poweroff", "the console")
    expect(part.of("walk $SP_EL1"), r"memory there: 0x", "a walk of the firmware's stack")


run(test)
