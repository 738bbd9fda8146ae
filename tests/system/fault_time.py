# SPDX-License-Identifier: Apache-2.0
"""A loop is named within a second of the guest's time: from its first record, or sample, to the diagnosis. The guest's
clock is the one of the records, so a busy host does not count."""
import re
import subprocess

from harness import ROOT, check, run

LOOPS = ["vectors-outside-ram", "vectors-unmapped", "handler-faults", "bad-stack", "returns-to-hole"]
# "50 times in 12.345 ms", "for 353.577 ms without leaving EL1", "1.250 s"
TOOK = re.compile(r"AV0002 .*? (?:in|for) (\d+)\.(\d+) (ms|s)\b")


def test() -> None:
    for loop in LOOPS:
        done = subprocess.run([str(ROOT / "x"), "fault", loop], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", check=False)
        print(done.stdout, done.stderr)
        check(done.returncode == 0, f"./x fault {loop} ended with {done.returncode}")
        found = TOOK.search(done.stdout)
        # A loop that its first exit gives away has no duration.
        if found is None:
            check("the exception vector at" in done.stdout, f"{loop}: the report does not say how long")
            continue
        seconds = float(f"{found[1]}.{found[2]}") / (1000 if found[3] == "ms" else 1)
        check(seconds < 1.0, f"{loop}: named after {seconds} s")


run(test)
