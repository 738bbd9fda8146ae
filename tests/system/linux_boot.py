# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel boots to a shell, has all its CPUs, and powers off. Arguments: CPU model, number of
vCPUs, and of physical CPUs if that is another."""
import sys

from harness import Machine, check, run


def test() -> None:
    cpu, count = sys.argv[1], int(sys.argv[2])
    fewer = ["--pcpus", sys.argv[3]] if len(sys.argv) > 3 else []
    with Machine("--cpu", cpu, "--vcpus", count, *fewer) as machine:
        machine.boot()
        found = machine.shell("grep -c ^processor /proc/cpuinfo")
        check(found == str(count), f"/proc/cpuinfo has {found} CPUs")
        online = machine.shell("cat /sys/devices/system/cpu/online")
        check(online == ("0" if count == 1 else f"0-{count - 1}"), f"online CPUs: {online}")
        has_sve = machine.shell("grep -c -w sve /proc/cpuinfo || true") == str(count)
        check(has_sve == cpu.startswith("max"), "/proc/cpuinfo does not say of SVE what the CPU has")
        check(machine.shell("grep -c -w mte /proc/cpuinfo || true") == "0", "/proc/cpuinfo says mte, and nobody asked for it")
        complaints = machine.shell(r"dmesg | grep -E 'WARNING|BUG|Oops|CPU[0-9]+: failed|stall|lockup' || true")
        check(complaints == "", f"the kernel complains: {complaints}")
        machine.poweroff()


run(test)
