# SPDX-License-Identifier: Apache-2.0
import struct
import unittest

from xlib import inspection
from xlib.inspection import HEADER, HEADER_BYTES, RECORD, RING

BASE = inspection.RAM_BASE
CAPACITY = 8
AREA = HEADER_BYTES + 2 * (64 + CAPACITY * 64)
PLACE = 0x3000
RING_1 = PLACE + HEADER_BYTES + 64 + CAPACITY * 64


def memory(written: int = 20) -> bytearray:
    """A recorder's area of two CPUs at PLACE: ring 0 is empty, ring 1 has `written` records."""
    data = bytearray(PLACE + AREA + 0x1000)
    HEADER.pack_into(data, PLACE, inspection.FILE_MAGIC, 1, HEADER_BYTES, 64, 2, 62_500_000, AREA, BASE + PLACE, 0, 0, 1)
    struct.pack_into("<I", data, PLACE + HEADER.size + 20, 2)
    RING.pack_into(data, PLACE + HEADER_BYTES, b"AVRB", 0, CAPACITY, 0, 0, 0)
    RING.pack_into(data, RING_1, b"AVRB", 1, CAPACITY, written, 0, 0)
    for n in range(max(0, written - CAPACITY), written):
        record(data, n)
    return data


def record(data: bytearray, n: int, **other) -> None:
    fields = {"time": 1000 + n, "sequence": n, "vm": 1, "outcome": 1} | other
    RECORD.pack_into(data, RING_1 + 64 + n % CAPACITY * 64, fields["time"], 0, 0, 0, 0, 0, 0, 0, fields["sequence"],
                     fields["vm"], 0, 0, fields["outcome"])


class Recorder(unittest.TestCase):
    def problem(self, data: bytes) -> str:
        return inspection.recorder_problem(bytes(data), BASE)

    def test_sound(self):
        for written in (0, 3, CAPACITY, 20):
            self.assertEqual(self.problem(memory(written)), "", written)

    def test_magic_in_constants_is_passed_over(self):
        data = memory()
        data[0x100:0x108] = inspection.FILE_MAGIC
        self.assertEqual(self.problem(data), "")

    def test_nowhere(self):
        self.assertIn("not in the first part", self.problem(bytes(0x10000)))

    def test_not_clean(self):
        data = memory()
        struct.pack_into("<Q", data, PLACE + HEADER.size - 8, 0)
        self.assertIn("clean shutdown 0", self.problem(data))

    def test_torn_ring_header(self):
        data = memory()
        data[RING_1] ^= 1
        self.assertEqual(self.problem(data), "ring 1 has no header")

    def test_more_streamed_than_written(self):
        data = memory()
        RING.pack_into(data, RING_1, b"AVRB", 1, CAPACITY, 20, 21, 0)
        self.assertIn("21 of 20", self.problem(data))

    def test_wrong_sequence(self):
        data = memory()
        record(data, 17, sequence=9)
        self.assertEqual(self.problem(data), "ring 1: record 17 has the number 9")

    def test_time_goes_back(self):
        data = memory()
        record(data, 17, time=3)
        self.assertIn("record 17 is 1013 ticks older", self.problem(data))

    def test_foreign_vm_and_unknown_outcome(self):
        for wrong in ({"vm": 2}, {"outcome": inspection.outcomes()}):
            data = memory()
            record(data, 18, **wrong)
            self.assertIn("record 18 is of VM", self.problem(data))


class Table(unittest.TestCase):
    def test_outcomes(self):
        self.assertGreaterEqual(inspection.outcomes(), 5)
        self.assertLess(inspection.outcomes(), 20)


class Image(unittest.TestCase):
    def test_found_by_its_first_page(self):
        image = bytes(range(256)) * 32
        self.assertEqual(inspection.find_image(bytes(0x2000) + image, image), 0x2000)
        self.assertEqual(inspection.find_image(bytes(0x4000), image), -1)

    def test_first_change(self):
        self.assertEqual(inspection.changed_at(b"abc", b"abc"), -1)
        self.assertEqual(inspection.changed_at(b"abc", b"abd"), 2)
        self.assertEqual(inspection.changed_at(b"abc", b"ab"), 2)


if __name__ == "__main__":
    unittest.main()
