# SPDX-License-Identifier: Apache-2.0
"""`./x scope ARGUMENT ...`: builds vcpuscope and runs it: traces, statistics, explanations, diagnosis, backtraces."""
import os

from xlib import cmake, npm, packages, paths


def main(argv: list[str]) -> int:
    program = paths.BUILD / "host" / "tools" / "vcpuscope" / "vcpuscope"
    if not (os.environ.get("ARM_VCPU_SKIP_SETUP") and program.exists()):
        with cmake.lock():
            packages.ensure(packages.SCOPE)
            if "--html" in argv:
                npm.ensure()
            cmake.build("host", target="vcpuscope")
    os.execv(program, [str(program), *argv])
    return 1
