# SPDX-License-Identifier: Apache-2.0
"""One machine per test: `./x run` with its console on pipes, patterns to wait for, and the exit status as the verdict.

    with Machine("--vcpus", "4") as machine:
        machine.boot()
        machine.shell("uname -r")
        machine.send("poweroff\\n")
        machine.ends_with(0)

Times are limits, not expectations; ARM_VCPU_TEST_SLOWDOWN multiplies them on a slow or busy host. CTest's own TIMEOUT is
the hard limit behind them."""
import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLOWDOWN = float(os.environ.get("ARM_VCPU_TEST_SLOWDOWN", "1"))
BOOT_SECONDS = 180
PROMPT = r"guest# "


class TestFailure(Exception):
    pass


def check(condition: bool, what: str) -> None:
    if not condition:
        raise TestFailure(what)


class Machine:
    def __init__(self, *arguments: str, stdin: bytes | None = None, environment: dict[str, str] | None = None):
        """With `stdin` the input is that and then its end; otherwise send() writes it."""
        words = [str(ROOT / "x"), "run", *map(str, arguments)]
        print("+", " ".join(words), flush=True)
        self.started = time.monotonic()
        self._child = subprocess.Popen(words, cwd=ROOT, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._child.stdout, selectors.EVENT_READ)
        self._unread = ""  # not yet matched
        self._eof = False
        self.output = ""
        if stdin is not None:
            self._child.stdin.write(stdin)
            self._child.stdin.close()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_) -> None:
        self._child.terminate()  # ./x run takes QEMU with it
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._selector.close()
        self._child.stdout.close()
        if not self._child.stdin.closed:
            self._child.stdin.close()

    def _read(self, patience: float) -> None:
        if self._eof or not self._selector.select(max(0.0, patience)):
            return
        data = os.read(self._child.stdout.fileno(), 65536)
        self._eof = not data
        text = data.decode(errors="replace")
        sys.stdout.write(text)
        sys.stdout.flush()
        self.output += text
        self._unread += text

    def expect(self, pattern: str, seconds: float = 60) -> re.Match:
        """Waits for the pattern in what has not been matched before; consumes up to its end."""
        end = time.monotonic() + seconds * SLOWDOWN
        compiled = re.compile(pattern, re.MULTILINE)
        while True:
            found = compiled.search(self._unread)
            if found:
                self._unread = self._unread[found.end():]
                return found
            if self._eof:
                raise TestFailure(f"the machine ended, and '{pattern}' had not come")
            if time.monotonic() >= end:
                raise TestFailure(f"'{pattern}' did not come within {seconds * SLOWDOWN:.0f} s")
            self._read(end - time.monotonic())

    def send(self, text: str) -> None:
        self._child.stdin.write(text.encode())

    def boot(self) -> None:
        """To the default guest's prompt."""
        self.expect(r"arm_vcpu guest ready: ", BOOT_SECONDS)
        self.expect(PROMPT)

    def shell(self, command: str, seconds: float = 60) -> str:
        """Runs a command in the default guest's shell. Returns what it wrote."""
        # The command is echoed; the marks are split in it, so that only what the shell writes matches.
        self.send(f'echo "[""begin]"; {command}; echo "[""end $?]"\n')
        self.expect(r"^\[begin\]\r?\n")
        found = self.expect(r"(?s)(.*?)^\[end (\d+)\]", seconds)
        self.expect(PROMPT)
        check(found.group(2) == "0", f"'{command}' ended with {found.group(2)} in the guest")
        return found.group(1).replace("\r\n", "\n").strip()

    def ends_with(self, status: int, seconds: float = 60) -> None:
        """The machine ends by itself, with this exit status."""
        end = time.monotonic() + seconds * SLOWDOWN
        while not self._eof and time.monotonic() < end:
            self._read(end - time.monotonic())
        check(self._eof, f"the machine did not end within {seconds * SLOWDOWN:.0f} s")
        actual = self._child.wait(20)
        check(actual == status, f"exit status {actual}, expected {status}")

    @property
    def pid(self) -> int:
        return self._child.pid

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def poweroff(self) -> None:
        self.send("poweroff\n")
        self.ends_with(0)


def run(test) -> None:
    """Runs a test function; its verdict is the exit status of this program."""
    begin = time.monotonic()
    try:
        test()
    except TestFailure as failure:
        print(f"\nFAILED: {failure}", flush=True)
        sys.exit(1)
    print(f"\npassed in {time.monotonic() - begin:.1f} s", flush=True)
