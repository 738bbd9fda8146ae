# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmark guest on our hypervisor in QEMU with the counting plugin."""
import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from xlib import bundle, cmake, packages, paths, qemu, setup, ui

from . import rows

GUEST_IMAGE = paths.BUILD / "el2" / "guests" / "bench.img"
GUEST_ELF = paths.BUILD / "el2" / "guests" / "bench.elf"
PLUGIN = paths.BUILD / "host" / "bench" / "bench-plugin.so"
MODELS = {"cortex-a57": "cortex-a57", "max": "max,pauth-impdef=on"}
SECONDS = 120
MEMORY_MIB = 64


def ready() -> None:
    setup.ready_for_run()
    if not (os.environ.get("ARM_VCPU_SKIP_SETUP") and PLUGIN.exists()):
        with cmake.lock():
            packages.ensure(packages.SCOPE)
            cmake.build("host", target="bench-plugin")


def symbols(elf: Path) -> dict[str, int]:
    done = subprocess.run(["aarch64-linux-gnu-nm", str(elf)], capture_output=True, text=True, check=True)
    return {words[2]: int(words[0], 16) for words in map(str.split, done.stdout.splitlines()) if len(words) == 3}


def plugin_words(out: Path, traced_row: str | None = None) -> list[str]:
    """QEMU's options for the plugin. The guest's waiting loops, which do not count, are between symbols."""
    known = symbols(GUEST_ELF)
    words = [f"{PLUGIN},out={out}"]
    for name, address in known.items():
        if re.fullmatch(r"bench_wait_\d+", name):
            words.append(f"wait={address:x}-{known[name + '_end']:x}")
    if traced_row:
        words.append(f"trace={rows.row(traced_row)}")
    return ["-plugin", ",".join(words)]


def run(model: str, recorder: str = "off", vcpus: int = 2, traced_row: str | None = None) -> rows.Run:
    """One boot. `model` is a key of MODELS or a CPU model of QEMU."""
    with TemporaryDirectory(prefix="arm-vcpu-bench-") as name:
        folder = Path(name)
        dts, dtb, out = folder / "bench.dts", folder / "bench.dtb", folder / "out"
        single = bundle.SingleVm(GUEST_IMAGE, None, None, "", vcpus, MEMORY_MIB, "info", recorder)
        dts.write_text(bundle.source(single), encoding="utf-8")
        bundle.compile_dts(dts, dtb)
        words = qemu.command(MODELS.get(model, model), vcpus, qemu.memory_mib(MEMORY_MIB, dtb), dtb, True,
                             plugin_words(out, traced_row))
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise ui.Failure(f"bench: the benchmark guest did not end within {SECONDS} s on {model}") from None
        result = rows.parse(out.read_text(encoding="utf-8")) if out.exists() else rows.Run()
    if not result.complete or "[hv] verdict: ok" not in done.stdout:
        said = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["nothing"]
        raise ui.Failure(f"bench: the benchmark guest did not finish on {model}; the last line was: {said[0]}")
    return result
