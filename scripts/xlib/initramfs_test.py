# SPDX-License-Identifier: Apache-2.0
import stat
import unittest

from xlib import initramfs


def entries(data: bytes):
    at = 0
    while True:
        field = [int(data[at + 6 + 8 * n:at + 14 + 8 * n], 16) for n in range(13)]
        name = data[at + 110:at + 110 + field[11] - 1].decode()
        body = (at + 110 + field[11] + 3) & ~3
        if name == "TRAILER!!!":
            return
        yield name, field, data[body:body + field[6]]
        at = (body + field[6] + 3) & ~3


class ArchiveTest(unittest.TestCase):
    def setUp(self):
        self.data = initramfs.archive(b"BUSYBOX", {"etc/b": b"bb", "etc/a": b"a"})
        self.found = {name: (field, body) for name, field, body in entries(self.data)}

    def test_every_entry_belongs_to_root_and_to_no_time(self):
        for name, (field, _) in self.found.items():
            self.assertEqual((field[2], field[3], field[5]), (0, 0, 0), name)

    def test_content_and_kinds(self):
        self.assertEqual(self.found["etc/b"][1], b"bb")
        self.assertEqual(self.found["init"][1], b"bin/busybox")
        self.assertTrue(stat.S_ISLNK(self.found["init"][0][1]))
        console = self.found["dev/console"][0]
        self.assertTrue(stat.S_ISCHR(console[1]))
        self.assertEqual((console[9], console[10]), (5, 1))

    def test_folders_come_before_what_is_in_them_and_order_is_fixed(self):
        self.assertEqual(list(self.found), sorted(self.found))
        self.assertEqual(self.data, initramfs.archive(b"BUSYBOX", {"etc/a": b"a", "etc/b": b"bb"}))


if __name__ == "__main__":
    unittest.main()
