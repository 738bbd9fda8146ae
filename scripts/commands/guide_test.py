# SPDX-License-Identifier: Apache-2.0
import unittest
from pathlib import Path

from commands import guide
from xlib import ui


class Tables(unittest.TestCase):
    def test_rows_of_the_library(self):
        rows = guide.rows_of(guide.INCLUDE / "trace/diagnoses.def", "VCPU_DIAGNOSIS")
        self.assertTrue(all(len(row) == 8 for row in rows))
        self.assertEqual(rows[0][:3], ["1", "hardware_missing", "vCPU cannot start: hardware support is missing"])
        self.assertEqual(rows[-1][0], "9999")
        text = (guide.INCLUDE / "trace/diagnoses.def").read_text()
        self.assertEqual(len(rows), text.count("\nVCPU_DIAGNOSIS("))
        errors = guide.rows_of(guide.INCLUDE / "errors.def", "VCPU_ERRC")
        self.assertTrue(all(len(row) == 5 for row in errors))
        self.assertEqual(len(errors), (guide.INCLUDE / "errors.def").read_text().count("\nVCPU_ERRC("))

    def test_every_language_has_every_row(self):
        for name in ("diagnoses", "errors"):
            self.assertEqual(len(guide.table(name, "en")), len(guide.table(name, "zh")))

    def test_fields_of_exits(self):
        fields = guide.exit_fields()
        self.assertEqual(fields["MmioRead"], ["addr", "width", "reg", "reg_width", "signed_ext"])
        self.assertEqual(fields["Nothing"], [])


class Transcripts(unittest.TestCase):
    LINES = ["first", "AV0003 what", "  evidence: a", "  evidence: b", "  check: c", "verdict"]

    def pick(self, *filters):
        return guide.pick(self.LINES, [word.partition(" ")[::2] for word in filters], "command")

    def test_filters(self):
        self.assertEqual(self.pick("from AV", "to evidence"), self.LINES[1:3])
        self.assertEqual(self.pick("first 2"), self.LINES[:2])
        self.assertEqual(self.pick("last 1"), ["verdict"])

    def test_report(self):
        self.assertEqual(self.pick("report"), self.LINES[1:5])
        with self.assertRaises(ui.Failure):
            self.pick("report 2")

    def test_a_gap_is_shown(self):
        self.assertEqual(self.pick("drop evidence"), ["first", "AV0003 what", "...", "  check: c", "verdict"])

    def test_nothing_left_is_a_failure(self):
        for filters in (["only nothing"], ["from nothing"], ["bad filter"]):
            with self.assertRaises(ui.Failure):
                self.pick(*filters)

    def same(self, a, b):
        return not guide.same([a], [b])

    def test_what_may_differ(self):
        self.assertTrue(self.same("PC 0x400841f4, 50 times in 1.2 ms", "PC 0x40085000, 51 times in 900 us"))
        self.assertTrue(self.same("image+0x1234 at panic.cpp:12", "image+0x98 at panic.cpp:345"))
        self.assertTrue(self.same("<guest_main+0x30>", "<guest_main+0x3c>"))
        self.assertTrue(self.same("15,731 exits, lost 12, line 56.", "9,999 exits, lost 13, line 60."))

    def test_what_may_not(self):
        for a, b in [("AV0003 MMIO", "AV0004 MMIO"), ("ESR_EL2 0x93810005", "ESR_EL2 0x93810006"),
                     ("IPA 0x9000018", "IPA 0x9000000"), ("it takes 1, 2, 4 bytes", "it takes 1, 2, 8 bytes"),
                     ("a plain load", "a plain store"), ("SL0 1", "SL0 2"), ("<guest_main+0x30>", "<main+0x30>"),
                     ("$ ./x fault 10", "$ ./x fault 11")]:
            self.assertFalse(self.same(a, b), (a, b))

    def test_blocks(self):
        lines = ["<!-- transcript: ls | first 1 -->", "```console", "$ ls", "```", "text",
                 "<!-- table: errors -->", "| a |", "", "end"]
        blocks = guide.blocks_of(lines, guide.PAGES["en"])
        self.assertEqual([(b.kind, b.text, b.first, b.end) for b in blocks],
                         [("transcript", "ls | first 1", 1, 4), ("table", "errors", 6, 7)])
        with self.assertRaises(ui.Failure):
            guide.blocks_of(["<!-- transcript: ls -->", "text"], guide.PAGES["en"])


class Names(unittest.TestCase):
    def wrong(self, text):
        return guide.check_names(guide.PAGES["en"], [text], {"handle_data_abort", "Errc", "not_bound"},
                                 {"run", "scope"})

    def test_known(self):
        text = "`handle_data_abort()`, `Errc::not_bound`, `./x run --log debug`, [a](troubleshooting.md#b)"
        self.assertEqual(self.wrong(text), [])

    def test_unknown(self):
        for text in ("`handle_abort()`", "`Errc::none_such`", "`./x walk`", "`include/arm_vcpu/none.hpp`", "[a](nowhere.md)",
                     "`./x scope fly FILE`"):
            self.assertEqual(len(self.wrong(text)), 1, text)


if __name__ == "__main__":
    unittest.main()
