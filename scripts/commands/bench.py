# SPDX-License-Identifier: Apache-2.0
"""`./x bench`: what an exit costs, in instructions: the guest's, the hypervisor's, on all CPUs. Under `-icount shift=0` an
instruction is a nanosecond of the machine's time, so the figures do not depend on this host and repeat exactly."""
import argparse
import json
from pathlib import Path

from benchmark import machine, profile, rows
from xlib import ui


def _measure(models: list[str]) -> dict:
    results: dict = {}
    for model in models:
        with ui.Step(f"measuring on {model}"):
            results[model] = {recorder: machine.run(model, recorder).cost for recorder in ("off", "on")}
    return results


def _table(results: dict, old: dict | None) -> str:
    lines = []
    texts = rows.names()
    for model, by_recorder in results.items():
        on, off = by_recorder["on"], by_recorder["off"]
        lines += ["", f"{model}: instructions per operation, the trapping one included",
                  f"  {'operation':<56}{'recorder off':>14}{'on':>10}{'its cost':>10}" + ("      before" if old else "")]
        for name, cost in on.items():
            before = (old or {}).get(model, {}).get("on", {}).get(name)
            lines.append(f"  {texts[name]:<56}{off[name]:>14.0f}{cost:>10.0f}{cost - off[name]:>10.0f}"
                         + (f"{before:>12.0f}" if before is not None else ""))
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__)
    parser.add_argument("--cpu", metavar="MODEL", action="append", choices=list(machine.MODELS),
                        help="cortex-a57 or max; may be repeated; default: both")
    parser.add_argument("--recorder", choices=["on", "off"], default="on", help="for --profile (default on)")
    parser.add_argument("--profile", metavar="ROW", help="list the instructions of one exit of this row, by function: "
                        + " ".join(rows.names()))
    parser.add_argument("--summary", action="store_true", help="with --profile: the functions and totals only")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--compare", metavar="OLD.json", help="show the figures of an earlier run beside")
    options = parser.parse_args(argv)
    models = options.cpu or list(machine.MODELS)
    if options.profile:
        rows.row(options.profile)
        machine.ready()
        for model in options.cpu or ["cortex-a57"]:
            run = machine.run(model, options.recorder, traced_row=options.profile)
            print(profile.report(run, options.profile, f"{model}, recorder {options.recorder}", not options.summary))
        return 0
    old = json.loads(Path(options.compare).read_text(encoding="utf-8")) if options.compare else None
    machine.ready()
    results = _measure(models)
    print(_table(results, old))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0
