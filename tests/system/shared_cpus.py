# SPDX-License-Identifier: Apache-2.0
"""Two Linux VMs with two vCPUs each share physical CPUs: both boot, keep time, and get equal shares of the CPUs: the longer
the loops run, the nearer, and within 5 % in the end. Argument: number of physical CPUs."""
import re
import sys
import tempfile
import time
from pathlib import Path

from harness import BOOT_SECONDS, ROOT, SLOWDOWN, Machine, check, run

LEAST_SECONDS, MOST_SECONDS = 5.0, 60.0
# One busy loop on each vCPU; each says how far it is, and what time its kernel thinks it is.
LOOP = ("n=0; while :; do i=0; while [ $i -lt 500 ]; do i=$((i+1)); done; n=$((n+1)); read u r < /proc/uptime; "
        "echo at cpu$0 $n $u; done")
SCRIPT = (f"dmesg -n 1; export LOOP='{LOOP}'; for c in 1 2; do taskset $c sh -c 'eval $LOOP' $c & done; "
          "sleep 600")
VM = """
    {name} {{
      compatible = "arm-vcpu,vm";
      kernel = "linux";
      ramdisk = "initramfs";
      bootargs = "console=ttyAMA0 cryptomgr.notests autorun=\\"{script}\\"";
      cpus = <2>;
      memory-mib = <192>;
    }};"""
BUNDLE = """/dts-v1/;
/ {{
  compatible = "arm-vcpu,bundle";
  images {{
    linux {{ data = /incbin/("{root}/.cache/guest/Image"); type = "kernel"; arch = "arm64"; compression = "none"; }};
    initramfs {{ data = /incbin/("{root}/.cache/guest/initramfs.cpio.gz"); type = "ramdisk"; arch = "arm64";
      compression = "none"; }};
  }};
  vms {{{vms}
  }};
}};
"""


class Window:
    """What the loops have said since it began: chunks of work by VM and vCPU, and the clocks of the VMs."""

    def __init__(self):
        self.chunks: dict[tuple[int, int], int] = {}
        self.clock: dict[int, tuple[float, float, float, float]] = {}  # guest's and host's, at the first and last line

    def add(self, vm: int, cpu: int, uptime: float) -> None:
        now = time.monotonic()
        self.chunks[vm, cpu] = self.chunks.get((vm, cpu), 0) + 1
        first = self.clock.get(vm, (uptime, now, uptime, now))
        if uptime >= self.clock.get(vm, first)[2]:  # the lines of two vCPUs may overtake each other
            self.clock[vm] = (first[0], first[1], uptime, now)

    def work(self) -> list[int]:
        return [sum(n for (of, _), n in self.chunks.items() if of == vm) for vm in (0, 1)]

    def is_fair(self) -> bool:
        one, two = self.work()
        return min(one, two) >= 30 and abs(one - two) <= 0.05 * max(one, two)


def test() -> None:
    cpus = int(sys.argv[1])
    script = SCRIPT.replace("\\", "\\\\").replace('"', '\\"')
    vms = "".join(VM.format(name=name, script=script) for name in ("one", "two"))
    with tempfile.TemporaryDirectory() as folder:
        dts = Path(folder) / "shared.dts"
        dts.write_text(BUNDLE.format(root=ROOT, vms=vms), encoding="utf-8")
        with Machine("--vm", dts, "--pcpus", cpus) as machine:
            window = Window()
            begins = None
            seen: set[tuple[int, int]] = set()
            deadline = time.monotonic() + (2 * BOOT_SECONDS + 60) * SLOWDOWN
            while begins is None or time.monotonic() < begins + MOST_SECONDS * SLOWDOWN:
                found = machine.expect(r"^\[vm(\d)\] at cpu(\d) (\d+) (\d+\.\d\d)\r?\n", max(1, deadline - time.monotonic()))
                vm, cpu = int(found.group(1)), int(found.group(2))
                seen.add((vm, cpu))
                if begins is None:
                    begins = time.monotonic() if len(seen) == 4 else None
                    continue
                window.add(vm, cpu, float(found.group(4)))
                if time.monotonic() > begins + LEAST_SECONDS and window.is_fair():
                    break
    print(f"\nchunks of work {window.chunks}, clocks {window.clock}")
    check(window.is_fair(), f"the shares are not equal: {window.work()}")
    for vm, (guest_first, host_first, guest_last, host_last) in window.clock.items():
        guest, host = guest_last - guest_first, host_last - host_first
        # A line may wait for its turn before it is said, and before it is read.
        check(abs(guest - host) <= 0.02 * host + 0.25, f"vm{vm}'s clock went {guest:.2f} s in {host:.2f} s")
    check("AV00" not in machine.output, "a diagnosis of a healthy machine")
    check(re.search(r"rcu.*stall|soft lockup|BUG:", machine.output) is None, "a kernel complains")


run(test)
