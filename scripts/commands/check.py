# SPDX-License-Identifier: Apache-2.0
"""`./x check`: what a change must pass besides its tests. Every check runs, then the verdict."""
import json
import os

from xlib import arm64, cmake, packages, paths, sources, ui


def _format() -> None:
    with ui.Step("checking the format") as step:
        step.run(["clang-format-19", "--dry-run", "--Werror", *sources.cpp()], log="check-format")


def _tidy(preset: str) -> None:
    """Each build's own files: the EL2 build has what cannot compile on the host. Not the tests: GoogleTest's headers
    take minutes, and the sanitizers run them."""
    database = paths.BUILD / preset
    entries = json.loads((database / "compile_commands.json").read_text(encoding="utf-8"))
    files = [entry["file"] for entry in entries
             if entry["file"].endswith(".cpp") and not entry["file"].endswith("_test.cpp")]
    files = sorted(set(files))
    if preset.startswith("el2"):
        host = json.loads((paths.BUILD / "host-sanitize" / "compile_commands.json").read_text(encoding="utf-8"))
        files = sorted(set(files) - {entry["file"] for entry in host})
    if files:
        with ui.Step(f"clang-tidy on {len(files)} files ({preset})") as step:
            step.run(["run-clang-tidy-19", "-clang-tidy-binary", "clang-tidy-19", "-quiet", "-p", database,
                      "-j", str(len(os.sched_getaffinity(0))), *files], log=f"tidy-{preset}")


def _sanitizers() -> None:
    cmake.build("host-sanitize")
    with ui.Step("running the unit tests with ASan and UBSan") as step:
        step.run(["ctest", "--preset", "host-sanitize", "--parallel", str(len(os.sched_getaffinity(0)))],
                 log="test-sanitize")


def main(argv: list[str]) -> int:
    if argv:
        raise ui.Failure("usage: ./x check", 2)
    checks = {
        "format": _format,
        "EL2 with clang": lambda: cmake.build("el2-clang"),
        "sanitizers": _sanitizers,
        "clang-tidy, host": lambda: _tidy("host-sanitize"),
        "clang-tidy, EL2": lambda: _tidy("el2-clang"),
    }
    with cmake.lock():
        packages.ensure(packages.CHECK)
        arm64.ensure()
        failed = []
        for name, check in checks.items():
            try:
                check()
                ui.say(f"{name}: ok")
            except (ui.Failure, OSError) as failure:
                ui.say(f"{name}: {failure}")
                failed.append(name)
    ui.say(f"check failed: {', '.join(failed)}" if failed else "check passed")
    return 1 if failed else 0
