# SPDX-License-Identifier: Apache-2.0
"""`./x run`: options -> bundle -> QEMU with the hypervisor -> exit status."""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from xlib import arm64, bundle, console, fdt, paths, qemu, run_options, setup, ui

REFUSED_BUNDLE = "failed: the bundle is refused: "


def main(argv: list[str]) -> int:
    options = run_options.parse(argv)
    setup.ready_for_run()
    if options.cpu.split(",")[0] != "max":
        qemu.check_cpu(options.cpu)
    with _signals(), _folder() as folder:
        totals = _make_bundle(options, folder)
        cpus = physical_cpus(options, totals, "run")
        dtb = folder / "bundle.dtb"
        words = qemu.command(options.cpu, cpus, qemu.memory_mib(totals.memory_mib, dtb), dtb, options.icount,
                             options.qemu_arg, semihosting=bool(options.trace), mte=totals.mte, gic=options.gic)
        return _boot(options, words)


def physical_cpus(options: argparse.Namespace, totals: bundle.Totals, command: str) -> int:
    cpus = options.pcpus or totals.cpus
    if cpus < totals.least_cpus:
        raise ui.Failure(f"{command}: a VM's affinity names CPU {totals.least_cpus - 1}; --pcpus gives {cpus}", 2)
    if cpus > run_options.MAX_PCPUS:
        raise ui.Failure(f"{command}: a VM's affinity names CPU {cpus - 1}; the most is {run_options.MAX_PCPUS} CPUs", 2)
    return cpus


@contextmanager
def _signals():
    """Ends through `finally`, so that the terminal is restored and QEMU is gone, whatever asked us to end."""
    def leave(number, _frame):
        raise ui.Failure(f"ended by {signal.Signals(number).name}", 128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    yield


@contextmanager
def _folder():
    """A folder for this run's bundle. What runs that were killed have left is removed too."""
    paths.RUNS.mkdir(parents=True, exist_ok=True)
    for old in paths.RUNS.iterdir():
        if old.name.isdigit() and not Path(f"/proc/{old.name}").exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = paths.RUNS / str(os.getpid())
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_bundle(options: argparse.Namespace, folder: Path) -> bundle.Totals:
    dtb = folder / "bundle.dtb"
    if options.vm:
        return _bundle_of_files(options, folder, dtb)
    kernel = paths.GUEST_KERNEL if options.default_guest else options.kernel
    initrd = paths.GUEST_INITRAMFS if options.default_initrd else options.initrd
    vm = bundle.SingleVm(kernel, options.firmware, initrd, run_options.bootargs(options), options.vcpus or 1,
                         options.memory or 512, options.log or "info", options.recorder or "on", options.trace,
                         options.vectors,
                         options.pmu or "on", options.smc_allow or [], options.sve, options.mte or "off", options.gic)
    if kernel:
        run_options.check_fits(kernel, initrd, vm.memory_mib)
    dts = folder / "bundle.dts"
    dts.write_text(bundle.source(vm), encoding="utf-8")
    bundle.compile_dts(dts, dtb)
    return bundle.Totals(vm.cpus, vm.memory_mib, mte=vm.mte == "on")


def _bundle_of_files(options: argparse.Namespace, folder: Path, dtb: Path) -> bundle.Totals:
    roots = []
    for number, file in enumerate(options.vm):
        part = folder / f"{number}.dtb"
        bundle.compile_dts(file, part)
        roots.append(bundle.load(part.read_bytes(), file))
    root = roots[0] if len(roots) == 1 else bundle.merge(roots)
    for vm in root.child("vms").children.values():
        if options.pmu:
            vm.set_string("pmu", options.pmu)
        if options.mte:
            vm.set_string("mte", options.mte)
    totals = bundle.totals(root, run_options.MAX_PCPUS)
    if options.log:
        root.child("hypervisor").set_string("log-level", options.log)
    if options.vectors:
        root.child("hypervisor").set_string("vectors", options.vectors)
    if options.recorder:
        root.child("hypervisor").set_string("recorder", options.recorder)
    if options.trace:
        root.child("hypervisor").set_string("trace-file", str(options.trace))
    dtb.write_bytes(fdt.write(root))
    return totals


def _boot(options: argparse.Namespace, words: list[str]) -> int:
    if os.environ.get("ARM_VCPU_X_TIMING"):
        begin = float(os.environ.get("ARM_VCPU_X_START", time.time()))
        ui.say(f"QEMU starts {time.time() - begin:.2f} s after the command")
    if sys.stderr.isatty():
        guest = f"Linux {arm64.kernel_version()}" if options.default_guest else "the guest"
        ui.say(f"booting {guest}" + ("; Ctrl-] x ends the machine" if sys.stdin.isatty() else ""))
    typed = bool(sys.stdin and sys.stdin.isatty())
    gate = console.InputGate.for_guest(typed, linux=not options.firmware, default_initrd=options.default_initrd)
    deadline = time.monotonic() + options.timeout if options.timeout else None
    process = qemu.Process(words)
    relay = console.Relay(*process.descriptors, gate, deadline)
    try:
        with console.raw_terminal():
            relay.run()
        status = process.wait(10.0)
    except console.Ended as ended:
        process.kill()
        why = f"--timeout {options.timeout:g}: {ended}, the machine was stopped" if ended.status == 124 else str(ended)
        raise ui.Failure(why, ended.status) from None
    finally:
        process.kill()
    return _verdict(options, relay, status)


def _symbols_of_crash(relay: console.Relay) -> None:
    """The hypervisor prints addresses; here are its symbols."""
    if not relay.crash_addresses or not paths.HYPERVISOR_ELF.exists():
        return
    done = subprocess.run(["aarch64-linux-gnu-addr2line", "-f", "-C", "-p", "-e", str(paths.HYPERVISOR_ELF),
                           *relay.crash_addresses], capture_output=True, text=True, check=False)
    ui.say("the hypervisor's backtrace with symbols:")
    for address, line in zip(relay.crash_addresses, done.stdout.splitlines()):
        ui.say(f"  image+{address}  {line.replace(str(paths.ROOT) + '/', '')}")


def _verdict(options: argparse.Namespace, relay: console.Relay, status: int | None) -> int:
    if relay.verdict == "ok":
        if status is None:
            raise ui.Failure("run: the last line is a verdict, but the machine was not powered off: a guest has printed it", 1)
        return 0
    _symbols_of_crash(relay)
    if relay.verdict is not None and relay.verdict.startswith(REFUSED_BUNDLE):
        # Bad input, whoever finds it.
        raise ui.Failure(f"run: {relay.verdict.removeprefix('failed: ')} (docs/bundle.md has the format)", 2)
    if relay.verdict is not None:
        raise ui.Failure(relay.verdict, 1)
    said = "; ".join(relay.error_tail.decode(errors="replace").strip().splitlines())
    said = f": {said}" if said else ""
    # QEMU gives up on its own command line before it runs anything.
    if status == 1 and not relay.anything_seen:
        if "cannot set up guest memory" in said:
            raise ui.Failure("run: this host has not the memory of the machine, which is the guests' and 256 MiB: make "
                             f"--memory or memory-mib smaller{said}", 2)
        if "MTE requested" in said:
            raise ui.Failure(f"run: a VM has mte on (--mte, or its bundle), and --cpu {options.cpu} has no allocation tags: take "
                             "max", 2)
        if options.qemu_arg or options.cpu != run_options.DEFAULT_CPU:
            raise ui.Failure(f"run: QEMU refuses its options (--cpu, --qemu-arg){said}", 2)
    raise ui.Failure(f"QEMU ended with status {status} and the hypervisor gave no verdict{said}", 1)
