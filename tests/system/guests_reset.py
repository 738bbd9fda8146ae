# SPDX-License-Identifier: Apache-2.0
"""SYSTEM_RESET of a guest in disorder: its second boot begins like the first. Arguments: number of vCPUs, what else `./x run` gets ..."""
import re
import sys

from harness import ROOT, Machine, check, run


def test() -> None:
    vcpus = int(sys.argv[1])
    with Machine("--kernel", ROOT / "build/el2/guests/reset.img", "--memory", 128, "--vcpus", vcpus,
                 *sys.argv[2:]) as machine:
        machine.expect(rf"^reset: first boot, {vcpus} CPUs", 120)
        machine.expect(r"^PASS disorder\.interrupt_taken")
        machine.expect(rf"^reset: second boot, {vcpus} CPUs", 20)
        machine.ends_with(0, 20)
    checks_tags = re.search(r"^PASS reset\.tags\s", machine.output, re.MULTILINE) is not None
    check(checks_tags == ("--mte" in sys.argv), "the tags were not looked at")
    check("FAIL " not in machine.output, "a check failed")
    check(re.search(r"^DONE (\d+)/\1\s", machine.output, re.MULTILINE) is not None, "the second boot was not checked")
    check(len(re.findall(r"^reset: ", machine.output, re.MULTILINE)) == 2, "it did not boot exactly twice")
    check(re.search(r"^\[hv\] vm0 vcpu0 +SystemReset +1 ", machine.output, re.MULTILINE) is not None,
          "not in the exit table: SystemReset")


run(test)
