# SPDX-License-Identifier: Apache-2.0
"""The machine under the hypervisor: QEMU's virt with EL2, and the end of its process."""
import ctypes
import re
import signal
import subprocess
from pathlib import Path

from . import paths, ui

PROGRAM = "qemu-system-aarch64"
HYPERVISOR_MIB = 256  # beyond the guests' RAM: the hypervisor, its heaps, QEMU's device tree
PR_SET_PDEATHSIG = 1


def command(cpu: str, cpus: int, memory_mib: int, bundle: Path, icount: bool, extra: list[str],
            semihosting: bool = False, mte: bool = False, gic: int = 3) -> list[str]:
    """Raw bytes on standard input and output are the console; nothing else of QEMU is on the terminal."""
    machine = f"virt,virtualization=on,gic-version={gic}" + (",mte=on" if mte else "")
    words = [PROGRAM, "-nodefaults", "-no-reboot", "-machine", machine, "-cpu", cpu,
             # Several host threads trip an assertion of QEMU 7.2 in the EL2 timers.
             "-accel", "tcg,thread=single", "-smp", str(cpus), "-m", str(memory_mib),
             "-nic", "none", "-display", "none", "-monitor", "none",
             "-chardev", "stdio,id=console,signal=off,mux=off", "-serial", "chardev:console",
             "-kernel", str(paths.HYPERVISOR_IMAGE), "-initrd", str(bundle)]
    if semihosting:  # how the hypervisor writes the trace file
        words += ["-semihosting-config", "enable=on,target=native"]
    if icount:
        words += ["-icount", "shift=0,sleep=off"]
    return words + extra


def memory_mib(guests_mib: int, bundle: Path) -> int:
    return guests_mib + HYPERVISOR_MIB + -(-bundle.stat().st_size // (1 << 20))


def check_cpu(model: str) -> None:
    """Refuses a model that QEMU does not have or that cannot run A64 code, before QEMU is started with it."""
    name = model.split(",")[0]
    listing = subprocess.run([PROGRAM, "-cpu", "help"], capture_output=True, text=True, check=False).stdout
    known = listing.split()[2:]
    if name not in known:
        usable = " ".join(n for n in known if _has_a64(n))
        raise ui.Failure(f"run: --cpu {name}: this QEMU has no such model; it has {usable}", 2)
    if name == "host" or not _has_a64(name):
        raise ui.Failure(f"run: --cpu {name}: cannot run A64 code at EL2 here; take max or a 64-bit Cortex or Neoverse", 2)


def _has_a64(name: str) -> bool:
    return not re.match(r"cortex-(a(7|8|9|15)$|[mr]\d)|arm\d|pxa|sa1|ti9", name)


class Process:
    """QEMU with pipes. It dies with this program, however this one ends."""

    def __init__(self, words: list[str]):
        libc = ctypes.CDLL(None)
        self._child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            process_group=0,  # Ctrl-C of a terminal reaches this program, which then ends QEMU
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    @property
    def descriptors(self) -> tuple[int, int, int]:
        child = self._child
        return child.stdin.fileno(), child.stdout.fileno(), child.stderr.fileno()

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()

    def wait(self, seconds: float) -> int | None:
        """The exit status, or None when QEMU did not end in time and was killed."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
