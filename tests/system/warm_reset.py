# SPDX-License-Identifier: Apache-2.0
"""The trace survives a warm reset that nobody ordered: the next boot says where it is, and a dump of the machine's memory
holds it, with every record in its place."""
import json
import re
import socket
import struct
import tempfile
from pathlib import Path

from harness import Machine, check, run

RAM_BASE, DUMPED_BYTES = 0x4000_0000, 64 << 20  # the hypervisor allocates from the bottom of RAM
HEADER_BYTES, RING_BYTES, RECORD_BYTES = 4096, 64, 64


class Qmp:
    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self._file.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments) -> None:
        self._file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = json.loads(self._file.readline())
            if "return" in answer:
                return
            check("error" not in answer, f"QMP {name}: {answer}")

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def check_area(dump: bytes, base: int) -> None:
    at = base - RAM_BASE
    check(dump[at:at + 8] == b"AVCPUTRC", "no trace at the address that was printed")
    cpus, = struct.unpack_from("<I", dump, at + 20)
    check(cpus == 2, f"{cpus} rings, the machine has 2 CPUs")
    ring = at + HEADER_BYTES
    magic, cpu, capacity, written = struct.unpack_from("<4sIQQ", dump, ring)
    check((magic, cpu) == (b"AVRB", 0), "no ring of CPU 0")
    check(written > 100, f"only {written} records of a guest that printed a screen")
    for number in range(max(0, written - capacity), written):
        record = ring + RING_BYTES + (number % capacity) * RECORD_BYTES
        sequence, = struct.unpack_from("<I", dump, record + 56)
        check(sequence == number & 0xFFFFFFFF, f"record {number} is numbered {sequence}")
    print(f"{written} records of CPU 0 in place")


def test() -> None:
    with tempfile.TemporaryDirectory(prefix="arm-vcpu-reset-") as folder:
        control, memory = Path(folder) / "qmp", Path(folder) / "memory"
        with Machine("--firmware", "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "--pcpus", 2, "--qemu-arg", "-action",
                     "--qemu-arg", "reboot=reset", "--qemu-arg", "-qmp", "--qemu-arg",
                     f"unix:{control},server=on,wait=off") as machine:
            machine.expect(r"Hit any key to stop autoboot")
            qmp = Qmp(control)
            qmp.command("system_reset")
            found = machine.expect(r"the former run ended badly; its trace is kept at (0x[0-9a-f]+), ")
            machine.expect(r"Hit any key to stop autoboot")
            qmp.command("pmemsave", val=RAM_BASE, size=DUMPED_BYTES, filename=str(memory))
            qmp.close()
            check_area(memory.read_bytes(), int(found[1], 16))
            check(len(re.findall(r"U-Boot 20", machine.output)) == 2, "the guest did not start twice")


run(test)
