# SPDX-License-Identifier: Apache-2.0
"""`./x fuzz TARGET [SECONDS]`: libFuzzer with ASan and UBSan on one of the fuzz targets; `./x fuzz list` names them.
The corpus is kept in build/fuzz/corpus/TARGET and grows from run to run; a finding is kept in build/fuzz/findings."""
import argparse
import os
import re
import subprocess
import time
from pathlib import Path

from xlib import cmake, packages, paths, ui

FOLDER = paths.ROOT / "tests" / "fuzz"
SEEDS = FOLDER / "seeds"
PROGRAM = paths.BUILD / "fuzz" / "tests" / "fuzz" / "fuzz"
FINDINGS = paths.BUILD / "fuzz" / "findings"
# A guest's or a file's worth of input; more only makes each run slower.
MOST_BYTES = 16384
SECONDS_PER_INPUT = 10
DECLARATION = re.compile(r'^FUZZ_TARGET\((\w+),\s*"([^"]*)"\)', re.MULTILINE)
PROGRESS = re.compile(r"^#(\d+)\s.*?cov: (\d+).*?corp: (\d+)/")


def targets() -> dict[str, str]:
    """Name and description, as the sources declare them."""
    found = {}
    for source in sorted(FOLDER.glob("*.cpp")):
        found.update(DECLARATION.findall(source.read_text(encoding="utf-8")))
    return dict(sorted(found.items()))


def _environment(target: str) -> dict[str, str]:
    return {**os.environ, "ARM_VCPU_FUZZ_TARGET": target}


def _build() -> None:
    with cmake.lock():
        packages.ensure(packages.CHECK)
        cmake.build("fuzz", "fuzz")


def fuzz(target: str, seconds: int) -> bool:
    """True: no finding."""
    corpus = paths.BUILD / "fuzz" / "corpus" / target
    for folder in (corpus, FINDINGS):
        folder.mkdir(parents=True, exist_ok=True)
    command = [str(PROGRAM), str(corpus)]
    if (SEEDS / target).is_dir():
        command.append(str(SEEDS / target))
    command += [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", f"-timeout={SECONDS_PER_INPUT}",
                "-rss_limit_mb=4096", f"-artifact_prefix={FINDINGS}/{target}-"]
    log = FINDINGS / f"{target}.log"
    begin = time.monotonic()
    runs = coverage = inputs = 0
    with open(log, "w", encoding="utf-8") as file, ui.Step(f"fuzzing {target} for {seconds} s") as step:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", cwd=paths.ROOT, env=_environment(target))
        try:
            for line in process.stdout:
                file.write(line)
                if match := PROGRESS.match(line):
                    runs, coverage, inputs = int(match[1]), int(match[2]), int(match[3])
                    step.progress(f"{runs} runs, {coverage} edges, {inputs} inputs")
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    text = log.read_text(encoding="utf-8")
    if done := re.search(r"Done (\d+) runs", text):
        runs = int(done[1])
    if status == 0:
        ui.say(f"{target}: no finding in {runs} runs and {time.monotonic() - begin:.0f} s; {coverage} edges, "
               f"{inputs} inputs in {corpus.relative_to(paths.ROOT)}")
        return True
    artifact = re.search(r"Test unit written to (\S+)", text)
    ui.say(f"{target}: FINDING; the report is {log.relative_to(paths.ROOT)}, its last lines:")
    report = [line for line in text.splitlines() if re.search(r"ERROR|SUMMARY|FUZZ_CHECK|runtime error|Failure", line)]
    for line in report[:6]:
        print(f"  {line}")
    if artifact:
        input_file = Path(artifact[1])
        ui.say(f"it is reproduced by: ./x fuzz {target} {input_file.relative_to(paths.ROOT)}")
    return False


def reproduce(target: str, file: Path) -> int:
    status = subprocess.run([str(PROGRAM), str(file)], env=_environment(target), check=False).returncode
    ui.say(f"{target}: {'no finding' if status == 0 else 'FINDING'} with {file}")
    return 0 if status == 0 else 1


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./x fuzz", description=__doc__)
    parser.add_argument("target", metavar="TARGET", help="a target; `list`; or `all`, one after the other")
    parser.add_argument("what", nargs="?", default="60", metavar="SECONDS|FILE",
                        help="how long (60), or one input to run once, such as a finding")
    options = parser.parse_args(argv)
    known = targets()
    if options.target == "list":
        for name, what in known.items():
            print(f"  {name:<14}{what}")
        return 0
    if options.target != "all" and options.target not in known:
        raise ui.Failure(f"there is no fuzz target '{options.target}': ./x fuzz list names them", 2)
    one_input = Path(options.what)
    if not options.what.isdecimal() and not one_input.is_file():
        raise ui.Failure(f"'{options.what}' is neither a number of seconds nor a file", 2)
    _build()
    if not options.what.isdecimal():
        if options.target == "all":
            raise ui.Failure("one input belongs to one target", 2)
        return reproduce(options.target, one_input)
    names = list(known) if options.target == "all" else [options.target]
    findings = [name for name in names if not fuzz(name, int(options.what))]
    if len(names) > 1:
        ui.say(f"findings in: {', '.join(findings)}" if findings else f"no finding in {len(names)} targets")
    return 1 if findings else 0
