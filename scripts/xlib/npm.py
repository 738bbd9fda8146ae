# SPDX-License-Identifier: Apache-2.0
"""The charting library of `vcpuscope stat --html`, from the npm registry, as tools/html/package-lock.json pins it."""
import shutil

from . import packages, paths, ui

SOURCE = paths.ROOT / "tools" / "html"
FOLDER = paths.CACHE / "npm"
LIBRARY = FOLDER / "node_modules" / "echarts" / "dist" / "echarts.min.js"


def ensure() -> None:
    stamp = FOLDER / ".installed"
    lock = (SOURCE / "package-lock.json").read_text(encoding="utf-8")
    if LIBRARY.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == lock:
        return
    if not shutil.which("npm"):
        packages.ensure(["npm"])
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(SOURCE / name, FOLDER / name)
    with ui.Step("fetching the charting library (npm ci)") as step:
        step.run(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--prefix", str(FOLDER)], log="npm")
    stamp.write_text(lock, encoding="utf-8")
