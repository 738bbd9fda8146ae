# SPDX-License-Identifier: Apache-2.0
"""`./x gdb`: the machine of `./x run`, halted at its first instruction, with gdb-multiarch attached."""
import argparse
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from commands import run
from xlib import cmake, console, packages, paths, qemu, run_options, setup, ui

PROGRAM = "gdb-multiarch"
HELPERS = paths.ROOT / "tools" / "gdb" / "init.py"
START_SECONDS = 60.0

EPILOG = """\
All other options are those of ./x run (./x run --help). In gdb: vcpu, exits, walk, s2, why, gbt (help COMMAND); `console`
shows the guest's console, `type TEXT` types on it. A breakpoint in the hypervisor stops at EL2 only.

The console is not on gdb's terminal: `./x gdb --terminal` in a second terminal is connected to it; --console FILE keeps
what is written there.

exit status: gdb's; with --batch 1 when a command of the script fails; 2 bad options, 124 the --timeout came
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise ui.Failure(f"gdb: {message} (./x gdb --help)", 2)


def _parser() -> _Parser:
    p = _Parser(prog="./x gdb", usage="./x gdb [options] [options of ./x run]", allow_abbrev=False, epilog=EPILOG,
                formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__.split(": ", 1)[1])
    p.add_argument("--guest", action="store_true", help="let it run to the guest's first instruction")
    p.add_argument("--symbols", metavar="ELF[@OFFSET]", action="append", default=[],
                   help="a guest's ELF file, that runs OFFSET bytes above its link address")
    p.add_argument("--debug", action="store_true", help="the debug build (-Og) of the hypervisor")
    p.add_argument("--batch", metavar="SCRIPT", help="run a script of gdb commands and end")
    p.add_argument("--console", metavar="FILE", help="what the console writes")
    p.add_argument("--terminal", action="store_true", help="be the console of the ./x gdb that runs")
    return p


def main(argv: list[str]) -> int:
    own, rest = _parser().parse_known_args(argv)
    if own.terminal:
        return _terminal()
    symbols = [_symbol_file(text) for text in own.symbols]
    if own.batch and not Path(own.batch).is_file():
        raise ui.Failure(f"gdb: --batch {own.batch}: no such file", 2)
    options = run_options.parse(rest)
    image = _prepare("el2-debug" if own.debug else "el2")
    options.vectors = options.vectors or "plain"  # or a breakpoint would miss what the vectors answer
    if options.cpu.split(",")[0] != "max":
        qemu.check_cpu(options.cpu)
    with run._signals(), run._folder() as folder:
        totals = run._make_bundle(options, folder)
        cpus = run.physical_cpus(options, totals, "gdb")
        dtb = folder / "bundle.dtb"
        words = qemu.command(options.cpu, cpus, qemu.memory_mib(totals.memory_mib, dtb), dtb, options.icount,
                             options.qemu_arg, semihosting=bool(options.trace), mte=totals.mte, gic=options.gic)
        log = Path(own.console).resolve() if own.console else folder / "console.log"
        log.write_bytes(b"")
        machine = _start(_halted(words, image, folder, log), folder)
        try:
            script = _script(own, symbols, image.with_suffix(".elf"), folder, log)
            return _debug(own, script, options.timeout, machine)
        finally:
            machine.kill()
            machine.wait()


def _symbol_file(text: str) -> tuple[Path, int]:
    name, _, offset = text.partition("@")
    try:
        number = int(offset or "0", 0)
    except ValueError:
        raise ui.Failure(f"gdb: --symbols {text}: '{offset}' is no number", 2) from None
    path = Path(name).resolve()
    if not path.is_file():
        raise ui.Failure(f"gdb: --symbols {name}: no such file", 2)
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            raise ui.Failure(f"gdb: --symbols {name}: not an ELF file", 2)
    return path, number


def _prepare(preset: str) -> Path:
    setup.ready_for_run()
    image = paths.BUILD / preset / "hypervisor" / "arm-vcpu.img"
    if not os.environ.get("ARM_VCPU_SKIP_SETUP"):
        with cmake.lock():
            packages.ensure(packages.GDB)
            cmake.build(preset)
    if not image.exists() or not shutil.which(PROGRAM):
        raise ui.Failure(f"{image if not image.exists() else PROGRAM} is not there and ARM_VCPU_SKIP_SETUP is set: run "
                         f"./x gdb{' --debug' if preset == 'el2-debug' else ''} without it first")
    return image


def _halted(words: list[str], image: Path, folder: Path, log: Path) -> list[str]:
    """The command line of ./x run with the console on a socket, another image, and gdb's socket. Sockets of the file
    system: no port that another user of the host could connect to."""
    words = list(words)
    words[words.index("-kernel") + 1] = str(image)
    words[words.index("-chardev") + 1] = (f"socket,id=console,path={folder / 'console'},server=on,wait=off,"
                                          f"logfile={log},logappend=off")
    return words + ["-S", "-gdb", f"unix:{folder / 'gdb'},server=on,wait=off"]


def _start(words: list[str], folder: Path) -> subprocess.Popen:
    libc = ctypes.CDLL(None)
    errors = folder / "qemu.log"
    with open(errors, "wb") as log:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
                                 preexec_fn=lambda: libc.prctl(qemu.PR_SET_PDEATHSIG, signal.SIGKILL))
    deadline = time.monotonic() + START_SECONDS
    while not (folder / "gdb").exists():
        if child.poll() is not None or time.monotonic() > deadline:
            child.kill()
            child.wait()
            said = errors.read_text(errors="replace").strip().splitlines()[-1:]
            raise ui.Failure("QEMU does not start" + (f": {said[0]}" if said else ""), 2)
        time.sleep(0.02)
    return child


def _script(own: argparse.Namespace, symbols: list[tuple[Path, int]], elf: Path, folder: Path, log: Path) -> Path:
    lines = ["set remotetimeout 60", "set python print-stack none" if own.batch else "", f"source {HELPERS}",
             # gdb asks for a program before it connects; it must not take memory from the file afterwards.
             f"exec-file {elf}", f"target remote {folder / 'gdb'}", "exec-file",
             f"arm-vcpu attach {elf}", f"arm-vcpu console {log} {folder / 'console'}"]
    lines += [f"arm-vcpu guest-symbols {path} {offset:#x}" for path, offset in symbols]
    lines += ["arm-vcpu run-to-guest"] if own.guest else []
    script = folder / "init.gdb"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return script


def _debug(own: argparse.Namespace, script: Path, timeout: float | None, machine: subprocess.Popen) -> int:
    words = [PROGRAM, "-q"]
    if own.batch:
        words += ["-nx", "-batch", "-iex", "set pagination off", "-iex", "set confirm off", "-iex", "set width 0",
                  "-x", str(script), "-x", own.batch]
    else:
        ui.say("the guest's console: ./x gdb --terminal in another terminal, or 'console' and 'type' in gdb")
        words += ["-iex", "set confirm off", "-x", str(script)]
    # Ctrl-C is gdb's: it stops the machine.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL if own.batch else None,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        status = child.wait(timeout)
        return status if status >= 0 else 128 - status
    except subprocess.TimeoutExpired:
        raise ui.Failure(f"--timeout {timeout:g}: gdb and the machine were stopped", 124) from None
    finally:
        child.kill()
        child.wait()
        signal.signal(signal.SIGINT, previous)


def _terminal() -> int:
    """Connects this terminal to the console of the session that runs."""
    sessions = sorted(paths.RUNS.glob("*/console")) if paths.RUNS.exists() else []
    sessions = [path for path in sessions if Path(f"/proc/{path.parent.name}").exists()]
    if len(sessions) != 1:
        raise ui.Failure(f"gdb --terminal: {len(sessions)} sessions of ./x gdb run in this checkout, and it must be one", 2)
    with socket.socket(socket.AF_UNIX) as connection, open(os.devnull, "rb") as nothing:
        connection.connect(str(sessions[0]))
        ui.say("connected to the console; Ctrl-] x leaves it, and the machine goes on")
        relay = console.Relay(connection.fileno(), os.dup(connection.fileno()), nothing.fileno(),
                              console.InputGate(None), None)
        try:
            with console.raw_terminal():
                relay.run()
        except console.Ended:
            pass
    return 0
