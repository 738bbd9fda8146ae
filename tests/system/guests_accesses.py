# SPDX-License-Identifier: Apache-2.0
"""Every form of load and store, on RAM and on a device: what the emulation does, the CPU does. Arguments: CPU model, the
least number of instructions that it has to know."""
import re
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Machine, check, run


def test() -> None:
    text = (Path(__file__).parent / "accesses.dts.in").read_text(encoding="utf-8")
    text = text.replace("@GUEST@", str(ROOT / "build/el2/guests/accesses.img"))
    with tempfile.TemporaryDirectory() as folder:
        dts = Path(folder) / "accesses.dts"
        dts.write_text(text, encoding="utf-8")
        with Machine("--vm", dts, "--cpu", sys.argv[1]) as machine:
            machine.expect(r"^accesses: \d+ instructions", 120)
            machine.ends_with(0, 60)
    failures = re.findall(r"^FAIL .*", machine.output, re.MULTILINE)
    check(not failures, "; ".join(line.strip() for line in failures[:5]))
    check(re.search(r"^DONE (\d+)/\1\s", machine.output, re.MULTILINE) is not None, "the guest did not come to its end")
    tried = re.search(r"^accesses: (\d+) instructions in (\d+) runs", machine.output, re.MULTILINE)
    check(tried is not None and int(tried.group(1)) >= int(sys.argv[2]), "too few instructions were tried")


run(test)
