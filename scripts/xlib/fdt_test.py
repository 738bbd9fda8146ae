# SPDX-License-Identifier: Apache-2.0
import subprocess
import unittest

from xlib import fdt


class FdtTest(unittest.TestCase):
    def test_what_is_written_reads_back(self):
        root = fdt.Node()
        root.set_string("compatible", "arm-vcpu,bundle")
        root.child("vms").child("vm0").set_cells("cpus", [4])
        root.child("images").child("kernel").properties["data"] = b"\x01\x02\x03"
        self.assertEqual(fdt.parse(fdt.write(root)), root)

    def test_dtc_reads_what_is_written(self):
        root = fdt.Node()
        root.child("a").set_cells("odd", [1, 2])
        root.child("a").properties["bytes"] = b"\xff"
        text = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts"], input=fdt.write(root), capture_output=True,
                              check=True).stdout.decode()
        self.assertIn("odd = <0x01 0x02>;", text)
        self.assertIn("bytes = [ff];", text)

    def test_damaged_blobs_are_refused(self):
        whole = fdt.write(fdt.Node())
        for blob in (b"", b"\0" * 40, whole[:-8], b"\x7fELF" + whole[4:]):
            with self.assertRaises(fdt.BadTree):
                fdt.parse(blob)


if __name__ == "__main__":
    unittest.main()
