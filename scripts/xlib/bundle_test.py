# SPDX-License-Identifier: Apache-2.0
import tempfile
import unittest
from pathlib import Path

from xlib import bundle, fdt, ui


def make(*vms: str, images: dict[str, bytes] | None = None) -> fdt.Node:
    root = fdt.Node()
    root.set_string("compatible", bundle.COMPATIBLE)
    for name, data in (images or {"linux": b"kernel"}).items():
        root.child("images").child(name).properties["data"] = data
    for name in vms:
        vm = root.child("vms").child(name)
        vm.set_string("kernel", next(iter(root.child("images").children)))
        vm.set_cells("cpus", [2])
        vm.set_cells("memory-mib", [64])
    return root


class SourceTest(unittest.TestCase):
    def test_options_become_a_bundle(self):
        with tempfile.TemporaryDirectory() as folder:
            kernel = Path(folder) / 'an "odd" name\\'
            kernel.write_bytes(b"kernel")
            bootargs = 'a="b c" \\ 1\x07' + "2 é"
            vm = bundle.SingleVm(kernel, None, kernel, bootargs, 3, 128, "debug", smc_allow=[(1, 2), (0xC2000000, 0xC2000000)], sve_bits=256,
                                 mte="on")
            dts, dtb = Path(folder) / "b.dts", Path(folder) / "b.dtb"
            dts.write_text(bundle.source(vm), encoding="utf-8")
            bundle.compile_dts(dts, dtb)
            root = bundle.load(dtb.read_bytes(), dtb)
        node = root.child("vms").child("vm0")
        self.assertEqual(node.string("bootargs"), bootargs)
        self.assertIsNone(node.cells("affinity"))
        self.assertEqual(node.cells("memory-mib"), [128])
        self.assertEqual(node.string("pmu"), "on")
        self.assertEqual(node.cells("sve-bits"), [256])
        self.assertEqual(node.string("mte"), "on")
        self.assertEqual(node.cells("smc-allow"), [1, 2, 0xC2000000, 0xC2000000])
        self.assertEqual(root.child("images").child("kernel").properties["data"], b"kernel")
        self.assertEqual(root.child("hypervisor").string("log-level"), "debug")

    def test_a_bad_source_is_refused_with_dtc_s_line(self):
        with tempfile.TemporaryDirectory() as folder:
            dts = Path(folder) / "bad.dts"
            dts.write_text("/dts-v1/;\n/ { vms { }; \n", encoding="utf-8")
            with self.assertRaisesRegex(ui.Failure, "bad.dts.*syntax error") as caught:
                bundle.compile_dts(dts, Path(folder) / "bad.dtb")
            self.assertEqual(caught.exception.status, 2)


class LoadTest(unittest.TestCase):
    def refused(self, root: fdt.Node, why: str):
        with self.assertRaisesRegex(ui.Failure, why) as caught:
            bundle.load(fdt.write(root), "file.dts")
        self.assertEqual(caught.exception.status, 2)

    def test_good(self):
        self.assertEqual(list(bundle.load(fdt.write(make("a", "b")), "f").child("vms").children), ["a", "b"])

    def test_refusals_name_the_node(self):
        root = make("a")
        root.set_string("compatible", "linux,dummy")
        self.refused(root, "not a bundle")
        self.refused(make(), "without VMs")
        root = make("a")
        del root.child("vms").child("a").properties["cpus"]
        self.refused(root, "/vms/a needs cpus")
        root = make("a")
        root.child("vms").child("a").set_string("ramdisk", "none")
        self.refused(root, '/vms/a/ramdisk names the image "none"')
        for cells in ([0], [0, 1, 2]):
            root = make("a")
            root.child("vms").child("a").set_cells("affinity", cells)
            self.refused(root, "/vms/a/affinity")


class MergeTest(unittest.TestCase):
    def test_the_same_file_twice_gives_two_vms_and_one_image(self):
        merged = bundle.merge([make("vm0"), make("vm0")])
        self.assertEqual(list(merged.child("vms").children), ["vm0", "vm1"])
        self.assertEqual(list(merged.child("images").children), ["linux"])
        self.assertEqual(bundle.load(fdt.write(merged), "merged"), merged)

    def test_images_with_one_name_and_different_content_stay_apart(self):
        merged = bundle.merge([make("a", images={"k": b"one"}), make("b", images={"k": b"two"})])
        vms, images = merged.child("vms").children, merged.child("images").children
        self.assertEqual(images[vms["a"].string("kernel")].properties["data"], b"one")
        self.assertEqual(images[vms["b"].string("kernel")].properties["data"], b"two")


class TotalsTest(unittest.TestCase):
    def test_a_cpu_for_each_vcpu_as_far_as_there_are_some(self):
        self.assertEqual(bundle.totals(make("a", "b", "c"), 8), bundle.Totals(cpus=6, memory_mib=192, least_cpus=1))
        self.assertEqual(bundle.totals(make("a", "b", "c"), 4), bundle.Totals(cpus=4, memory_mib=192, least_cpus=1))

    def test_one_vm_with_tags_needs_a_machine_with_tags(self):
        root = make("a", "b")
        self.assertFalse(bundle.totals(root, 8).mte)
        root.child("vms").child("a").set_string("mte", "off")
        self.assertFalse(bundle.totals(root, 8).mte)
        root.child("vms").child("b").set_string("mte", "on")
        self.assertTrue(bundle.totals(root, 8).mte)

    def test_cpus_that_an_affinity_names_are_there(self):
        root = make("a", "b")
        root.child("vms").child("b").set_cells("affinity", [1, 6])
        self.assertEqual(bundle.totals(root, 8), bundle.Totals(cpus=7, memory_mib=128, least_cpus=7))
        root.child("vms").child("b").set_cells("affinity", [0, 0])
        self.assertEqual(bundle.totals(root, 8), bundle.Totals(cpus=4, memory_mib=128, least_cpus=1))


if __name__ == "__main__":
    unittest.main()
