# SPDX-License-Identifier: Apache-2.0
"""trace, stat and diff from outside: what they print, and how they fail."""
import collections
import json
import re
import unittest

import scope
from scope import run


class Trace(scope.ScopeTest):
    def test_lines_and_json_tell_the_same(self) -> None:
        path = self.sample()
        lines = run("trace", path).stdout.splitlines()
        objects = [json.loads(line) for line in run("trace", "--json", path).stdout.splitlines()]
        self.assertEqual(len(lines), 5001)
        self.assertEqual(len(objects), 5000)
        for line, record in zip(lines[1:], objects):
            self.assertRegex(line, r"^ +\d+\.\d{6} +\d+ [a-z]+\.\d+ +\S.* 0x[0-9a-f]{16}")
            self.assertEqual(line, line.rstrip())
            self.assertIn(f" {record['vm_name']}.{record['vcpu']} ", line)
            self.assertIn(record["reason"], line)
            self.assertIn(record["what"], line)

    def test_every_form_holds_the_same_records(self) -> None:
        texts = [run("trace", self.sample(form, "--form", form)).stdout for form in ("stream", "memory", "console")]
        # The console's dump has no table of VMs.
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(len(texts[0].splitlines()), len(texts[2].splitlines()))

    def test_filters(self) -> None:
        path = self.sample()
        every = [json.loads(line) for line in run("trace", "--json", path).stdout.splitlines()]

        def wanted(*options: str) -> list:
            return [json.loads(line) for line in run("trace", "--json", path, *options).stdout.splitlines()]

        self.assertEqual(wanted("--reason", "MmioWrite"), [r for r in every if r["reason"] == "MmioWrite"])
        self.assertEqual(wanted("--vcpu", "linux.1"), [r for r in every if (r["vm"], r["vcpu"]) == (0, 1)])
        self.assertEqual(wanted("--last", "7"), every[-7:])
        self.assertEqual(wanted("--kind", "irq_delivered", "--last", "3"),
                         [r for r in every if r["kind"] == "irq_delivered"][-3:])
        self.assertEqual(wanted("--address", "0x9000000-0x9000fff"),
                         [r for r in every if 0x9000000 <= int(r.get("ipa", "0"), 16) <= 0x9000fff])
        late = wanted("--from", "10ms", "--to", "0.02")
        self.assertTrue(late)
        self.assertTrue(all(10_000_000 <= r["ns"] <= 20_000_016 for r in late))

    def test_symbols(self) -> None:
        path = self.sample()
        symbols = self.folder / "System.map"
        symbols.write_text("ffff8000087c0000 T cpu_do_idle\nffff8000087c0100 T next\n", encoding="ascii")
        text = run("trace", "--symbols", symbols, "--reason", "Halt", path).stdout
        self.assertTrue(all("cpu_do_idle+0x10" in line for line in text.splitlines()[1:]))

    def test_from_stdin(self) -> None:
        path = self.sample()
        with open(path, "rb") as file:
            self.assertEqual(run("trace", "-", stdin=file).stdout, run("trace", path).stdout)


class Stat(scope.ScopeTest):
    def test_counts_are_those_of_the_trace(self) -> None:
        path = self.sample()
        stat = json.loads(run("stat", "--json", "--top", "100000", path).stdout)
        records = [json.loads(line) for line in run("trace", "--json", path).stdout.splitlines()]
        exits = [r for r in records if r["kind"].startswith("exit_")]
        self.assertEqual(stat["records"], 5000)
        self.assertEqual(stat["exits"], len(exits))
        self.assertEqual({r["name"]: r["count"] for r in stat["reasons"]}, collections.Counter(r["reason"] for r in exits))
        self.assertEqual({int(r["name"], 16): r["count"] for r in stat["pcs"]},
                         collections.Counter(int(r["pc"], 16) for r in exits))
        self.assertEqual({r["name"]: r["count"] for r in stat["devices"]},
                         collections.Counter(r["register"] for r in exits if "register" in r))
        for row in stat["reasons"]:
            durations = sorted(r["duration_ns"] for r in exits if r["reason"] == row["name"])
            self.assertEqual((row["min_ns"], row["max_ns"]), (durations[0], durations[-1]))
            self.assertEqual(row["total_ns"], sum(durations))
            exact = durations[(len(durations) + 1) // 2 - 1]
            self.assertAlmostEqual(row["median_ns"], exact, delta=exact / 100 + 16)

    def test_the_tables_are_there(self) -> None:
        text = run("stat", self.sample()).stdout
        for title in ("Exits by reason", "Device registers", "System registers", "Calls", "Exits by PC", "Events"):
            self.assertIn(title, text)
        self.assertRegex(text, r"PL011\.DR +0x09000000 +\d+")

    def test_diff_of_a_trace_with_itself(self) -> None:
        path = self.sample()
        self.assertIn("No difference", run("diff", path, path).stdout)

    def test_diff_is_sorted_by_change(self) -> None:
        a, b = self.sample("a", "--seed", "1"), self.sample("b", "--seed", "2")
        changes = json.loads(run("diff", "--json", a, b).stdout)["changes"]
        sizes = [abs(c["a"]["count"] - c["b"]["count"]) for c in changes]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertIn("MmioWrite", run("diff", "--top", "1000", a, b).stdout)


class Failures(scope.ScopeTest):
    def test_each_is_one_line_and_a_status(self) -> None:
        text = self.folder / "text"
        text.write_text("hello\n", encoding="ascii")
        for arguments in (("trace", "/nonexistent"), ("stat", text), ("trace", self.sample(), "--reason", "Mmio"),
                          ("perfetto", self.sample(), "-o", "/nonexistent/x"),
                          ("stat", self.sample(), "--html", self.folder / "x", "--chart-library", "/nonexistent")):
            with self.subTest(arguments=arguments):
                done = run(*arguments, status=1)
                self.assertEqual(len(done.stderr.splitlines()), 1)
                self.assertTrue(done.stderr.startswith("vcpuscope: "))

    def test_a_damaged_file_gives_what_is_left(self) -> None:
        path = self.sample()
        whole = path.read_bytes()
        path.write_bytes(whole[:len(whole) * 3 // 4 + 13])
        done = run("stat", path)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertRegex(done.stderr, r"cut off: \d+ of \d+ records saved.*; \d+ records are usable")
        self.assertTrue(re.search(r"[\d,]+ records", done.stdout))

    def test_help_names_the_public_subcommands_only(self) -> None:
        text = run("--help").stdout
        self.assertIn("perfetto", text)
        self.assertNotIn("make-sample", text)


if __name__ == "__main__":
    scope.main()
