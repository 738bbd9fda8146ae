# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel boots to a shell, has all its CPUs, and powers off; nothing is diagnosed. Arguments: CPU model, number of
vCPUs, options of `./x run`."""
import re
import sys

from harness import Machine, check, run


def test() -> None:
    cpu, count = sys.argv[1], int(sys.argv[2])
    options = sys.argv[3:]
    gic = options[options.index("--gic") + 1] if "--gic" in options else "3"
    with Machine("--cpu", cpu, "--vcpus", count, *options) as machine:
        machine.boot()
        found = machine.shell("grep -c ^processor /proc/cpuinfo")
        check(found == str(count), f"/proc/cpuinfo has {found} CPUs")
        online = machine.shell("cat /sys/devices/system/cpu/online")
        check(online == ("0" if count == 1 else f"0-{count - 1}"), f"online CPUs: {online}")
        has_sve = machine.shell("grep -c -w sve /proc/cpuinfo || true") == str(count)
        check(has_sve == cpu.startswith("max"), "/proc/cpuinfo does not say of SVE what the CPU has")
        check(machine.shell("grep -c -w mte /proc/cpuinfo || true") == "0", "/proc/cpuinfo says mte, and nobody asked for it")
        controller = machine.shell("grep arch_timer /proc/interrupts")
        check({"2": "GIC-0 ", "3": "GICv3 "}[gic] in controller, f"the interrupt controller is another: {controller}")
        complaints = machine.shell(r"dmesg | grep -E 'WARNING|BUG|Oops|CPU[0-9]+: failed|stall|lockup' || true")
        check(complaints == "", f"the kernel complains: {complaints}")
        machine.poweroff()
    found = re.findall(r"^\[hv\] AV\d{4} .*", machine.output, re.MULTILINE)
    check(not found, f"a healthy boot, and it was diagnosed: {found}")


run(test)
