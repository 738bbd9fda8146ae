# SPDX-License-Identifier: Apache-2.0
"""A short `./x torture` of all classes, with the clock of the instruction count: the same each time. Arguments: CPU
model, operations of each class, seed, more options. ARM_VCPU_TORTURE_COUNT makes it longer."""
import os
import subprocess
import sys

from harness import ROOT, SLOWDOWN, TestFailure, run

SECONDS = 100


def test() -> None:
    cpu, count, seed, *more = sys.argv[1:]
    count = os.environ.get("ARM_VCPU_TORTURE_COUNT", count)
    command = [str(ROOT / "x"), "torture", "--icount", "--quiet", "--cpu", cpu, "--count", count, "--seed", seed, *more]
    if "ARM_VCPU_TORTURE_COUNT" not in os.environ:
        command += ["--timeout", str(SECONDS * SLOWDOWN)]
    if status := subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        raise TestFailure(f"./x torture ended with {status}")


run(test)
