# SPDX-License-Identifier: Apache-2.0
"""Two VMs of guests/share with two busy vCPUs each, on fewer CPUs: equal shares within 1 %, by the guests' own counts and by the
hypervisor's account. Time follows the instruction count, so the host's load does not matter. Argument: physical CPUs."""
import re
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Machine, check, run

BUNDLE = """/dts-v1/;
/ {
  compatible = "arm-vcpu,bundle";
  images { share { data = /incbin/("ROOT/build/el2/guests/share.img"); type = "kernel"; }; };
  vms {
    one { compatible = "arm-vcpu,vm"; kernel = "share"; cpus = <2>; memory-mib = <16>; };
    two { compatible = "arm-vcpu,vm"; kernel = "share"; cpus = <2>; memory-mib = <16>; };
  };
};
"""


def test() -> None:
    cpus = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        dts = Path(folder) / "shares.dts"
        dts.write_text(BUNDLE.replace("ROOT", str(ROOT)), encoding="utf-8")
        with Machine("--vm", dts, "--pcpus", cpus, "--icount") as machine:
            machine.ends_with(0, 120)
    check("FAIL " not in machine.output and "AV00" not in machine.output, "something is wrong")
    turns = [int(us) for us in re.findall(r"share: 200 turns in (\d+) us", machine.output)]
    check(len(turns) == 2 and max(turns) < 200_000, f"200 turns took {turns} us: a vCPU that waits keeps its CPU")
    counts = [int(n) for n in re.findall(r"share: cpu\d (\d+)", machine.output)]
    check(len(counts) == 4, f"counts of {len(counts)} vCPUs, expected 4")
    check(max(counts) - min(counts) <= max(counts) // 100, f"unequal work: {counts}")
    times = [int(ms) for ms in re.findall(r"^\[hv\] vm\d vcpu\d +CPU time (\d+) ms", machine.output, re.MULTILINE)]
    check(len(times) == 4 and min(times) > 300, f"the hypervisor's account: {times} ms")
    check(max(times) - min(times) <= max(times) // 20, f"the hypervisor's account is unequal: {times} ms")


run(test)
