# SPDX-License-Identifier: Apache-2.0
"""`./x coverage`: how many lines of lib/arch, lib/vcpu and lib/vm the unit tests run. Counted are the sources: code in
headers is compiled into the tests too, and of the copies a linker keeps any."""
import argparse
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from xlib import cmake, packages, paths, ui

BUILD = paths.BUILD / "coverage"
LAYERS = ["arch", "vcpu", "vm"]
MINIMUM_PERCENT = 90.0


def _programs() -> list[str]:
    """The programs of the layers' own tests; each is run whole, which is quicker than test by test."""
    return sorted(str(file) for layer in LAYERS for file in (BUILD / "lib" / layer).rglob("*_test")
                  if file.is_file() and os.access(file, os.X_OK))


def _run(program: str) -> str | None:
    done = subprocess.run([program, "--gtest_brief=1"], cwd=Path(program).parent, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{Path(program).name} failed:\n{done.stdout[-2000:]}"


def _lines(notes: Path) -> dict[Path, dict[int, int]]:
    """File -> line -> how often it ran, of one object."""
    text = subprocess.run(["gcov-12", "--json-format", "--stdout", str(notes)], cwd=notes.parent, capture_output=True,
                          text=True, check=True).stdout
    result: dict[Path, dict[int, int]] = {}
    for document in text.splitlines():
        report = json.loads(document)
        for file in report["files"]:
            path = Path(os.path.normpath(Path(report["current_working_directory"]) / file["file"]))
            lines = result.setdefault(path, {})
            for line in file["lines"]:
                number = line["line_number"]
                lines[number] = max(lines.get(number, 0), line["count"])
    return result


def measure() -> tuple[float, list[tuple[str, int, int, list[int]]]]:
    """Percent of all; and for each file its name, its lines, how many of them ran, and those that did not."""
    cmake.build("coverage", "coverage_tests")
    programs = _programs()
    for data in BUILD.rglob("*.gcda"):
        data.unlink()
    jobs = len(os.sched_getaffinity(0))
    with ui.Step(f"running {len(programs)} test programs"), ThreadPoolExecutor(jobs) as pool:
        if failures := [failure for failure in pool.map(_run, programs) if failure]:
            raise ui.Failure(failures[0])
    notes = [file for layer in LAYERS for file in sorted((BUILD / "lib" / "CMakeFiles" / f"arm_vcpu_{layer}.dir").rglob("*.gcno"))]
    merged: dict[Path, dict[int, int]] = {}
    with ui.Step(f"counting the lines of {len(notes)} sources"), ThreadPoolExecutor(jobs) as pool:
        for files in pool.map(_lines, notes):
            for path, lines in files.items():
                if path.suffix == ".cpp" and any(path.is_relative_to(paths.ROOT / "lib" / layer) for layer in LAYERS):
                    into = merged.setdefault(path, {})
                    for number, count in lines.items():
                        into[number] = max(into.get(number, 0), count)
    rows = [(str(path.relative_to(paths.ROOT)), len(lines), sum(count > 0 for count in lines.values()),
             sorted(number for number, count in lines.items() if count == 0)) for path, lines in sorted(merged.items()) if lines]
    everything = sum(row[1] for row in rows)
    return 100.0 * sum(row[2] for row in rows) / max(everything, 1), rows


def ranges(numbers: list[int]) -> str:
    """[1, 2, 3, 7] -> "1-3 7"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def main(argv: list[str]) -> int:
    argparse.ArgumentParser(prog="./x coverage", description=__doc__).parse_args(argv)
    with cmake.lock():
        packages.ensure(packages.TEST)
        percent, rows = measure()
    for name, lines, ran, missed in rows:
        print(f"  {100.0 * ran / lines:6.1f} %  {ran:4}/{lines:<4}  {name}" + (f"   not run: {ranges(missed)}" if missed else ""))
    print(f"  {percent:6.1f} %  of {sum(row[1] for row in rows)} lines in lib/{', lib/'.join(LAYERS)}")
    return 0 if percent >= MINIMUM_PERCENT else 1
