# SPDX-License-Identifier: Apache-2.0
"""What `./x run` tells its caller. Argument: timeout, broken-guest or signal."""
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

from harness import BOOT_SECONDS, ROOT, Machine, check, run


def timeout() -> None:
    with Machine("--timeout", "3") as machine:
        machine.ends_with(124)
        check("x: --timeout 3" in machine.output, "the line that says why is missing")


def broken_guest() -> None:
    """A guest whose first instruction is undefined, with no vectors to take the exception."""
    with tempfile.TemporaryDirectory() as folder:
        kernel = Path(folder) / "udf.bin"
        kernel.write_bytes(struct.pack("<I", 0) * 16)  # UDF #0
        with Machine("--kernel", kernel, "--timeout", "60") as machine:
            machine.ends_with(1, BOOT_SECONDS)
            check("[hv] verdict: failed: " in machine.output, "the hypervisor gives no reason")
            check("x: failed: " in machine.output, "the launcher gives no reason")


def terminated() -> None:
    """SIGTERM takes QEMU along."""
    with Machine() as machine:
        machine.expect(r"Booting Linux", BOOT_SECONDS)
        launcher = machine.pid
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text(encoding="utf-8").split()
        check(len(children) == 1, f"the launcher has {len(children)} children")
        machine.signal(signal.SIGTERM)
        machine.ends_with(128 + signal.SIGTERM)
        end = time.monotonic() + 10
        while Path(f"/proc/{children[0]}").exists() and time.monotonic() < end:
            time.sleep(0.05)
        check(not Path(f"/proc/{children[0]}").exists(), "QEMU is still there")


run({"timeout": timeout, "broken-guest": broken_guest, "signal": terminated}[sys.argv[1]])
