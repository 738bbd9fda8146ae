# SPDX-License-Identifier: Apache-2.0
"""The tests that docs/security.md names are there."""
import re
import unittest

from commands import torture
from xlib import paths

CODE = re.compile(r"`([^`]+)`")


def unit_tests() -> set[str]:
    found = set()
    for folder in ("lib", "hypervisor", "tools"):
        for file in (paths.ROOT / folder).rglob("*_test.cpp"):
            text = file.read_text(encoding="utf-8")
            found |= {f"{suite}.{name}" for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", text, re.MULTILINE)}
    for file in (paths.ROOT / "scripts").rglob("*_test.py"):
        for body in re.split(r"^(?=class )", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if suite := re.match(r"class (\w+)", body):
                found |= {f"{suite.group(1)}.{name}" for name in re.findall(r"^    def (test_\w+)", body, re.MULTILINE)}
    return found


def system_tests() -> list[re.Pattern]:
    """The names as patterns: a loop's variable stands for anything."""
    names = []
    for file in [paths.ROOT / "tests/CMakeLists.txt", *(paths.ROOT / "tests/system").glob("*.cmake")]:
        names += re.findall(r"arm_vcpu_system_test\((\S+) ", file.read_text(encoding="utf-8"))
    return [re.compile("system." + ".+".join(map(re.escape, re.split(r"\$\{\w+\}", name)))) for name in names]


def guest_checks(guest: str) -> set[str]:
    text = "".join(file.read_text(encoding="utf-8") for file in (paths.ROOT / "guests" / guest).glob("*.cpp"))
    return set(re.findall(r'"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"', text))


class SecurityDocument(unittest.TestCase):
    def setUp(self):
        text = (paths.ROOT / "docs/security.md").read_text(encoding="utf-8")
        table = text[text.index("## What a guest cannot do"):text.index("## What it can\n")]
        rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
        self.rows = [(claim.strip(), proof) for claim, _, proof in rows[1:] if not claim.startswith("-")]

    def test_each_claim_names_a_test_that_exists(self):
        units, systems = unit_tests(), system_tests()
        self.assertGreater(len(self.rows), 15)
        for claim, proof in self.rows:
            names = CODE.findall(proof)
            self.assertTrue(names or "witness" in proof, claim)
            for name in names:
                with self.subTest(claim=claim, name=name):
                    self.assertTrue(self.exists(name, units, systems))

    @staticmethod
    def exists(name: str, units: set[str], systems: list[re.Pattern]) -> bool:
        if name.startswith("system."):
            return any(pattern.fullmatch(name) for pattern in systems)
        if name.startswith("./x "):
            return name.split()[1] == "torture"
        if ": " in name:
            guest, check = name.split(": ")
            return check in guest_checks(guest)
        return name in units or name in torture.CLASSES

    def test_the_check_can_fail(self):
        for name in ("Suite.DoesNotExist", "system.nothing", "exits: no.such.check", "nothing"):
            self.assertFalse(self.exists(name, unit_tests(), system_tests()))


if __name__ == "__main__":
    unittest.main()
