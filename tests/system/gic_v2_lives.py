# SPDX-License-Identifier: Apache-2.0
"""Two VMs of guests/gicv2 with two vCPUs each share one CPU and its GICV, and start again and again: each life passes all
of its checks."""
import re
import tempfile
from pathlib import Path

from harness import ROOT, Machine, check, run

LIVES = 4
BUNDLE = """/dts-v1/;
/ {
  compatible = "arm-vcpu,bundle";
  images { gicv2 { data = /incbin/("ROOT/build/el2/guests/gicv2.img"); type = "kernel"; }; };
  vms {
    one { compatible = "arm-vcpu,vm"; kernel = "gicv2"; cpus = <2>; memory-mib = <16>; gic-version = <2>; restart = <3>; };
    two { compatible = "arm-vcpu,vm"; kernel = "gicv2"; cpus = <2>; memory-mib = <16>; restart = <3>; };
  };
};
"""


def test() -> None:
    with tempfile.TemporaryDirectory() as folder:
        dts = Path(folder) / "lives.dts"
        dts.write_text(BUNDLE.replace("ROOT", str(ROOT)), encoding="utf-8")
        with Machine("--vm", dts, "--gic", 2, "--pcpus", 1) as machine:
            machine.ends_with(0, 140)
    failures = re.findall(r"^\[\w+\] FAIL .*|^\[hv\] AV\d{4} .*", machine.output, re.MULTILINE)
    check(not failures, "; ".join(line.strip() for line in failures))
    for name in ("vm0", "vm1"):
        ends = re.findall(rf"^\[{name}\] DONE (\d+)/\1\s", machine.output, re.MULTILINE)
        check(len(ends) == LIVES, f"{name} came to its end {len(ends)} times, expected {LIVES}")


run(test)
