# SPDX-License-Identifier: Apache-2.0
"""Configures and builds the CMake presets. A preset is configured once; after that ninja knows what to do."""
import fcntl
import hashlib
import re
import shutil
import time
from contextlib import contextmanager

from . import paths, ui

WHAT = {
    "el2": "the library and the hypervisor (EL2, g++)",
    "el2-debug": "the library and the hypervisor (EL2, g++, debug)",
    "el2-untraced": "the hypervisor without the exit recorder (EL2, g++)",
    "el2-clang": "the library and the hypervisor (EL2, clang)",
    "host": "the host tests and tools",
    "host-sanitize": "the host tests with ASan and UBSan",
    "coverage": "the host tests, with the library's lines counted",
    "fuzz": "the fuzz targets with libFuzzer, ASan and UBSan",
}

QUIET_SECONDS = 5.0  # of waiting for another ./x


def _taken_soon(file) -> bool:
    """Whoever finds that there is nothing to do has it for a moment only; that is not worth a line."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)


@contextmanager
def lock():
    """Set-up and builds of one checkout run one after the other; guests may then run side by side."""
    paths.CACHE.mkdir(exist_ok=True)
    with open(paths.CACHE / "lock", "w", encoding="utf-8") as file:
        if not _taken_soon(file):
            ui.say("another ./x sets up or builds in this checkout; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _options(preset: str) -> list[str]:
    if not preset.startswith("el2"):
        return []
    return [f"-DARM_VCPU_LIBFDT_DIR={paths.LIBFDT}", f"-DARM_VCPU_LIBFDT_INCLUDE_DIR={paths.LIBFDT / 'include'}"]


def _configure(preset: str) -> None:
    folder = paths.BUILD / preset
    options = _options(preset)
    digest = hashlib.sha256((paths.ROOT / "CMakePresets.json").read_bytes())
    digest.update(repr([str(paths.ROOT), options, shutil.which("cmake")]).encode())
    stamp = folder / ".configured"
    if (folder / "build.ninja").exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    with ui.Step(f"configuring {WHAT[preset]}") as step:
        # A changed preset may change the compiler, which a used CMake cache would keep.
        fresh = ["--fresh"] if (folder / "CMakeCache.txt").exists() else []
        step.run(["cmake", "--preset", preset, *fresh, *options], log=f"configure-{preset}")
    stamp.write_text(digest.hexdigest())


def configure_again(preset: str) -> None:
    """For what a package that has just been installed makes possible."""
    _configure(preset)
    with ui.Step(f"configuring {WHAT[preset]} again") as step:
        step.run(["cmake", str(paths.BUILD / preset)], log=f"configure-{preset}")


def build(preset: str, target: str = "all") -> bool:
    """Returns whether there was anything to build."""
    _configure(preset)
    with ui.Step(f"building {WHAT[preset]}") as step:
        text = step.run(["ninja", "-C", str(paths.BUILD / preset), target], log=f"build-{preset}",
                        env={"NINJA_STATUS": "[%f/%t] "})
    return not re.search(r"^ninja: no work to do", text, re.MULTILINE)


def link_compile_commands() -> None:
    """For editors and clangd: the host build's database at the root."""
    link = paths.ROOT / "compile_commands.json"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to("build/host/compile_commands.json")
