# SPDX-License-Identifier: Apache-2.0
"""`./x bench`: what an exit costs, in instructions: the guest's, the hypervisor's, on all CPUs. Under `-icount shift=0` an
instruction is a nanosecond of the machine's time, so the figures do not depend on this host and repeat exactly."""
import argparse
import subprocess
from pathlib import Path

from benchmark import document, gate, growth, machine, peers, profile, rows, sizes
from xlib import cmake, packages, paths, ui


def measure(models: list[str], untraced: bool) -> dict:
    """{"rows": {model: {row: {"floor", "off", "on"}}}, "skipped": {row: why}, "boot": {model: ...}, "image": ...}"""
    results: dict = {"rows": {}, "skipped": {}, "boot": {}, "image": machine.image_bytes()}
    image = paths.BUILD / "el2-untraced" / "hypervisor" / "arm-vcpu.img"
    if untraced:
        with cmake.lock():
            cmake.build("el2-untraced", target="arm-vcpu")
    for model in models:
        with ui.Step(f"measuring on {model}"):
            floor = machine.run_floor(model).cost
            runs = {recorder: machine.run_all(model, recorder) for recorder in ("off", "on")}
            if untraced:
                runs["out"] = machine.run_all(model, "off", image=image)
        results["boot"][model] = runs["on"].boot
        results["skipped"].update(runs["on"].skipped)
        by_row = results["rows"][model] = {}
        for name in rows.names():
            if all(name in run.cost for run in runs.values()):
                by_row[name] = {key: run.cost[name] for key, run in runs.items()}
                if name in floor:
                    by_row[name]["floor"] = floor[name]
    return results


def _profiles(models: list[str]) -> dict:
    """How many instructions of each kind an operation needs at EL2; each instruction of the hypercall; what the boot and the
    image are for."""
    kinds: dict = {}
    path: list = []
    for model in models:
        with ui.Step(f"profiling on {model}"):
            run = machine.run(model, "on", traced_row="all")
        kinds[model] = {name: profile.totals(run, name) for name in run.steps}
        path = path or profile.path(run, "hvc_psci_version")
    boot = profile.boot_purposes(profile.boot_functions(machine.run(models[0], "on", traced_row="boot")))
    return {"kinds": kinds, "path": path, "boot_for": boot, "sizes": sizes.by_component()}


def _update_baseline(results: dict, models: list[str]) -> None:
    old = gate.load(gate.BASELINE) if gate.BASELINE.exists() else {}
    if "peers" in old:
        results.setdefault("peers", old["peers"])
    results |= _profiles(models)
    gate.write(gate.BASELINE, results)
    ui.say(f"written: {gate.BASELINE.relative_to(paths.ROOT)}")
    document.update(results)


def _check(results: dict) -> int:
    status = gate.check(results)
    if not document.is_current(gate.load(gate.BASELINE)):
        ui.say("docs/performance.md is not what bench/baseline.json says: ./x bench --update-baseline writes both")
        return 1
    return status


def _change(now: float, before: float | None) -> str:
    return "" if before is None else f"{before:>9} {100 * (now - before) / before:>+7.1f} %" if before else f"{before:>9}"


def table(results: dict, old: dict | None) -> str:
    texts, lines = rows.names(), []
    for model, by_row in results["rows"].items():
        out = any("out" in figures for figures in by_row.values())
        lines += ["", f"{model}: instructions for one operation, the trapping one included",
                  f"  {'row':<19}{'operation':<55}{'floor':>6}{'recorder:' + (' none' if out else ''):>{16 if out else 11}}{'off':>7}"
                  f"{'on':>7}{'on/floor':>10}" + ("   before" if old else "")]
        for name, figures in by_row.items():
            floor = figures.get("floor")
            before = (old or {"rows": {}})["rows"].get(model, {}).get(name, {}).get("on")
            compiled_out = f"{figures['out']:>16}" if out else " " * 11
            lines.append(f"  {name:<19}{texts[name]:<55}{floor or '-':>6}{compiled_out}{figures['off']:>7}{figures['on']:>7}"
                         + (f"{figures['on'] / floor:>10.2f}" if floor else f"{'-':>10}")
                         + _change(figures["on"], before))
        lines.append(f"  {'boot':<19}{'reset to the first instruction of the guest':<55}{results['boot'][model]:>{36 if out else 31}}")
    lines += ["", *(f"  {name}: not measured: {why}" for name, why in results["skipped"].items())]
    sizes = results["image"]
    lines.append(f"  image: {sum(sizes.values())} bytes: " + ", ".join(f"{what} {size}" for what, size in sizes.items()))
    return "\n".join(lines)


def _profile(options: argparse.Namespace) -> int:
    if options.profile != "boot":
        rows.row(options.profile)
    machine.ready()
    for model in options.cpu or ["cortex-a57"]:
        if options.profile == "boot":
            run = machine.run(model, options.recorder, traced_row="boot")
            print(profile.boot_report(run, f"{model}, recorder {options.recorder}", not options.summary))
            continue
        run = machine.run(model, options.recorder, traced_row=options.profile, shared=options.profile in rows.SHARED)
        if options.profile not in run.cost:
            raise ui.Failure(f"bench: {options.profile}: {run.skipped.get(options.profile, 'did not run')}")
        print(profile.report(run, options.profile, f"{model}, recorder {options.recorder}", not options.summary))
    return 0


def _host() -> int:
    with cmake.lock():
        packages.ensure(packages.BENCH_HOST)
        cmake.configure_again("host")  # the package may be new to it
        cmake.build("host", target="bench-host")
    return subprocess.run([str(paths.BUILD / "host" / "bench" / "bench-host")], check=False).returncode


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__)
    parser.add_argument("--cpu", metavar="MODEL", action="append", choices=list(machine.MODELS),
                        help="cortex-a57 or max; may be repeated; default: both")
    parser.add_argument("--profile", metavar="ROW", help="list the instructions of one exit of this row, by function: "
                        + " ".join(rows.names()) + "; boot: how many each function takes until the guest's first")
    parser.add_argument("--summary", action="store_true", help="with --profile: the functions and totals only")
    parser.add_argument("--recorder", choices=["on", "off"], default="on", help="with --profile (default on)")
    parser.add_argument("--untraced", action="store_true", help="also a build with the recorder compiled out")
    parser.add_argument("--peers", action="store_true", help="the same guest on Xen and on KVM too, side by side (some minutes)")
    parser.add_argument("--growth", nargs="?", choices=["full", "short"], const="full",
                        help="the same rows with more VMs, vCPUs and memory; fail if one differs (short: 8 VMs only)")
    parser.add_argument("--sizes", action="store_true", help="what the bytes of the image are for, by component")
    parser.add_argument("--host", action="store_true", help="time decoders, emulator, vGIC and recorder on this host instead")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--compare", metavar="OLD.json", help="show the figures of an earlier --json beside")
    parser.add_argument("--check", action="store_true", help="fail if a row is above bench/baseline.json, or docs/performance.md is not made from it")
    parser.add_argument("--update-baseline", action="store_true", help="write bench/baseline.json and the tables of docs/performance.md; "
                        "the peers' figures stay as they are without --peers")
    options = parser.parse_args(argv)
    if options.profile:
        return _profile(options)
    if options.sizes:
        machine.ready()
        print(sizes.report())
        return 0
    if options.host:
        return _host()
    if options.growth:
        machine.ready()
        return max([growth.run(model, options.growth) for model in options.cpu or ["max"]])
    old = gate.load(Path(options.compare)) if options.compare else None
    models = list(machine.MODELS) if options.check or options.update_baseline else options.cpu or list(machine.MODELS)
    machine.ready()
    results = measure(models, options.untraced)
    print(table(results, old))
    if options.peers:
        results["peers"] = peers.measure(models)
        print(peers.table(results))
    if options.json:
        gate.write(Path(options.json), results)
    if options.update_baseline:
        _update_baseline(results, models)
    return _check(results) if options.check else 0
