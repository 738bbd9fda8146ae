# SPDX-License-Identifier: Apache-2.0
"""Runs vcpuscope, for the tests beside this file. The program's path is the first argument."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
SKIPPED = 77  # tells CTest


def run(*arguments: str, status: int = 0, **more) -> subprocess.CompletedProcess:
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
                          **more)
    if done.returncode != status:
        raise AssertionError(f"vcpuscope {arguments}: exit status {done.returncode}, not {status}\n{done.stderr}")
    return done


class ScopeTest(unittest.TestCase):
    """A folder that goes away, and samples in it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="vcpuscope-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def sample(self, name: str = "sample.trace", *options: str) -> pathlib.Path:
        path = self.folder / name
        run("make-sample", path, "--records", "5000", *options)
        return path


def main() -> None:
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
