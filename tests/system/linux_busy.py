# SPDX-License-Identifier: Apache-2.0
"""Busy work on all CPUs for a while: no stall, no lost tick, and a clock that agrees with the host's within 1 %.
Arguments: number of vCPUs, seconds."""
import sys
import time

from harness import Machine, check, run

COMPLAINTS = "rcu.*(stall|kthread starved)|soft lockup|hard LOCKUP|hung_task|clocksource.*unstable|WARNING|BUG"


def clock(machine: Machine) -> tuple[float, float, float]:
    """(guest's seconds, host's seconds, half of the question's duration): the fastest of some questions."""
    samples = []
    for _ in range(8):
        before = time.monotonic()
        guest = float(machine.shell("cut -d' ' -f1 /proc/uptime"))
        after = time.monotonic()
        samples.append(((after - before) / 2, guest, (before + after) / 2))
    half, guest, host = min(samples)
    return guest, host, half


def ticks(machine: Machine) -> list[int]:
    line = machine.shell("grep arch_timer /proc/interrupts")
    return [int(word) for word in line.split(":")[1].split() if word.isdigit()]


def test() -> None:
    count, seconds = int(sys.argv[1]), int(sys.argv[2])
    with Machine("--vcpus", count) as machine:
        machine.boot()
        guest_begin, host_begin, error_begin = clock(machine)
        before = ticks(machine)[:count]
        check(len(before) == count, f"/proc/interrupts shows {len(before)} CPUs")
        machine.shell("dmesg -n 1")  # the kernel's lines would stand between the shell's
        spin = "while :; do :; done"
        for cpu in range(count):
            machine.shell(f"taskset {1 << cpu:x} sh -c '{spin}' >/dev/null 2>&1 & :")
        # Sleeps of all lengths beside the loops: each one that does not come back would stop this line.
        naps = f"n=0; end=$(( $(date +%s) + {seconds} )); while [ $(date +%s) -lt $end ]; do usleep 30000; sleep 0.2; "
        naps += "n=$((n+1)); done; echo naps $n"
        result = machine.shell(naps, seconds * 3 + 120)
        check(int(result.split()[-1]) >= 2, f"too few sleeps came back: {result}")
        after = ticks(machine)[:count]
        machine.shell("kill $(jobs -p); wait || true")
        guest_end, host_end, error_end = clock(machine)
        guest, host = guest_end - guest_begin, host_end - host_begin
        print(f"\nguest {guest:.2f} s, host {host:.2f} s; ticks per CPU {[b - a for a, b in zip(before, after)]}")
        # /proc/uptime has hundredths; the question itself takes a moment at both ends.
        slack = 0.02 + error_begin + error_end
        check(abs(guest - host) <= 0.01 * host + slack, f"the clocks part: guest {guest:.2f} s, host {host:.2f} s")
        for cpu, (first, last) in enumerate(zip(before, after)):
            # A busy CPU of Debian's kernel ticks 250 times a second; a busy host lets some of them run together.
            check(last - first >= 5 * seconds, f"CPU {cpu} had {last - first} timer interrupts in {seconds} s")
        complaints = machine.shell(f"dmesg | grep -E '{COMPLAINTS}' || true")
        check(complaints == "", f"the kernel complains: {complaints}")
        machine.poweroff()


run(test)
