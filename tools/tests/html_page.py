# SPDX-License-Identifier: Apache-2.0
"""The page of `vcpuscope stat --html`: it needs nothing but itself, and Chromium draws its charts."""
import html.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import scope
from scope import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path(os.environ.get("VCPUSCOPE_CHART_LIBRARY",
                                      ROOT / ".cache/npm/node_modules/echarts/dist/echarts.min.js"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class References(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


class Page(scope.ScopeTest):
    def page(self) -> pathlib.Path:
        path = self.folder / "page.html"
        run("stat", self.sample(), "--html", path, "--chart-library", LIBRARY)
        return path

    def test_refers_to_nothing_outside(self) -> None:
        text = self.page().read_text(encoding="utf-8")
        references = References()
        references.feed(text)
        self.assertEqual(references.found, [])
        self.assertIn("default-src 'none'", text)
        self.assertNotRegex(re.sub(r"<script>.*?</script>", "", text, flags=re.S), r"https?://")

    def test_a_name_cannot_end_the_script(self) -> None:
        path = self.folder / "<" / "script><b>x"
        path.parent.mkdir()
        run("make-sample", path, "--records", "100")
        page = self.folder / "page.html"
        run("stat", path, "--html", page, "--chart-library", LIBRARY)
        self.assertNotIn("</script><b>", page.read_text(encoding="utf-8"))

    @unittest.skipUnless(CHROMIUM, "no Chromium")
    def test_chromium_draws_it(self) -> None:
        page = self.page()
        done = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                               f"--user-data-dir={self.folder / 'profile'}", "--virtual-time-budget=20000", "--dump-dom",
                               page.as_uri()], capture_output=True, text=True, timeout=100, check=True)
        self.assertIn('data-charts="4"', done.stdout, done.stderr[-2000:])
        self.assertGreaterEqual(done.stdout.count("<canvas"), 4)
        self.assertRegex(done.stdout, r"<td>MmioWrite</td>")
        self.assertNotRegex(done.stderr, r"CONSOLE.*(Uncaught|Refused|Error)")


if __name__ == "__main__":
    if not LIBRARY.exists():
        print(f"skipped: no {LIBRARY}: ./x setup installs it")
        sys.exit(scope.SKIPPED)
    scope.main()
