# SPDX-License-Identifier: Apache-2.0
"""A scripted session of `./x gdb`: the script goes in, gdb's output comes back. Each step of a script prints a mark, so
that a test looks at the output of one command only."""
import os
import re
import signal
import subprocess
import tempfile

from harness import ROOT, SLOWDOWN, check

EXITS_ELF = ROOT / "build/el2/guests/exits.elf"
EXITS = ["--kernel", str(EXITS_ELF.with_suffix(".img")), "--memory", "128", "--symbols", str(EXITS_ELF)]


class Session:
    """The output of each command of a script, by its place in it."""

    def __init__(self, arguments: list[str], commands: list[str], seconds: float = 100):
        lines = []
        for n, command in enumerate(commands):
            # A command that fails must not end the script: what it says is what the test looks at.
            lines += [f'echo [[{n}]]\\n', "python", "try:", f"  gdb.execute({command!r})", "except gdb.error as error:",
                      '  gdb.write(f"gdb.error: {error}\\n")', "end"]
        lines += ["echo [[end]]\\n"]
        with tempfile.NamedTemporaryFile("w", suffix=".gdb") as script:
            script.write("\n".join(lines) + "\n")
            script.flush()
            self.output = self._run([str(ROOT / "x"), "gdb", *arguments, "--batch", script.name], seconds * SLOWDOWN)
        parts = re.split(r"^\[\[(?:\d+|end)\]\]\n", self.output, flags=re.MULTILINE)
        check(len(parts) == len(commands) + 2, f"the session ended after {len(parts) - 1} of {len(commands)} commands")
        self.results = parts[1:-1]
        self.commands = commands
        self._next = 0

    @staticmethod
    def _run(words: list[str], seconds: float) -> str:
        print("+", " ".join(words), flush=True)
        child = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, errors="replace", process_group=0)
        try:
            output, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGTERM)  # ./x takes QEMU and gdb with it
            try:
                output, _ = child.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                output, _ = child.communicate()
            print(output, flush=True)
            check(False, f"the session did not end within {seconds:.0f} s")
        print(output, flush=True)
        return output

    def part(self, commands: list[str]) -> "Part":
        """The next commands of the script, which must be these."""
        first = self._next
        check(self.commands[first:first + len(commands)] == commands, "the script has other commands here")
        self._next = first + len(commands)
        return Part(commands, self.results[first:self._next])


class Part:
    def __init__(self, commands: list[str], results: list[str]):
        self._results = dict(zip(commands, results, strict=True))

    def of(self, command: str) -> str:
        """What a command printed."""
        return self._results[command]


def expect(text: str, pattern: str, what: str) -> re.Match:
    found = re.search(pattern, text, re.MULTILINE)
    check(found is not None, f"{what}: no '{pattern}' in:\n{text}")
    return found


def printed(text: str) -> int:
    """The value of `p/x EXPRESSION`."""
    return int(expect(text, r"= (0x[0-9a-f]+)", "a value").group(1), 16)


def monitor_words(text: str) -> list[int]:
    """The values of QEMU's own `xp /Ngx ADDRESS`."""
    return [int(word, 16) for line in text.splitlines() if ":" in line for word in line.split(":", 1)[1].split()]

