# SPDX-License-Identifier: Apache-2.0
"""`reboot` boots again, every time with all CPUs; `poweroff` then ends with status 0. Arguments: number of
vCPUs, options of `./x run`."""
import sys

from harness import Machine, check, run


def test() -> None:
    count = sys.argv[1]
    with Machine("--vcpus", count, *sys.argv[2:]) as machine:
        machine.boot()
        machine.shell("echo before > /tmp/mark")
        for _ in range(2):
            machine.send("reboot\n")
            machine.boot()
            check(machine.shell("grep -c ^processor /proc/cpuinfo") == count, "a CPU is missing after the reboot")
            check(machine.shell("test -e /tmp/mark && echo kept || echo gone") == "gone", "the guest did not restart")
        machine.poweroff()


run(test)
