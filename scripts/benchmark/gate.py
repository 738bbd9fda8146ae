# SPDX-License-Identifier: Apache-2.0
"""Figures compared with bench/baseline.json. They are exact, so the tolerance is for a change that does not matter."""
import json
from pathlib import Path

from xlib import paths, ui

BASELINE = paths.ROOT / "bench" / "baseline.json"
TOLERANCE = 0.02


def load(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ui.Failure(f"bench: {file}: {error}", 2) from None


def write(file: Path, results: dict) -> None:
    try:
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ui.Failure(f"bench: {file}: {error}", 2) from None


def differences(measured: dict, baseline: dict) -> tuple[list[str], list[str]]:
    """(what is worse or missing, what is better), a line each."""
    worse, better = [], []
    for model, by_row in measured["rows"].items():
        known = baseline["rows"].get(model, {})
        for name in known.keys() - by_row.keys():
            worse.append(f"{model} {name}: no figure any more; the baseline has {known[name]['on']}")
        for name, figures in by_row.items():
            for recorder in ("on", "off"):
                now = figures[recorder]
                if name not in known:
                    worse.append(f"{model} {name}: {now} instructions; the baseline has no such row")
                    break
                before = known[name][recorder]
                line = (f"{model} {name}, recorder {recorder}: {now} instructions; the baseline has {before} "
                        f"({100 * (now - before) / before:+.1f} %)")
                if now > before * (1 + TOLERANCE):
                    worse.append(line)
                elif now < before * (1 - TOLERANCE):
                    better.append(line)
    return worse, better


def check(measured: dict) -> int:
    worse, better = differences(measured, load(BASELINE))
    for line in better:
        ui.say(f"faster: {line}")
    for line in worse:
        ui.say(f"SLOWER: {line}")
    if worse:
        ui.say(f"bench: {len(worse)} rows are more than {TOLERANCE:.0%} above {BASELINE.relative_to(paths.ROOT)}; if that is "
               "what the change is worth, ./x bench --update-baseline")
        return 1
    count = sum(map(len, measured["rows"].values()))
    ui.say(f"bench: {count} rows at or below the baseline" + ("; --update-baseline keeps the gain" if better else ""))
    return 0
