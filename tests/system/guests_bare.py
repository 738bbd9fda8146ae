# SPDX-License-Identifier: Apache-2.0
"""The test guests on QEMU itself, with no EL2: what they find there is what the hypervisor has to give them, and they
run in both places unmodified. Arguments: CPU model, number of CPUs."""
import re
import subprocess
import sys

from harness import ROOT, SLOWDOWN, check, run


def boot(guest: str, cpu: str, cpus: str) -> None:
    words = ["qemu-system-aarch64", "-nodefaults", "-machine", "virt,gic-version=3", "-cpu", cpu,
             "-accel", "tcg,thread=single", "-smp", cpus, "-m", "128", "-nic", "none", "-display", "none",
             "-monitor", "none", "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
             "-kernel", str(ROOT / f"build/el2/guests/{guest}.img")]
    print("+", " ".join(words), flush=True)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          timeout=40 * SLOWDOWN, check=False)
    print(done.stdout + done.stderr, flush=True)
    check(done.returncode == 0, f"QEMU ended with status {done.returncode}")
    check("FAIL " not in done.stdout, f"{guest}: a check failed")
    check(re.search(r"^DONE (\d+)/\1\s", done.stdout, re.MULTILINE) is not None, f"{guest}: did not come to its end")


def test() -> None:
    for guest in ("exits", "reset"):
        boot(guest, *sys.argv[1:])


run(test)
