# SPDX-License-Identifier: Apache-2.0
"""examples/minimal, the shortest complete hypervisor: its guest's words come out and the machine powers off."""
import subprocess

from harness import ROOT, SLOWDOWN, TestFailure, check, run


def test() -> None:
    image = ROOT / "build/el2/examples/minimal/minimal.elf"
    command = ["qemu-system-aarch64", "-nodefaults", "-machine", "virt,virtualization=on,gic-version=3", "-cpu",
               "max,pauth-impdef=on", "-m", "128", "-nic", "none", "-display", "none", "-monitor", "none",
               "-chardev", "stdio,id=console,signal=off,mux=off", "-serial", "chardev:console", "-kernel", str(image)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=60 * SLOWDOWN)
    except subprocess.TimeoutExpired as expired:
        raise TestFailure(f"the machine did not power off; its console: {expired.stdout!r}") from None
    print(done.stdout, done.stderr)
    check(done.returncode == 0, f"QEMU ended with {done.returncode}")
    check(done.stdout == "Hello from EL1\n", "the console has something else")


run(test)
