# SPDX-License-Identifier: Apache-2.0
"""A simulated failure is diagnosed as what it is. Argument: its name."""
import subprocess
import sys

from harness import ROOT, check, run


def test() -> None:
    done = subprocess.run([str(ROOT / "x"), "fault", sys.argv[1]], stdin=subprocess.DEVNULL, check=False)
    check(done.returncode == 0, f"./x fault {sys.argv[1]} ended with {done.returncode}")


run(test)
