# SPDX-License-Identifier: Apache-2.0
"""The guest that raises every exit reason and checks each outcome. Arguments: CPU model, number of vCPUs, options of
`./x run`."""
import re
import sys

from harness import ROOT, Machine, check, run

SECONDS = 20
NEVER = {"Nothing", "FailEntry"}  # not a guest's doing
OF_RESET = {"SystemReset"}  # guests_reset.py
OF_TWO = {"CpuUp", "CpuDown"}
# A register that the guest is not given must exist to trap: cortex-a57 has none but the performance monitors. With two
# vCPUs writes to ICC_DIR_EL1 trap.
OF_HIDDEN_REGISTERS = {"SysRegRead", "SysRegWrite"}


def raised_by(cpu: str, vcpus: int) -> set[str]:
    expected = reasons() - NEVER - OF_RESET - (OF_TWO if vcpus < 2 else set())
    if cpu == "cortex-a57" and "--no-pmu" not in sys.argv:
        expected -= OF_HIDDEN_REGISTERS - ({"SysRegWrite"} if vcpus > 1 else set())
    return expected


def reasons() -> set[str]:
    table = (ROOT / "include/arm_vcpu/exit_reason.def").read_text(encoding="utf-8")
    return set(re.findall(r"^VCPU_EXIT\((\w+),", table, re.MULTILINE))


def test() -> None:
    cpu, vcpus = sys.argv[1], int(sys.argv[2])
    with Machine("--kernel", ROOT / "build/el2/guests/exits.img", "--memory", 128, "--cpu", cpu,
                 "--vcpus", vcpus, *sys.argv[3:]) as machine:
        machine.expect(rf"^exits: {vcpus} virtual CPUs", 120)
        machine.ends_with(0, SECONDS)
    failures = re.findall(r"^FAIL .*", machine.output, re.MULTILINE)
    check(not failures, "; ".join(line.strip() for line in failures))
    done = re.search(r"^DONE (\d+)/(\d+)", machine.output, re.MULTILINE)
    check(done is not None, "the guest did not come to its end")
    check(done.group(1) == done.group(2), f"{done.group(1)} of {done.group(2)} checks passed")
    check(int(done.group(2)) > 250, f"only {done.group(2)} checks were made")
    seen = set(re.findall(r"^\[hv\] vm0 vcpu\d+ +(\w+) +\d+ +\d", machine.output, re.MULTILINE))
    expected = raised_by(cpu, vcpus)
    check(expected <= seen, f"not in the exit table: {', '.join(sorted(expected - seen))}")


run(test)
