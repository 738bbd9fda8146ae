# SPDX-License-Identifier: Apache-2.0
"""The C++ sources of the project."""
from pathlib import Path

from . import paths

FOLDERS = ["include", "lib", "hypervisor", "examples", "guests", "tests", "tools", "fuzz", "bench"]
SUFFIXES = {".cpp", ".hpp", ".h"}


def cpp() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (paths.ROOT / folder).rglob("*") if path.suffix in SUFFIXES)
