# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's own state, looked at from outside while QEMU runs or after it was switched off: what must not have
changed, and whether the exit recorder's rings are what their format says."""
import json
import re
import socket
import struct
import subprocess
import time
from pathlib import Path

from . import paths, ui

RAM_BASE = 0x40000000
HEADER_BYTES = 4096
RECORD_BYTES = 64
FILE_MAGIC = b"AVCPUTRC"
RING_MAGIC = b"AVRB"
# include/arm_vcpu/trace/record.hpp: struct Header, RingHeader, Record
HEADER = struct.Struct("<8sIIIIQQQQQQ")
RING = struct.Struct("<4sIQQQQ")
RECORD = struct.Struct("<QQQQQQIIIBBBB")


class Monitor:
    """QEMU's machine protocol on a socket of ours. `words()` are the options that open it."""

    def __init__(self, folder: Path):
        self._path = folder / "qmp"
        self._folder = folder
        self._socket: socket.socket | None = None

    def words(self) -> list[str]:
        # Switched off, the machine stays to be looked at.
        return ["-no-shutdown", "-qmp", f"unix:{self._path},server=on,wait=off"]

    def _connect(self) -> None:
        end = time.monotonic() + 20
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(str(self._path))
                break
            except OSError:
                if time.monotonic() > end:
                    raise ui.Failure("QEMU's monitor does not answer") from None
                time.sleep(0.02)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()  # the greeting
        self._call("qmp_capabilities")

    def _call(self, name: str, **arguments) -> None:
        self._socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        for line in self._lines:
            answer = json.loads(line)
            if "error" in answer:
                raise ui.Failure(f"QEMU's monitor refuses {name}: {answer['error']['desc']}")
            if "return" in answer:
                return

    def memory(self, address: int, size: int) -> bytes:
        if self._socket is None:
            self._connect()
        file = self._folder / "memory"
        self._call("pmemsave", val=address, size=size, filename=str(file))
        data = file.read_bytes()
        file.unlink()
        return data

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def outcomes() -> int:
    """How many enumerators Outcome has."""
    text = (paths.ROOT / "include/arm_vcpu/trace/record.hpp").read_text(encoding="utf-8")
    body = re.search(r"enum class Outcome : std::uint8_t \{(.*?)\};", text, re.DOTALL).group(1)
    return len(re.findall(r"^\s*\w+", re.sub(r"//.*", "", body), re.MULTILINE))


def constant_bytes(elf: Path = paths.HYPERVISOR_ELF) -> int:
    """Of the hypervisor's image, from its start: text, constants, and what only relocation writes."""
    names = subprocess.run(["aarch64-linux-gnu-nm", str(elf)], capture_output=True, text=True, check=True).stdout
    for line in names.splitlines():
        address, _, name = line.split()[-3:] if len(line.split()) == 3 else ("0", "", "")
        if name == "hv_data_start":
            return int(address, 16)
    raise ui.Failure(f"{elf}: no symbol hv_data_start")


def find_image(memory: bytes, image: bytes) -> int:
    """Where in `memory` the hypervisor runs: its first page is not relocated. -1: nowhere."""
    return memory.find(image[:4096])


def changed_at(before: bytes, after: bytes) -> int:
    """The first byte that differs; -1: none does."""
    if before == after:
        return -1
    return next((i for i, (a, b) in enumerate(zip(before, after)) if a != b), min(len(before), len(after)))


def _ring_problem(memory: bytes, at: int, cpu: int, vms: int) -> str:
    magic, number, capacity, written, streamed, _ = RING.unpack_from(memory, at)
    if magic != RING_MAGIC or number != cpu or capacity == 0 or capacity & (capacity - 1):
        return f"ring {cpu} has no header"
    if streamed > written:
        return f"ring {cpu}: {streamed} of {written} records are said to be in a file"
    time_before, known_outcomes = 0, outcomes()
    for n in range(max(0, written - capacity), written):
        record = RECORD.unpack_from(memory, at + 64 + n % capacity * RECORD_BYTES)
        ticks, sequence, vm, outcome = record[0], record[8], record[9], record[12]
        if sequence != n & 0xFFFFFFFF:
            return f"ring {cpu}: record {n} has the number {sequence}"
        if ticks < time_before:
            return f"ring {cpu}: record {n} is {time_before - ticks} ticks older than the one before it"
        if vm >= max(vms, 1) or outcome >= known_outcomes:
            return f"ring {cpu}: record {n} is of VM {vm} and has the outcome {outcome}"
        time_before = ticks
    return ""


def recorder_problem(memory: bytes, base: int = RAM_BASE) -> str:
    """What is wrong with the recorder's area in `memory`, which begins at `base`. Empty: nothing."""
    at = -1
    while (at := memory.find(FILE_MAGIC, at + 1)) >= 0:
        if len(memory) - at < HEADER_BYTES:
            break
        header = HEADER.unpack_from(memory, at)
        version, header_bytes, record_bytes, cpus, area, address, clean = (*header[1:5], header[6], header[7], header[10])
        if (header_bytes, record_bytes) != (HEADER_BYTES, RECORD_BYTES) or address != base + at:
            continue  # the magic in the hypervisor's constants
        if version != 1 or clean != 1 or at + area > len(memory):
            return f"the header says version {version}, clean shutdown {clean}, {area} bytes"
        vms = struct.unpack_from("<I", memory, at + HEADER.size + 20)[0]
        ring_bytes = (area - HEADER_BYTES) // cpus // 64 * 64
        places = [at + HEADER_BYTES]
        for cpu in range(cpus):
            problem = _ring_problem(memory, places[-1], cpu, vms)
            if problem:
                return problem
            capacity = RING.unpack_from(memory, places[-1])[2]
            places.append(places[-1] + 64 + capacity * RECORD_BYTES)
        return "" if places[-1] - places[0] <= ring_bytes * cpus + 64 else "the rings are longer than their area"
    return "the recorder's area is not in the first part of the memory"
