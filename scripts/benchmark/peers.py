# SPDX-License-Identifier: Apache-2.0
"""`./x bench --peers`: the same guest image, marks and plugin on Xen (as dom0) and on KVM (in Debian's QEMU on Debian's kernel)."""
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from xlib import fdt, paths, qemu, ui

from . import machine, peer_images, rows

SECONDS = 240
MEMORY_MIB = 1024
DOM0_MIB = 128
DOM0_AT = 0x5000_0000
XEN_OPTIONS = "console=dtuart dtuart=/pl011@9000000 bootscrub=0"


def _machine(model: str, cpus: int, icount: bool) -> list[str]:
    words = [qemu.PROGRAM, "-nodefaults", "-no-reboot", "-machine", "virt,virtualization=on,gic-version=3",
             "-cpu", machine.MODELS.get(model, model), "-accel", "tcg,thread=single", "-smp", str(cpus), "-m", str(MEMORY_MIB),
             "-nic", "none", "-display", "none", "-monitor", "none"]
    return words + (["-icount", "shift=0,sleep=off"] if icount else [])


def _device_tree_for_xen(words: list[str], folder: Path, vcpus: int, bootargs: str) -> Path:
    """QEMU's own tree, with dom0's kernel as Xen wants to be told. [xen] "Device tree bindings to boot a Xen system" """
    dtb = folder / "machine.dtb"
    at = words.index("-machine") + 1
    subprocess.run([*words[:at], f"{words[at]},dumpdtb={dtb}", *words[at + 1:]], capture_output=True, check=True)
    root = fdt.parse(dtb.read_bytes())
    chosen = root.child("chosen")
    chosen.set_cells("#address-cells", [2])
    chosen.set_cells("#size-cells", [2])
    chosen.set_string("xen,xen-bootargs", f"{XEN_OPTIONS} dom0_mem={DOM0_MIB}M dom0_max_vcpus={vcpus}")
    chosen.set_string("xen,dom0-bootargs", bootargs)
    module = chosen.child(f"module@{DOM0_AT:x}")
    module.properties["compatible"] = b"multiboot,kernel\0multiboot,module\0"
    module.set_cells("reg", [0, DOM0_AT, 0, machine.GUEST_IMAGE.stat().st_size])
    dtb.write_bytes(fdt.write(root))
    return dtb


def _xen_once(model: str, cpus: int, icount: bool, shared: bool = False) -> rows.Run:
    with TemporaryDirectory(prefix="arm-vcpu-bench-") as name:
        folder, log = Path(name), paths.LOGS / f"bench-xen-{model}.log"
        words = _machine(model, cpus, icount)
        dtb = _device_tree_for_xen(words, folder, 2 if shared else cpus, machine.SHARED_BOOTARGS if shared else "")
        words += ["-chardev", f"file,id=console,path={log}", "-serial", "chardev:console", "-kernel", str(peer_images.XEN),
                  "-dtb", str(dtb), "-device", f"loader,file={machine.GUEST_IMAGE},addr={DOM0_AT:#x},force-raw=on"]
        return _measured("Xen", model, words, folder, log)


def xen(model: str) -> rows.Run:
    """One CPU under icount, so that these rows repeat exactly; two without: Xen's waiting loops hold a CPU that shares its
    host thread, and under icount it keeps it for 100 million instructions each time."""
    result = _xen_once(model, 1, True)
    result.add(_xen_once(model, 2, False), rows.TWO_CPUS)
    result.add(_xen_once(model, 1, True, shared=True), rows.SHARED)
    return result


def _kvm_once(model: str, shared: bool) -> rows.Run:
    with TemporaryDirectory(prefix="arm-vcpu-bench-") as name:
        folder, log = Path(name), paths.LOGS / f"bench-kvm-{model}.log"
        words = _machine(model, 1 if shared else 2, True)
        bootargs = f"console=ttyAMA0 quiet panic=-1 {machine.SHARED_BOOTARGS if shared else ''}"
        words += ["-chardev", f"file,id=console,path={log}", "-serial", "chardev:console", "-kernel", str(paths.GUEST_KERNEL),
                  "-initrd", str(peer_images.VMM_RAMDISK), "-append", bootargs]
        return _measured("KVM", model, words, folder, log)


def kvm(model: str) -> rows.Run:
    result = _kvm_once(model, shared=False)
    result.add(_kvm_once(model, shared=True), rows.SHARED)
    return result


def _measured(peer: str, model: str, words: list[str], folder: Path, log: Path) -> rows.Run:
    log.unlink(missing_ok=True)
    result = machine.until_done([*words, *machine.plugin_words(folder / "out")], folder / "out", SECONDS)
    if not result.complete:
        raise ui.Failure(f"bench: the benchmark guest did not finish on {peer} ({model}) within {SECONDS} s; its console is in {log}")
    return result


def measure(models: list[str]) -> dict:
    """{model: {"xen": {row: cost}, "kvm": ..., "skipped": {"xen": {row: why}, ...}, "boot": {"xen": ...}}, "image": ...}"""
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    peer_images.ensure()
    results: dict = {}
    for model in models:
        results[model] = {"skipped": {}, "boot": {}}
        for name, run in {"xen": xen, "kvm": kvm}.items():
            with ui.Step(f"measuring {name} on {model} (a minute or two)") as step:
                machine.heartbeat = step.progress
                measured = run(model)
            results[model][name] = measured.cost
            results[model]["skipped"][name] = measured.skipped
            results[model]["boot"][name] = measured.boot
    return {"rows": results, "image": {"xen": peer_images.XEN.stat().st_size}}


def table(results: dict) -> str:
    texts, lines = rows.names(), []
    peers = results["peers"]["rows"]
    for model, ours in results["rows"].items():
        theirs = peers.get(model)
        if not theirs:
            continue
        lines += ["", f"{model}: the same guest image under each hypervisor, instructions for one operation",
                  f"  {'row':<19}{'operation':<55}{'floor':>6}{'ours':>8}{'Xen':>8}{'KVM':>8}{'ours/best':>11}"]
        for name, text in texts.items():
            figures = [theirs[peer].get(name) for peer in ("xen", "kvm")]
            mine = ours.get(name)
            best = min((cost for cost in figures if cost is not None), default=None)
            ratio = f"{mine['on'] / best:>11.2f}" if mine and best else f"{'-':>11}"
            lines.append(f"  {name:<19}{text:<55}{(mine or {}).get('floor') or '-':>6}{(mine or {}).get('on') or '-':>8}"
                         + "".join(f"{cost if cost is not None else '-':>8}" for cost in figures) + ratio)
        lines.append(f"  {'boot':<19}{'reset to the first instruction of the guest':<55}{'':>6}{_million(results['boot'][model]):>8}"
                     + "".join(f"{_million(theirs['boot'][peer]):>8}" for peer in ("xen", "kvm")))
        for peer, skipped in theirs["skipped"].items():
            lines += [f"  {peer} {name}: not measured: {why}" for name, why in skipped.items()]
    return "\n".join(lines)


def _million(count: int) -> str:
    return f"{count / 1e6:.1f} M"
