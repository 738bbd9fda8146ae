# SPDX-License-Identifier: Apache-2.0
import struct
import tempfile
import unittest
from pathlib import Path

from xlib import run_options, ui


def arm64_image(text_offset: int, image_size: int) -> bytes:
    return struct.pack("<II6Q", 0, 0, text_offset, image_size, 0, 0, 0, 0) + b"ARM\x64" + bytes(64)


class OptionsTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def file(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)

    def refused(self, arguments: list[str], why: str):
        with self.subTest(arguments), self.assertRaisesRegex(ui.Failure, why) as caught:
            run_options.parse(arguments)
        if why:
            self.assertEqual(caught.exception.status, 2)
            self.assertNotIn("\n", str(caught.exception))

    def test_bad_values(self):
        for text, why in (("--vcpus 0", "out of range"), ("--vcpus 9", "1 to 8"), ("--vcpus two", "invalid int"),
                          ("--memory 1", "out of range"), ("--pcpus 0", "out of range"), ("--gic 4", "versions 2 and 3"),
                          ("--smc-allow x", "invalid"), ("--sve 100", "invalid"), ("--sve 0", "invalid"), ("--sve 2176", "invalid"), ("--smc-allow 2-1", "invalid"),
                          ("--vm a --smc-allow 1", "do not go together"), ("--mte yes", "invalid choice"),
                          ("--mte", "expected one argument"),
                          ("--timeout 0", "above 0"), ("--timeout nan", "above 0"), ("--log loud", "levels are"),
                          ("--cpu ,x", "model"), ("--vcpu 1", "unrecognized"), ("more", "unrecognized"),
                          ("--kernel", "expected one argument"), ("--kernel /nonexistent", "no such file"),
                          ("--vm /nonexistent", "no such file"), ("--initrd /dev/null", "not a regular file"),
                          ("--kernel a --firmware b", "do not go together"), ("--vm a --memory 64", "do not go together"),
                          ("--firmware a --append x", "do not go together"),
                          ("--firmware a --initrd x", "do not go together")):
            self.refused(text.split(), why)

    def test_kernels_that_cannot_run(self):
        for name, content, why in (("a.gz", b"\x1f\x8b\x08", "compressed with gzip"), ("a.xz", b"\xfd7zXZ\0", "with xz"),
                                   ("a.elf", b"\x7fELF\2\1", "objcopy -O binary"), ("uImage", b"\x27\x05\x19\x56", "uImage"),
                                   ("zboot", b"MZ\0\0zimg", "compressed EFI"), ("empty", b"", "is empty"),
                                   ("x.efi", b"MZ" + bytes(100), "no arm64 Image")):
            self.refused(["--kernel", self.file(name, content)], why)

    def test_memory_that_is_too_small_counts_bss_and_initrd(self):
        kernel = self.file("Image", arm64_image(0x200000, 40 << 20))
        initrd = self.file("initrd", bytes(20 << 20))
        self.refused(["--kernel", kernel, "--memory", "45"], "need 46 MiB")
        self.refused(["--kernel", kernel, "--initrd", initrd, "--memory", "65"], "need 66 MiB")
        self.assertEqual(run_options.parse(["--kernel", kernel, "--initrd", initrd, "--memory", "66"]).memory, 66)

    def test_defaults(self):
        options = run_options.parse(["--append", "-x=1", "--append", "quiet", "--qemu-arg", "-d", "--qemu-arg", "int"])
        self.assertTrue(options.default_guest and options.default_initrd)
        self.assertEqual(run_options.bootargs(options), "console=ttyAMA0 cryptomgr.notests -x=1 quiet")
        self.assertEqual(options.qemu_arg, ["-d", "int"])

    def test_a_given_kernel_gets_what_is_given(self):
        kernel = self.file("flat.bin", b"\x1f\x20\x03\xd5" * 4)
        options = run_options.parse(["--kernel", kernel])
        self.assertFalse(options.default_guest or options.default_initrd)
        self.assertEqual(run_options.bootargs(options), "")
        self.assertTrue(run_options.parse(["--kernel", kernel, "--initrd", "default"]).default_initrd)


if __name__ == "__main__":
    unittest.main()
