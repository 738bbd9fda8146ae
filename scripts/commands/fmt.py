# SPDX-License-Identifier: Apache-2.0
"""`./x fmt`: formats the C++ sources in place."""
from xlib import cmake, packages, sources, ui


def main(argv: list[str]) -> int:
    if argv:
        raise ui.Failure("usage: ./x fmt", 2)
    with cmake.lock():
        packages.ensure(packages.FORMAT)
    files = sources.cpp()
    before = {file: file.read_bytes() for file in files}
    with ui.Step("formatting") as step:
        step.run(["clang-format-19", "-i", *files], log="fmt")
    changed = sum(file.read_bytes() != before[file] for file in files)
    ui.say(f"formatted: {changed} of {len(files)} files changed")
    return 0
