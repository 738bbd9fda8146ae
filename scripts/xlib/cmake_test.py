# SPDX-License-Identifier: Apache-2.0
import fcntl
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from xlib import cmake


class Lock(unittest.TestCase):
    """Another ./x has the lock for some looks at it; each look is followed by a second of sleep."""

    def lines_when_held_for(self, looks: float) -> list[str]:
        said, clock = [], [0.0]
        with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "lock", "w", encoding="utf-8") as other:
            def release():
                fcntl.flock(other, fcntl.LOCK_UN)

            def sleep(_):
                clock[0] += 1
                if clock[0] >= looks:
                    release()

            def say(line):
                said.append(line)
                release()

            if looks:
                fcntl.flock(other, fcntl.LOCK_EX)
            with (mock.patch.object(cmake.paths, "CACHE", Path(folder)), mock.patch.object(cmake.time, "sleep", sleep),
                  mock.patch.object(cmake.time, "monotonic", lambda: clock[0]), mock.patch.object(cmake.ui, "say", say),
                  cmake.lock(), self.assertRaises(BlockingIOError)):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return said

    def test_nobody_has_it(self):
        self.assertEqual(self.lines_when_held_for(0), [])

    def test_a_moment_is_not_worth_a_line(self):
        self.assertEqual(self.lines_when_held_for(2), [])

    def test_a_build_is(self):
        self.assertEqual(len(self.lines_when_held_for(1000)), 1)


if __name__ == "__main__":
    unittest.main()
