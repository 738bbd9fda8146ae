# SPDX-License-Identifier: Apache-2.0
"""`./x bench`: what an exit costs, in instructions. Under `-icount shift=0` one instruction is one nanosecond of the
guest's clock, so the figures do not depend on this machine and repeat exactly."""
import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from xlib import bundle, paths, qemu, setup, ui

CPUS = ["cortex-a57", "max,pauth-impdef=on"]
ROW = re.compile(r"^ROW (\S+) (\d+)", re.MULTILINE)
SECONDS = 120


def measure(cpu: str, recorder: str, folder: Path) -> dict[str, float]:
    dts, dtb = folder / "bench.dts", folder / "bench.dtb"
    guest = paths.BUILD / "el2" / "guests" / "bench.img"
    dts.write_text(bundle.source(bundle.SingleVm(guest, None, None, "", 1, 64, "info", recorder)), encoding="utf-8")
    bundle.compile_dts(dts, dtb)
    words = qemu.command(cpu, 1, qemu.memory_mib(64, dtb), dtb, True, [])
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)
    rows = {name: int(value) / 100 for name, value in ROW.findall(done.stdout)}
    if "[hv] verdict: ok" not in done.stdout or not rows:
        raise ui.Failure(f"bench: the benchmark guest did not finish on {cpu}: {done.stdout[-200:]!r}", 1)
    return rows


def table(results: dict, old: dict | None) -> str:
    lines = []
    for cpu, by_recorder in results.items():
        on, off = by_recorder["on"], by_recorder["off"]
        lines += ["", f"{cpu}: instructions per operation, the trapping one included",
                  f"  {'operation':<20}{'recorder off':>14}{'on':>10}{'its cost':>10}" + ("      before" if old else "")]
        for name, cost in on.items():
            before = (old or {}).get(cpu, {}).get("on", {}).get(name)
            lines.append(f"  {name:<20}{off[name]:>14.0f}{cost:>10.0f}{cost - off[name]:>10.0f}"
                         + (f"{before:>12.0f}" if before is not None else ""))
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--compare", metavar="OLD.json", help="show the figures of an earlier run beside")
    options = parser.parse_args(argv)
    old = json.loads(Path(options.compare).read_text(encoding="utf-8")) if options.compare else None
    setup.ready_for_run()
    results: dict = {}
    folder = Path(tempfile.mkdtemp(prefix="arm-vcpu-bench-"))
    try:
        for cpu in CPUS:
            with ui.Step(f"measuring on {cpu}"):
                results[cpu] = {recorder: measure(cpu, recorder, folder) for recorder in ("off", "on")}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(results, old))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0
