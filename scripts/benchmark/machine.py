# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmark guest on our hypervisor in QEMU with the counting plugin."""
import os
import re
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from xlib import bundle, cmake, packages, paths, qemu, setup, ui

from . import rows

GUEST_IMAGE = paths.BUILD / "el2" / "guests" / "bench.img"
FLOOR_IMAGE = paths.BUILD / "el2" / "bench" / "floor.img"
FLOOR_GUEST = 0x5000_0000  # bench/floor jumps there
GUEST_ELF = paths.BUILD / "el2" / "guests" / "bench.elf"
PLUGIN = paths.BUILD / "host" / "bench" / "bench-plugin.so"
MODELS = {"cortex-a57": "cortex-a57", "max": "max,pauth-impdef=on"}
SECONDS = 120
SHARED_BOOTARGS = "one-cpu"  # tells the guest to run the rows of vCPUs that share a CPU
MEMORY_MIB = 64
IDLE_MIB = 32  # what the guest's Image asks for


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
    """QEMU's options for the plugin; `traced_row` is a row, "all", or "boot". The guest's waiting loops, which do not count, are between symbols."""
    known = symbols(GUEST_ELF)
    words = [f"{PLUGIN},out={out}"]
    for name, address in known.items():
        if re.fullmatch(r"bench_wait_\d+", name):
            words.append(f"wait={address:x}-{known[name + '_end']:x}")
    if traced_row == "boot":
        words.append("boot=1")
    elif traced_row:
        words.append(f"trace={traced_row if traced_row == 'all' else rows.row(traced_row)}")
    return ["-plugin", ",".join(words)]


def _no_heartbeat(_detail: str = "") -> None:
    pass


heartbeat = _no_heartbeat  # called while a machine runs


def until_done(words: list[str], out: Path, seconds: float) -> rows.Run:
    """Runs QEMU until the guest has said that it is done, or has ended."""
    out.unlink(missing_ok=True)
    end = time.monotonic() + seconds
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        while child.poll() is None and time.monotonic() < end:
            if out.exists() and out.read_text(encoding="utf-8").endswith("done\n"):
                break
            heartbeat()
            time.sleep(0.05)
        child.kill()
    return rows.parse(out.read_text(encoding="utf-8")) if out.exists() else rows.Run()


def run_floor(model: str, traced_row: str | None = None) -> rows.Run:
    """The stub that only saves, calls and restores; one CPU."""
    with TemporaryDirectory(prefix="arm-vcpu-bench-") as name:
        out = Path(name) / "out"
        words = [qemu.PROGRAM, "-nodefaults", "-no-reboot", "-machine", "virt,virtualization=on,gic-version=3",
                 "-cpu", MODELS.get(model, model), "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-m", "512",
                 "-display", "none", "-serial", "none", "-kernel", str(FLOOR_IMAGE),
                 "-device", f"loader,file={GUEST_IMAGE},addr={FLOOR_GUEST:#x},force-raw=on", *plugin_words(out, traced_row)]
        result = until_done(words, out, SECONDS)
    if not result.complete:
        raise ui.Failure(f"bench: the floor did not finish on {model}")
    return result


def run_beside(model: str, vcpus: int, memory_mib: int, idle_vms: int, idle_vcpus: int, shared: bool = False) -> rows.Run:
    """The benchmark in a VM of this size, with idle VMs beside it, each vCPU on a CPU of its own, or all on one CPU."""
    with TemporaryDirectory(prefix="arm-vcpu-bench-") as name:
        folder = Path(name)
        dts, dtb, out = folder / "bench.dts", folder / "bench.dtb", folder / "out"
        bootargs = SHARED_BOOTARGS if shared else ""
        main = bundle.SingleVm(GUEST_IMAGE, None, None, bootargs, vcpus, memory_mib, "error", "on")
        idle = ""
        for number in range(idle_vms):
            first = vcpus + number * idle_vcpus
            cpus = [0] * idle_vcpus if shared else range(first, first + idle_vcpus)
            idle += (f'    idle{number} {{ compatible = "{bundle.VM_COMPATIBLE}"; kernel = "kernel"; bootargs = "idle"; '
                     f"cpus = <{idle_vcpus}>; memory-mib = <{IDLE_MIB}>; gic-version = <3>; "
                     f"affinity = <{' '.join(map(str, cpus))}>; }};\n")
        dts.write_text(bundle.source(main).replace("  vms {\n", "  vms {\n" + idle), encoding="utf-8")
        bundle.compile_dts(dts, dtb)
        words = qemu.command(MODELS.get(model, model), 1 if shared else vcpus + idle_vms * idle_vcpus,
                             qemu.memory_mib(memory_mib + idle_vms * IDLE_MIB, dtb), dtb, True, plugin_words(out))
        result = until_done(words, out, SECONDS * 5)
    if not result.complete:
        raise ui.Failure(f"bench: the benchmark guest did not finish with {vcpus} vCPUs, {memory_mib} MiB and "
                         f"{idle_vms} VMs of {idle_vcpus} vCPUs beside it")
    return result


def run(model: str, recorder: str = "off", vcpus: int = 2, traced_row: str | None = None, shared: bool = False,
        image: Path = paths.HYPERVISOR_IMAGE) -> rows.Run:
    """One boot. `model` is a key of MODELS or a CPU model of QEMU. `shared`: the vCPUs share one CPU, and the guest runs the
    rows that need that."""
    with TemporaryDirectory(prefix="arm-vcpu-bench-") as name:
        folder = Path(name)
        dts, dtb, out = folder / "bench.dts", folder / "bench.dtb", folder / "out"
        single = bundle.SingleVm(GUEST_IMAGE, None, None, SHARED_BOOTARGS if shared else "", vcpus, MEMORY_MIB, "info", recorder)
        source = bundle.source(single)
        if shared:
            source = re.sub(r"affinity = <[^>]*>", f"affinity = <{' '.join('0' * vcpus)}>", source)
        dts.write_text(source, encoding="utf-8")
        bundle.compile_dts(dts, dtb)
        words = qemu.command(MODELS.get(model, model), 1 if shared else vcpus, qemu.memory_mib(MEMORY_MIB, dtb), dtb, True,
                             plugin_words(out, traced_row))
        words[words.index("-kernel") + 1] = str(image)
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


def run_all(model: str, recorder: str, image: Path = paths.HYPERVISOR_IMAGE) -> rows.Run:
    """Both boots: a CPU for each vCPU, and one CPU for two."""
    result = run(model, recorder, image=image)
    try:
        shared = run(model, recorder, shared=True, image=image)
    except ui.Failure:
        shared = rows.Run(skipped={name: "two vCPUs on one CPU do not run" for name in rows.SHARED})
    result.add(shared, rows.SHARED)
    return result


def image_bytes(elf: Path = paths.HYPERVISOR_ELF) -> dict[str, int]:
    """What is loaded: text with the constants, and initialized data."""
    done = subprocess.run(["aarch64-linux-gnu-size", "-B", str(elf)], capture_output=True, text=True, check=True)
    text, data, *_ = map(int, done.stdout.splitlines()[1].split()[:3])
    return {"text and constants": text, "data": data}
