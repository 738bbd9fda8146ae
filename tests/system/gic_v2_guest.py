# SPDX-License-Identifier: Apache-2.0
"""guests/gicv2: on QEMU itself, which says what is right, and under the hypervisor. Arguments: CPU model, number of CPUs,
options of `./x run`."""
import re
import subprocess
import sys

from harness import ROOT, SLOWDOWN, Machine, check, run

IMAGE = ROOT / "build/el2/guests/gicv2.img"


def judge(output: str, where: str) -> str:
    failures = re.findall(r"^FAIL .*", output, re.MULTILINE)
    check(not failures, f"{where}: {'; '.join(line.strip() for line in failures)}")
    done = re.search(r"^DONE (\d+)/\1\s", output, re.MULTILINE)
    check(done is not None, f"{where}: the guest did not come to its end")
    return done.group(1)


def test() -> None:
    cpu, cpus = sys.argv[1], sys.argv[2]
    words = ["qemu-system-aarch64", "-nodefaults", "-machine", "virt,gic-version=2", "-cpu", cpu,
             "-accel", "tcg,thread=single", "-smp", cpus, "-m", "128", "-nic", "none", "-display", "none",
             "-monitor", "none", "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
             "-kernel", str(IMAGE)]
    print("+", " ".join(words), flush=True)
    bare = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          timeout=40 * SLOWDOWN, check=False)
    print(bare.stdout + bare.stderr, flush=True)
    right = judge(bare.stdout, "QEMU")
    with Machine("--gic", 2, "--kernel", IMAGE, "--memory", 128, "--cpu", cpu, "--vcpus", cpus, *sys.argv[3:]) as machine:
        machine.expect(rf"^gicv2: {cpus} virtual CPUs", 120)
        machine.ends_with(0, 60)
    checks = judge(machine.output, "hypervisor")
    check(int(checks) >= int(right), f"{checks} checks under the hypervisor, {right} on QEMU")
    check(int(checks) > (150 if cpus == "1" else 240), f"only {checks} checks were made")
    check("AV00" not in machine.output, "something was diagnosed")


run(test)
