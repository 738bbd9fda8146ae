# SPDX-License-Identifier: Apache-2.0
"""Two Linux VMs with two vCPUs each share physical CPUs: both boot, keep time, and get equal shares of the CPUs: the longer
the loops run, the nearer, and within 5 % in the end.
A share is what a guest knows of itself, the time of a busy vCPU that was not stolen from it: the host may be busy with other things,
and then a vCPU computes less in its time, but has no less of it. How much work the shares are worth is what shares.py counts.
Argument: number of physical CPUs."""
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import BOOT_SECONDS, ROOT, SLOWDOWN, Machine, check, run

LEAST_SECONDS, MOST_SECONDS = 10.0, 90.0
LEAST_LINES = 20
# One busy loop on each vCPU; each says how far it is, what time its kernel thinks it is, and how much of its CPU's was stolen
# (ticks of 10 ms, [linux] "proc(5)", /proc/stat).
LOOP = ("n=0; while :; do i=0; while [ $i -lt 500 ]; do i=$((i+1)); done; n=$((n+1)); read u r < /proc/uptime; "
        "while read c a b d e f g h s r; do [ $c = cpu$(($0-1)) ] && break; done < /proc/stat; echo at cpu$0 $n $u $s; done")
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


@dataclass
class Vcpu:
    """What the loop on one vCPU has said: (its kernel's time, stolen time, the host's time), seconds, once for each chunk of work."""
    lines: list[tuple[float, float, float]] = field(default_factory=list)

    def share(self) -> float:
        (begin, stolen_before, _), (end, stolen_after, _) = self.lines[0], self.lines[-1]
        return 1 - (stolen_after - stolen_before) / (end - begin)

    def drift(self) -> tuple[float, float]:
        """How far the guest's clock fell behind the host's from the first half to the second, and the host's time between.
        A line may come late, never early: the quickest one of each half counts."""
        half = len(self.lines) // 2
        first, second = (min(part, key=lambda line: line[2] - line[0]) for part in (self.lines[:half], self.lines[half:]))
        return (second[2] - second[0]) - (first[2] - first[0]), second[2] - first[2]


Vcpus = dict[tuple[int, int], Vcpu]  # by VM and CPU


def shares_of_vms(vcpus: Vcpus) -> list[float]:
    return [sum(vcpu.share() for (of, _), vcpu in vcpus.items() if of == vm) for vm in (0, 1)]


def are_fair(vcpus: Vcpus) -> bool:
    if min(len(vcpu.lines) for vcpu in vcpus.values()) < LEAST_LINES:
        return False
    one, two = shares_of_vms(vcpus)
    return abs(one - two) <= 0.05 * max(one, two)


def test() -> None:
    cpus = int(sys.argv[1])
    script = SCRIPT.replace("\\", "\\\\").replace('"', '\\"')
    vms = "".join(VM.format(name=name, script=script) for name in ("one", "two"))
    with tempfile.TemporaryDirectory() as folder:
        dts = Path(folder) / "shared.dts"
        dts.write_text(BUNDLE.format(root=ROOT, vms=vms), encoding="utf-8")
        with Machine("--vm", dts, "--pcpus", cpus) as machine:
            vcpus: Vcpus = {(vm, cpu): Vcpu() for vm in (0, 1) for cpu in (1, 2)}
            begins = None
            deadline = time.monotonic() + (2 * BOOT_SECONDS + 60) * SLOWDOWN
            while begins is None or time.monotonic() < begins + MOST_SECONDS * SLOWDOWN:
                found = machine.expect(r"^\[vm(\d)\] at cpu(\d) \d+ (\d+\.\d\d) (\d+)\r?\n", max(1, deadline - time.monotonic()))
                vcpu = vcpus[int(found.group(1)), int(found.group(2))]
                vcpu.lines.append((float(found.group(3)), int(found.group(4)) / 100, time.monotonic()))
                if begins is None and all(each.lines for each in vcpus.values()):
                    begins = time.monotonic()
                    for each in vcpus.values():  # a vCPU that was alone had more
                        each.lines.clear()
                elif begins is not None and time.monotonic() > begins + LEAST_SECONDS and are_fair(vcpus):
                    break
    check(min(len(vcpu.lines) for vcpu in vcpus.values()) >= LEAST_LINES, "a vCPU hardly runs")
    shares = {name: vcpu.share() for name, vcpu in vcpus.items()}
    print(f"\nshares {({name: round(share, 3) for name, share in shares.items()})}, "
          f"chunks of work {({name: len(vcpu.lines) for name, vcpu in vcpus.items()})}")
    of_vm = shares_of_vms(vcpus)
    check(are_fair(vcpus), f"the shares are not equal: {of_vm}")
    check(0.9 * cpus <= sum(of_vm) <= 1.02 * cpus, f"{cpus} CPUs gave {sum(of_vm):.2f} CPUs of time")
    for (vm, cpu), vcpu in vcpus.items():
        drift, host = vcpu.drift()
        check(abs(drift) <= 0.02 * host + 0.25, f"the clock of vm{vm} cpu{cpu} fell back by {drift:.2f} s in {host:.2f} s")
    check("AV00" not in machine.output, "a diagnosis of a healthy machine")
    check(re.search(r"rcu.*stall|soft lockup|BUG:", machine.output) is None, "a kernel complains")


run(test)
