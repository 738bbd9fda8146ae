# SPDX-License-Identifier: Apache-2.0
"""One VM is started 100 times, another resets and restarts beside it, a third one fails at once, all on one CPU: memory in
use is the same in each life, no life finds what a former one has left, and the failure stays with its VM.
Argument: --mte, allocation tags in the first."""
import re
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Machine, check, run

BUNDLE = """/dts-v1/;
/ {
  compatible = "arm-vcpu,bundle";
  images {
    lives { data = /incbin/("ROOT/build/el2/guests/lives.img"); type = "kernel"; };
    faults { data = /incbin/("ROOT/build/el2/guests/faults.img"); type = "kernel"; };
  };
  vms {
    hundred { compatible = "arm-vcpu,vm"; kernel = "lives"; cpus = <2>; memory-mib = <8>; restart = <99>; MTE };
    resets { compatible = "arm-vcpu,vm"; kernel = "lives"; cpus = <1>; memory-mib = <8>; restart = <2>; };
    fails { compatible = "arm-vcpu,vm"; kernel = "faults"; cpus = <1>; memory-mib = <128>; restart = <5>;
      bootargs = "fault=vectors-outside-ram"; };
  };
};
"""


def test() -> None:
    with tempfile.TemporaryDirectory() as folder:
        dts = Path(folder) / "lives.dts"
        mte = 'mte = "on";' if "--mte" in sys.argv else ""
        dts.write_text(BUNDLE.replace("ROOT", str(ROOT)).replace("MTE", mte), encoding="utf-8")
        with Machine("--vm", dts, "--pcpus", 1, "--log", "debug") as machine:
            machine.ends_with(1, 100)
    check("FAIL " not in machine.output, "a guest complains")
    lives = re.findall(r"^\[hv\] debug: vm(\d) \(\w+\): life (\d+); (\d+) KiB of memory and (\d+) stage-2 tables are free",
                       machine.output, re.MULTILINE)
    check(sum(vm == "0" for vm, *_ in lives) >= 99, f"{len(lives)} lives in all")
    free = {(memory, tables) for _, _, memory, tables in lives}
    check(len(free) == 1, f"what is free differs from life to life: {sorted(free)}")
    starts = re.findall(r"^\[hv\] vm0 \(hundred\): powered off; start (\d+) of 100 follows", machine.output, re.MULTILINE)
    check([int(n) for n in starts] == list(range(2, 101)), f"the starts of vm0: {starts}")
    check("vm1 (resets): reset" in machine.output, "vm1 did not reset")
    for name in ("vm0 (hundred)", "vm1 (resets)"):
        check(re.search(rf"^\[hv\] {re.escape(name)}: powered off\r?$", machine.output, re.MULTILINE) is not None,
              f"{name} did not end in order")
    check(machine.output.count("[hv] error: vm2 (fails): AV0002") == 1, "vm2 did not fail, or it was started again")
    check("[hv] verdict: failed: vm2 (fails): AV0002" in machine.output, "the verdict does not name vm2")


run(test)
