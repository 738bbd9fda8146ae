# SPDX-License-Identifier: Apache-2.0
"""`./x test [CTEST ARGUMENT ...]`: builds all, then unit tests and system tests, with CTest's summary at the end."""
import os
import subprocess
import time

from xlib import paths, setup, ui


def _jobs() -> int:
    """A booting guest keeps one CPU busy, and the system tests look at the clock: no more guests than CPUs."""
    return min(max(len(os.sched_getaffinity(0)), 2), 8)


def main(argv: list[str]) -> int:
    if argv[:1] in (["-h"], ["--help"]):
        print("usage: ./x test [CTEST ARGUMENT ...]\n\n"
              "  ./x test                        all tests\n"
              "  ./x test -L unit                unit tests only (labels: unit, scripts, system, install)\n"
              "  ./x test -R system.linux -V     some system tests, with their consoles")
        return 0
    setup.ready_for_test()
    environment = {**os.environ, "ARM_VCPU_SKIP_SETUP": "1"}
    begin = time.monotonic()
    command = ["ctest", "--test-dir", str(paths.BUILD / "host"), "--output-on-failure", "--no-tests=error",
               "--parallel", str(_jobs()), *argv]
    status = subprocess.run(command, env=environment, cwd=paths.ROOT, check=False).returncode
    ui.say(f"tests {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - begin:.0f} s")
    return 0 if status == 0 else 1
