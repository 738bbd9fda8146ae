# SPDX-License-Identifier: Apache-2.0
"""The recorder against QEMU's own log: every exception that QEMU took from EL1 or EL0 to EL2 is in the trace, with its
ESR and PC and in its order, and nothing else is.

    trace_oracle.py VCPUS EXITS    a Linux boot, and then output on its console until there are that many exits"""
import os
import re
import struct
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from harness import BOOT_SECONDS, Machine, check, run

HEADER_BYTES, CHUNK_BYTES, RECORD = 4096, 64, struct.Struct("<6QIII4B")
EXIT_SYNC, EXIT_IRQ, EXIT_FIQ, EXIT_SERROR = range(4)
# QEMU's numbers of the exceptions that carry no syndrome.
IRQ_NAMES = {"IRQ": EXIT_IRQ, "FIQ": EXIT_FIQ, "SError": EXIT_SERROR}
TAKING = re.compile(r"^Taking exception \d+ \[([^\]]+)\] on CPU (\d+)")
LEVELS = re.compile(r"^\.\.\.from EL([0-3]) to EL([0-3])")
ESR = re.compile(r"^\.\.\.with ESR 0x[0-9a-f]+/0x([0-9a-f]+)")
ELR = re.compile(r"^\.\.\.with ELR 0x([0-9a-f]+)")


def recorded(file: Path) -> tuple[dict[int, list], int]:
    """(kind, ESR, PC) of each exit, by CPU; and the number of records lost, as the file says."""
    exits, lost = defaultdict(list), defaultdict(int)
    data = file.read_bytes()
    check(data[:8] == b"AVCPUTRC", "the trace file has no header")
    at, expected = HEADER_BYTES, defaultdict(int)
    while at < len(data):
        magic, cpu, first, count, lost_now = struct.unpack_from("<4sIQQQ", data, at)
        check(magic == b"AVCK", f"no chunk at {at}")
        at += CHUNK_BYTES
        check(first == expected[cpu] + lost_now - lost[cpu], "a chunk does not follow the one before")
        lost[cpu], expected[cpu] = lost_now, first + count
        body = memoryview(data)[at:at + count * RECORD.size]
        for number, fields in enumerate(RECORD.iter_unpack(body), first):
            _, pc, esr, *_, sequence, _, _, kind, _ = fields
            check(sequence == number & 0xFFFFFFFF, f"record {number} of CPU {cpu} is numbered {sequence}")
            if kind <= EXIT_SERROR:
                exits[cpu].append((kind, esr if kind in (EXIT_SYNC, EXIT_SERROR) else 0, pc))
        at += count * RECORD.size
    return exits, sum(lost.values())


def logged(file: Path) -> dict[int, list]:
    """The same from QEMU's log: exceptions to EL2 from below."""
    exits = defaultdict(list)
    name = cpu = levels = esr = None
    with open(file, encoding="ascii", errors="replace") as lines:
        for line in lines:
            if found := TAKING.match(line):
                name, cpu, levels, esr = found[1], int(found[2]), None, 0
            elif found := LEVELS.match(line):
                levels = (int(found[1]), int(found[2]))
            elif found := ESR.match(line):
                esr = int(found[1], 16)
            elif (found := ELR.match(line)) and levels and levels[1] == 2 and levels[0] < 2:
                kind = IRQ_NAMES.get(name, EXIT_SYNC)
                exits[cpu].append((kind, esr if kind in (EXIT_SYNC, EXIT_SERROR) else 0, int(found[1], 16)))
    return exits


def compare(cpu: int, ours: list, qemus: list) -> None:
    for number, (our, their) in enumerate(zip(ours, qemus)):
        check(our == their, f"CPU {cpu}, exit {number}: the recorder has kind {our[0]} ESR {our[1]:#x} PC {our[2]:#x}, "
              f"QEMU kind {their[0]} ESR {their[1]:#x} PC {their[2]:#x}")
    check(len(ours) == len(qemus), f"CPU {cpu}: the recorder has {len(ours)} exits, QEMU {len(qemus)}")


def test() -> None:
    vcpus, wanted = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="arm-vcpu-oracle-") as folder:
        trace, log = Path(folder) / "exits.trace", Path(folder) / "qemu.log"
        with Machine("--vcpus", vcpus, "--trace", trace, "--qemu-arg", "-d", "--qemu-arg", "int",
                     "--qemu-arg", "-D", "--qemu-arg", log) as machine:
            machine.expect(r"arm_vcpu guest ready: ", BOOT_SECONDS)
            # Each character on the console is two exits or more.
            machine.send(f"head -c {wanted // 2} /dev/zero | tr '\\0' x | fold -w 4000; poweroff\n")
            machine.ends_with(0, 600)
        exits, lost = recorded(trace)
        oracle = logged(log)
        print(f"{os.path.getsize(trace)} bytes of trace, {os.path.getsize(log)} of QEMU's log")
        for cpu in sorted(oracle.keys() | exits.keys()):
            compare(cpu, exits[cpu], oracle[cpu])
        total = sum(map(len, exits.values()))
        print(f"{total} exceptions from below EL2 to EL2 agree in class, ESR, PC and order; {lost} records lost")
        check(lost == 0, f"{lost} records were lost although the file was written all the time")
        check(total >= wanted, f"only {total} exits; {wanted} were wanted")


run(test)
