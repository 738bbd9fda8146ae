# SPDX-License-Identifier: Apache-2.0
"""`./x fault`: brings a failure about and shows how it is diagnosed."""
import argparse
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faults.table import BY_NAME, CLASSES, FAULTS, Fault
from xlib import bundle, console, paths, qemu, setup, ui

MEMORY_MIB = 128
REPORT = re.compile(r"^(?:\[hv\] )(AV\d{4}) ")
VERDICT = re.compile(r"^\[hv\] verdict: (.*)")
GRACE_SECONDS = 0.7  # from the diagnosis to the end of what it prints
SLOWDOWN = float(os.environ.get("ARM_VCPU_TEST_SLOWDOWN", "1"))


def _name_of(code: int) -> str:
    return f"AV{code:04}" if code else "none"


def _list() -> int:
    for kind, meaning in CLASSES.items():
        print(f"{kind}: {meaning}")
        for fault in FAULTS:
            if fault.kind == kind:
                print(f"  {fault.name:<24}{_name_of(fault.code):<8}{fault.what}")
    return 0


def _command(fault: Fault, cpu: str, folder: Path) -> list[str]:
    image = paths.BUILD / "el2" / "guests" / (fault.image or "faults.img")
    if fault.content:
        image = folder / "kernel.bin"
        image.write_bytes(fault.content)
    vm = bundle.SingleVm(image, None, None, f"fault={fault.guest or fault.name}", fault.cpus, MEMORY_MIB, "info",
                         pmu=fault.pmu, sve_bits=fault.sve_bits)
    source = bundle.source(vm)
    if fault.simulate:
        source = source.replace("hypervisor {", f"hypervisor {{ simulate = {bundle.quoted(fault.simulate)};", 1)
    dts, dtb = folder / "fault.dts", folder / "fault.dtb"
    dts.write_text(source, encoding="utf-8")
    bundle.compile_dts(dts, dtb)
    words = qemu.command(cpu, 1 if fault.shared else fault.cpus, qemu.memory_mib(MEMORY_MIB, dtb), dtb, False, [])
    words[words.index("-machine") + 1] = fault.machine
    if fault.tree:
        words += ["-dtb", str(_changed_tree(words, fault.tree, folder / "machine.dtb"))]
    if fault.reboots:
        words.remove("-no-reboot")
    return words


def _changed_tree(words: list[str], change: tuple[str, ...], tree: Path) -> Path:
    dump = [f"{word},dumpdtb={tree}" if before == "-machine" else word for before, word in zip(["", *words], words)]
    for command in (dump, ["fdtput", "-t", "x", str(tree), *change]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ui.Failure(f"fault: {command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return tree


class _Outcome:
    def __init__(self):
        self.codes: list[str] = []
        self.verdict = ""
        self.why_it_ended = "QEMU ended"


def _boot(words: list[str], fault: Fault, show) -> _Outcome:
    """Until QEMU ends, the diagnosis has been printed, or the time is up."""
    outcome = _Outcome()
    wanted = _name_of(fault.code)
    deadline = time.monotonic() + fault.seconds * SLOWDOWN
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    selector = selectors.DefaultSelector()
    selector.register(child.stdout, selectors.EVENT_READ)
    rest = b""
    try:
        while True:
            if time.monotonic() >= deadline:
                outcome.why_it_ended = "the diagnosis was printed" if wanted in outcome.codes else "the time is up"
                return outcome
            if not selector.select(0.1):
                continue
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                return outcome
            show(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").rstrip("\r")
                if found := REPORT.match(text):
                    outcome.codes.append(found.group(1))
                    if found.group(1) == wanted:
                        deadline = min(deadline, time.monotonic() + GRACE_SECONDS * SLOWDOWN)
                if found := VERDICT.match(text):
                    outcome.verdict = found.group(1)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _judge(fault: Fault, outcome: _Outcome) -> str:
    """What is wrong; empty: nothing."""
    if not fault.code:
        if outcome.codes:
            return f"{fault.name} is healthy, and {outcome.codes[0]} was diagnosed"
        return "" if outcome.verdict == "ok" else f"{fault.name} is healthy, and did not end well: {outcome.verdict or outcome.why_it_ended}"
    wanted = _name_of(fault.code)
    before = {_name_of(code) for code in fault.after}
    if next((code for code in outcome.codes if code not in before), "") == wanted:
        return ""
    came = ", ".join(outcome.codes) or f"nothing ({outcome.why_it_ended}; verdict: {outcome.verdict or 'none'})"
    return f"{fault.name}: {wanted} was expected first, and {came} came"


def _run(fault: Fault, cpu: str | None, show) -> str:
    with tempfile.TemporaryDirectory(prefix="arm-vcpu-fault-") as folder:
        return _judge(fault, _boot(_command(fault, cpu or fault.cpu, Path(folder)), fault, show))


def _run_all(faults: list[Fault], cpu: str | None) -> int:
    failed = 0
    for fault in faults:
        shown = bytearray()
        problem = _run(fault, cpu, shown.extend)
        failed += bool(problem)
        first = next((line for line in shown.decode(errors="replace").splitlines() if REPORT.match(line)), "")
        print(f"{'FAILED' if problem else 'ok':<7}{fault.name:<24}{problem or first[5:165]}", flush=True)
    return 1 if failed else 0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./x fault", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="exit status: 0 the expected code came first (of a healthy guest: none), 1 it did not")
    parser.add_argument("name", nargs="+", metavar="NAME", help="list: what there is; all: each of them; or names")
    parser.add_argument("--cpu", metavar="MODEL", help="QEMU's CPU model, in place of the failure's own")
    options = parser.parse_args(argv)
    if options.name == ["list"]:
        return _list()
    names = list(BY_NAME) if options.name == ["all"] else options.name
    for name in names:
        if name not in BY_NAME:
            raise ui.Failure(f"fault: there is no {name}: ./x fault list shows what there is", 2)
    setup.ready_for_run()
    if len(names) > 1:
        return _run_all([BY_NAME[name] for name in names], options.cpu)
    problem = _run(BY_NAME[names[0]], options.cpu, lambda data: console.write_all(sys.stdout.fileno(), data))
    if problem:
        raise ui.Failure(problem)
    return 0
