# SPDX-License-Identifier: Apache-2.0
"""What the user sees: one line per long step, its progress, and one line per failure. All of it on standard error, so
that standard output is the guest's console alone."""
import os
import selectors
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from . import paths

QUIET_SECONDS = 0.4  # a step shorter than this says nothing: a start that has nothing to do stays silent
HEARTBEAT_SECONDS = 10.0  # without a terminal: one line of progress this often


class Failure(Exception):
    """Ends the command with this one line and this exit status."""

    def __init__(self, message: str, status: int = 1):
        super().__init__(message)
        self.status = status


def say(text: str) -> None:
    print(f"x: {text}", file=sys.stderr, flush=True)


class Step:
    """`with Step("building the hypervisor") as step: step.run([...])`"""

    def __init__(self, what: str):
        self._what = what
        self._tty = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._begin = time.monotonic()
        self._shown = False
        self._next_line = HEARTBEAT_SECONDS

    def __enter__(self) -> "Step":
        return self

    def __exit__(self, kind, value, traceback) -> None:
        if not self._shown:
            return
        seconds = time.monotonic() - self._begin
        self._clear()
        say(f"{self._what}: {'done' if kind is None else 'stopped'} after {seconds:.1f} s")

    def _clear(self) -> None:
        if self._tty:
            sys.stderr.write("\r\x1b[K")

    def progress(self, detail: str = "") -> None:
        seconds = time.monotonic() - self._begin
        if seconds < QUIET_SECONDS:
            return
        if self._tty:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            self._clear()
            sys.stderr.write(f"x: {self._what} ... {seconds:.0f} s  {detail}"[: width - 1])
            sys.stderr.flush()
        elif not self._shown:
            say(f"{self._what} ...")
        elif seconds >= self._next_line:
            say(f"{self._what} ... {seconds:.0f} s  {detail}"[:160])
            self._next_line = seconds + HEARTBEAT_SECONDS
        self._shown = True

    def run(self, command: list, log: str, cwd: Path | None = None, env: dict | None = None) -> str:
        """Runs a command with its output in .cache/log/<log>.log. Its last line is the progress. Returns the output."""
        paths.LOGS.mkdir(parents=True, exist_ok=True)
        log_file = paths.LOGS / f"{log}.log"
        status, text = self._capture([str(word) for word in command], log_file, cwd, env)
        if status != 0:
            self._explain(text)
            raise Failure(f"{self._what} failed: '{Path(command[0]).name}' ended with {status}; all of its output: {log_file}")
        return text

    def _capture(self, command: list[str], log_file: Path, cwd: Path | None, env: dict | None) -> tuple[int, str]:
        try:
            child = subprocess.Popen(command, cwd=cwd or paths.ROOT, env={**os.environ, **(env or {})},
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except OSError as error:
            raise Failure(f"{self._what} failed: {command[0]}: {error.strerror}") from None
        text = bytearray()
        last = ""
        with child, selectors.DefaultSelector() as selector, open(log_file, "wb") as log:
            selector.register(child.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(timeout=0.2):
                    piece = os.read(child.stdout.fileno(), 65536)
                    if not piece:
                        break
                    log.write(piece)
                    text += piece
                    lines = piece.decode(errors="replace").splitlines()
                    last = lines[-1].strip() if lines else last
                self.progress(last)
            return child.wait(), text.decode(errors="replace")

    def _explain(self, text: str) -> None:
        """The part of a failed command's output that matters: from the first error on, or its end."""
        lines = text.splitlines()
        first = next((n for n, line in enumerate(lines) if line.startswith(("FAILED:", "CMake Error"))), None)
        shown = lines[first:first + 60] if first is not None else deque(lines, maxlen=30)
        self._clear()
        for line in shown:
            print(f"   {line}", file=sys.stderr)
