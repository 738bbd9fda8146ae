# SPDX-License-Identifier: Apache-2.0
"""The rows of the benchmark, and what a run of it reports."""
import re
import statistics
from dataclasses import dataclass, field

from xlib import paths, ui

TABLE = paths.ROOT / "bench" / "guest" / "rows.def"
MARKS = paths.ROOT / "bench" / "guest" / "marks.h"

TWO_CPUS = ["cpu_on", "sgi_running", "sgi_wfi"]
SHARED = ["vcpu_switch", "fp_after_switch", "vcpu_switch_fp"]  # need two vCPUs on one CPU


def names() -> dict[str, str]:
    """Name and text of each row, in the order of the guest."""
    return dict(re.findall(r'^BENCH_ROW\((\w+), "([^"]+)"\)', TABLE.read_text(encoding="utf-8"), re.MULTILINE))


def _skip_reasons() -> dict[int, str]:
    found = re.findall(r"^#define BENCH_SKIP_\w+ (0x\w+) +// (.*)$", MARKS.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(code, 16): reason for code, reason in found}


@dataclass
class Step:
    """One executed instruction."""
    cpu: int
    address: int
    text: str


@dataclass
class Run:
    """What the plugin wrote in one run of the benchmark guest."""
    cost: dict[str, float] = field(default_factory=dict)  # the median of the samples
    samples: dict[str, list[int]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    boot: int = 0  # instructions from reset to the guest's first
    guest_base: int = 0
    executed: dict[int, int] = field(default_factory=dict)  # by address, from reset to the guest's first instruction
    steps: dict[str, list[Step]] = field(default_factory=dict)  # of the traced rows
    complete: bool = False

    def add(self, other: "Run", names: list[str]) -> None:
        """Takes these rows from another run."""
        for name in names:
            if name in other.cost:
                self.cost[name], self.samples[name] = other.cost[name], other.samples[name]
                self.skipped.pop(name, None)
            else:
                self.skipped[name] = other.skipped.get(name, "did not run")


def parse(text: str) -> Run:
    run, order, reasons = Run(), list(names()), _skip_reasons()
    last = ""
    for line in text.splitlines():
        kind, *words = line.split(maxsplit=3 if line.startswith("insn") else -1)
        if kind == "row":
            # The first is a warm-up: what happens once is not what the row measures. Boot-time rows have one sample.
            samples = [int(word) for word in words[1:]]
            last = order[int(words[0])]
            run.samples[last] = samples
            run.cost[last] = statistics.median_low(samples[1:] or samples)
        elif kind == "skip":
            run.skipped[order[int(words[0])]] = reasons.get(int(words[1]), "unknown reason")
        elif kind == "start" and not run.boot:  # idle VMs beside it start too
            run.boot, run.guest_base = int(words[0]), int(words[1], 16)
        elif kind == "at":
            run.executed[int(words[0], 16)] = run.executed.get(int(words[0], 16), 0) + int(words[1])
        elif kind == "insn":
            run.steps.setdefault(last, []).append(Step(int(words[0]), int(words[1], 16), words[2]))
        elif kind == "done":
            run.complete = True
    return run


def row(name: str) -> int:
    known = list(names())
    if name not in known:
        raise ui.Failure(f"bench: there is no row '{name}'; the rows are {' '.join(known)}", 2)
    return known.index(name)
