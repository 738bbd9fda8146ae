# SPDX-License-Identifier: Apache-2.0
"""`./x run` on a terminal: keys go to the guest one by one, Ctrl-C too; Ctrl-] x ends the machine; the terminal comes
back as it was."""
import os
import pty
import re
import selectors
import subprocess
import termios
import time

from harness import BOOT_SECONDS, ROOT, SLOWDOWN, check, run


def test() -> None:
    ours, guests = pty.openpty()
    before = termios.tcgetattr(guests)
    child = subprocess.Popen([str(ROOT / "x"), "run"], cwd=ROOT, stdin=guests, stdout=guests, stderr=guests)
    selector = selectors.DefaultSelector()
    selector.register(ours, selectors.EVENT_READ)
    unread = ""

    def expect(pattern: str, seconds: float = 60) -> None:
        nonlocal unread
        end = time.monotonic() + seconds * SLOWDOWN
        while not (found := re.search(pattern, unread)):
            check(time.monotonic() < end and child.poll() is None, f"'{pattern}' did not come")
            if selector.select(1.0):
                text = os.read(ours, 65536).decode(errors="replace")
                print(text, end="", flush=True)
                unread += text
        unread = unread[found.end():]

    try:
        expect("guest# ", BOOT_SECONDS)
        check(not termios.tcgetattr(guests)[3] & (termios.ICANON | termios.ECHO | termios.ISIG), "not a raw terminal")
        os.write(ours, b"sleep 1000\r")
        expect("sleep 1000\r\n")
        time.sleep(1)
        os.write(ours, b"\x03")  # ends the guest's sleep, not the machine
        expect(r"\^C\r*\n*guest# ")
        os.write(ours, b"echo still-$((1+1))\r")
        expect("still-2")
        os.write(ours, b"\x1dx")
        status = child.wait(20)
        check(status == 1, f"exit status {status}, expected 1")
        check(termios.tcgetattr(guests) == before, "the terminal is not as it was")
    finally:
        child.terminate()
        child.wait()


run(test)
