# SPDX-License-Identifier: Apache-2.0
"""Between this terminal and QEMU's console: passes the bytes on, both ways, unchanged and at once, and watches for what
the launcher must know: the verdict, the timeout, the keys that end the machine."""
import os
import re
import select
import sys
import termios
import time
import tty
from contextlib import contextmanager

ESCAPE = 0x1D  # Ctrl-]
QUIT = ord("x")
QUEUE_LIMIT = 4096  # bytes read ahead of what QEMU takes
LINE_LIMIT = 4096
SILENCE_SECONDS = 5.0
POWER_OFF_SECONDS = 10.0  # from the verdict to the end of QEMU

VERDICT = re.compile(rb"\[hv\] verdict: (ok|failed.*)")
# Addresses in the report of the hypervisor's own crash.
PANIC = re.compile(rb"^\[hv\] panic: ")
CODE = re.compile(rb"image\+(0x[0-9a-f]+)")
MOST_CODE = 64
# Where a Linux guest no longer drops input: init was started, or something asks for it.
LISTENS = re.compile(rb"(?:^|[ \]])Run \S+ as init process|login: ?$|[#$>] (?:\x1b\[6n)?$")
# Our initramfs: it announces the shell, and then the shell asks.
READY = re.compile(rb"^arm_vcpu guest ready: ")
PROMPT = re.compile(rb"^guest# ")


@contextmanager
def raw_terminal():
    """Standard input as the guest's terminal: every key goes to the guest, Ctrl-C too. Restored on the way out."""
    if not (sys.stdin and sys.stdin.isatty()):
        yield
        return
    descriptor = sys.stdin.fileno()
    saved = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)


class Ended(Exception):
    """The relay stops for another reason than the end of QEMU: `status` says which."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


class InputGate:
    """Holds piped input until the guest listens. A Linux kernel empties the UART when it opens it, so bytes sent to a
    booting kernel are lost, on hardware too."""

    def __init__(self, listens: re.Pattern | None, silence_after: re.Pattern | None = None):
        """Opens at `listens`; and after some silence, once `silence_after` was seen (None: any output)."""
        self.open = listens is None
        self._listens = listens
        self._silence_after = silence_after
        self._last_output: float | None = None

    @staticmethod
    def for_guest(typed: bool, linux: bool, default_initrd: bool) -> "InputGate":
        if typed or not linux:
            return InputGate(None)
        return InputGate(PROMPT, READY) if default_initrd else InputGate(LISTENS)

    def saw(self, line: bytes) -> None:
        if self.open:
            return
        if self._silence_after is None or self._silence_after.search(line):
            self._silence_after = None
            self._last_output = time.monotonic()
        self.open = self._listens.search(line) is not None

    def tick(self) -> None:
        """A guest that writes nothing more either waits for input or never will."""
        if self._last_output is not None and time.monotonic() - self._last_output > SILENCE_SECONDS:
            self.open = True


class Relay:
    def __init__(self, to_qemu: int, from_qemu: int, qemu_errors: int, gate: InputGate, deadline: float | None):
        self._to, self._from, self._errors = to_qemu, from_qemu, qemu_errors
        self._stdin = sys.stdin.fileno() if sys.stdin else None
        self._typed = bool(sys.stdin and sys.stdin.isatty())
        self._gate = gate
        self._deadline = deadline
        self._queue = bytearray()  # read, but not yet taken by QEMU
        self._line = b""  # the console's last, unfinished line
        self._escaped = False
        self._last_call: float | None = None
        self._open = {from_qemu: self._output, qemu_errors: self._error_output}
        self.verdict: str | None = None
        self.anything_seen = False
        self.error_tail = b""
        self.panicked = False
        self.crash_addresses: list[str] = []  # offsets in the hypervisor's ELF, in the order of the report
        os.set_blocking(to_qemu, False)

    def run(self) -> None:
        """Until QEMU closes its output. Raises Ended for the timeout and for Ctrl-] x."""
        while self._from in self._open:
            readers = list(self._open)
            if self._stdin is not None and self._gate.open and len(self._queue) < QUEUE_LIMIT:
                readers.append(self._stdin)
            writers = [self._to] if self._queue else []
            readable, writable, _ = select.select(readers, writers, [], self._patience())
            for descriptor in readable:
                self._open.get(descriptor, self._input)()
            if writable:
                self._drain()
            self._gate.tick()
            now = time.monotonic()
            if self._deadline is not None and now >= self._deadline:
                raise Ended(124, "the time is up")
            if self._last_call is not None and now >= self._last_call:
                return  # the verdict is there, but the machine did not power off

    def _patience(self) -> float:
        ends = [end - time.monotonic() for end in (self._deadline, self._last_call) if end is not None]
        return max(0.0, min([1.0, *ends]))

    def _output(self) -> None:
        data = os.read(self._from, 65536)
        if not data:
            del self._open[self._from]
            return
        if not self.anything_seen:
            self.anything_seen = True
            self._show_errors(self.error_tail)
        write_all(sys.stdout.fileno(), data)
        *lines, rest = (self._line + data).split(b"\n")
        for line in lines:
            self._gate.saw(line)
            self._note_crash(line)
            found = VERDICT.match(line.strip(b"\r"))
            if found:
                self.verdict = found.group(1).decode(errors="replace")
                self._last_call = time.monotonic() + POWER_OFF_SECONDS
            elif line.strip():
                self._forget_verdict()
        self._line = rest[:LINE_LIMIT]
        if rest.strip():
            self._forget_verdict()
        self._gate.saw(self._line)

    def _forget_verdict(self) -> None:
        """The hypervisor says nothing after its verdict: a single guest, whose bytes pass as they are, has printed it."""
        self.verdict = None
        self._last_call = None

    def _note_crash(self, line: bytes) -> None:
        self.panicked = self.panicked or PANIC.match(line) is not None
        if not self.panicked or b"verdict:" in line:
            return
        for found in CODE.findall(line):
            if len(self.crash_addresses) < MOST_CODE:
                self.crash_addresses.append(found.decode())

    def _error_output(self) -> None:
        data = os.read(self._errors, 65536)
        if not data:
            del self._open[self._errors]
        self.error_tail = (self.error_tail + data)[-LINE_LIMIT:]
        # What QEMU says before it runs anything is why it does not: the line of the exit status has it.
        if self.anything_seen:
            self._show_errors(data)

    def _show_errors(self, data: bytes) -> None:
        # A raw terminal does not go back to the left margin by itself.
        write_all(sys.stderr.fileno(), data.replace(b"\n", b"\r\n") if self._typed else data)

    def _input(self) -> None:
        data = os.read(self._stdin, 1024)
        if not data:
            self._stdin = None  # the end of the input is not the end of the guest
        self._queue += self._keys(data) if self._typed else data

    def _keys(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte == QUIT:
                    raise Ended(1, "ended with Ctrl-] x")
                out += bytes([ESCAPE, byte])  # all else is for the hypervisor: another VM's console, Ctrl-] itself
            elif byte == ESCAPE:
                self._escaped = True
            else:
                out.append(byte)
        return bytes(out)

    def _drain(self) -> None:
        try:
            del self._queue[:os.write(self._to, self._queue)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._queue.clear()


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data):]
        except BlockingIOError:  # a terminal someone else made non-blocking
            time.sleep(0.01)
