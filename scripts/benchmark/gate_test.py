# SPDX-License-Identifier: Apache-2.0
import unittest

from benchmark import gate, rows


def figures(**by_row) -> dict:
    return {"rows": {"max": {name: {"on": on, "off": off} for name, (on, off) in by_row.items()}}}


class GateTest(unittest.TestCase):
    def test_equal_and_within_tolerance(self):
        self.assertEqual(gate.differences(figures(hvc=(101, 60)), figures(hvc=(100, 60))), ([], []))

    def test_slower_row_is_named_with_both_figures(self):
        worse, better = gate.differences(figures(hvc=(103, 60), smc=(50, 50)), figures(hvc=(100, 60), smc=(50, 50)))
        self.assertEqual(better, [])
        self.assertEqual(worse, ["max hvc, recorder on: 103 instructions; the baseline has 100 (+3.0 %)"])

    def test_faster_row_is_told(self):
        worse, better = gate.differences(figures(hvc=(100, 40)), figures(hvc=(100, 60)))
        self.assertEqual(worse, [])
        self.assertEqual(better, ["max hvc, recorder off: 40 instructions; the baseline has 60 (-33.3 %)"])

    def test_rows_must_be_the_same(self):
        worse, _ = gate.differences(figures(new=(1, 1)), figures(old=(2, 2)))
        self.assertEqual(len(worse), 2)


class RowsTest(unittest.TestCase):
    def test_names_are_those_of_the_guest(self):
        known = rows.names()
        self.assertEqual(known["hvc_psci_version"], "HVC PSCI_VERSION")
        self.assertTrue(set(rows.SHARED) <= set(known))

    def test_output_of_the_plugin(self):
        run = rows.parse("start 84 50000000\nrow 0 70 68 69 68\nskip 1 113\nrow 2 9\n"
                         "insn 1 40241c00 stp x0, x1, [sp]\ndone\nend 10\n")
        first, second, third = list(rows.names())[:3]
        self.assertEqual(run.cost, {first: 68, third: 9})  # without the first sample, unless it is the only one
        self.assertEqual(run.skipped, {second: "the guest got an exception for it"})
        self.assertEqual((run.boot, run.guest_base, run.complete), (84, 0x5000_0000, True))
        self.assertEqual(run.steps, {third: [rows.Step(1, 0x4024_1C00, "stp x0, x1, [sp]")]})


if __name__ == "__main__":
    unittest.main()
