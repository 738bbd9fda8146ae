# SPDX-License-Identifier: Apache-2.0
"""`./x torture`: a guest does everything to the hypervisor that chance suggests, and another one beside it watches
whether it notices. Every operation follows from the seed."""
import argparse
import os
import re
import selectors
import sys
import tempfile
import time
from pathlib import Path

from xlib import bundle, inspection, paths, qemu, setup, ui

CLASSES = {
    "sysregs": "every encoding of a system register (op0 2 and 3), read and written, from EL1 and EL0",
    "calls": "HVC and SMC with any function and arguments",
    "devices": "loads and stores of every form to devices, holes, borders, and beyond all addresses",
    "interrupts": "EOI storms, more interrupts than list registers, SGIs of every kind, all GIC registers",
    "timers": "both timers at their extremes, and waiting for them",
    "maintenance": "every SYS instruction: caches, TLBs, address translation",
    "tables": "garbage in stage-1 tables, TCR, MAIR, SCTLR",
    "words": "instruction words by chance, at EL1 and EL0",
    "words32": "the same in A32 and T32 at EL0, where the CPU has them",
    "power": "PSCI with a second CPU that comes and goes",
}
FULL = 1_000_000
MEMORY_MIB = 64
RAM_LOOKED_AT = 96 << 20  # of the host's: the hypervisor and its recorder are at the start
IMAGE_LOOKED_AT = 8 << 20
WITNESS_LINE = re.compile(rb"^\[vm0\] witness: (ok|failed), (\d+) ticks of (\d+), the latest (\d+) us behind; (\d+) rounds")
TORTURE_LINE = re.compile(rb"^\[vm1\] torture: (\w+): (\d+) operations; .*")
TORTURE_DONE = re.compile(rb"^\[vm1\] torture: done, (\d+) failures")
ENDED = re.compile(rb"^\[hv\] (?:\w+: )?vm1 \(torture\): (?!\d+ vCPUs|reset)(.*)")
VERDICT = re.compile(rb"^\[hv\] verdict: (.*)")
# The witness's heartbeat. With -icount 1000 instructions are a microsecond, and a run takes little of that time.
HZ = 100
HZ_ICOUNT = 2000
# With -icount the clock is the number of instructions, so the witness is late by what was executed before it came to its
# turn. Without, the host's scheduler is in it.
LATE_US_ICOUNT = 5_000
LATE_US = 500_000
SLICE_US = 5_000  # of the scheduler, for each vCPU that may run before the witness
SLOWDOWN = float(os.environ.get("ARM_VCPU_TEST_SLOWDOWN", "1"))


def _parse(argv: list[str]) -> argparse.Namespace:
    listing = "\n".join(f"  {name:<13}{what}" for name, what in CLASSES.items())
    parser = argparse.ArgumentParser(
        prog="./x torture", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog=f"classes:\n{listing}\n\nexit status: 0 the hypervisor and the witness came through, 1 they did not")
    parser.add_argument("--class", dest="only", metavar="CLASS", choices=list(CLASSES), help="one class in place of all")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="another sequence (default 1)")
    parser.add_argument("--count", metavar="N", type=int, default=FULL, help=f"operations of each class (default {FULL})")
    parser.add_argument("--cpu", metavar="MODEL", default="max,pauth-impdef=on", help="QEMU's CPU model")
    parser.add_argument("--vcpus", metavar="N", type=int, default=2, choices=range(1, 8), help="of the torture guest (default 2)")
    parser.add_argument("--icount", action="store_true", help="time follows the instruction count: repeats bit for bit")
    parser.add_argument("--share", action="store_true", help="the witness and the torture guest on one physical CPU")
    parser.add_argument("--mte", action="store_true", help="both guests have allocation tags")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, help="end after this long, status 124")
    parser.add_argument("--quiet", action="store_true", help="print only the results, not what the guests and [hv] say")
    options = parser.parse_args(argv)
    if options.seed < 0 or options.count < 1:
        raise ui.Failure("torture: --seed is 0 or more, --count is 1 or more", 2)
    return options


def _bundle(options: argparse.Namespace, folder: Path) -> tuple[Path, int]:
    arguments = f"torture.seed={options.seed} torture.count={options.count}"
    if options.only:
        arguments += f" torture.class={options.only}"
    cpus = " ".join("0" if options.share else str(cpu) for cpu in range(1, options.vcpus + 1))
    guests = paths.BUILD / "el2" / "guests"
    images, vms = "", ""
    mte = 'mte = "on"; ' if options.mte else ""
    for name, count, affinity, words in (
            ("witness", 1, "0", f"witness.hz={HZ_ICOUNT if options.icount else HZ}"), ("torture", options.vcpus, cpus, arguments)):
        file = bundle.quoted(str(guests / f"{name}.img"))
        images += f'    {name} {{ data = /incbin/({file}); type = "kernel"; arch = "arm64"; compression = "none"; }};\n'
        vms += (f'    {name} {{ compatible = "{bundle.VM_COMPATIBLE}"; kernel = "{name}"; bootargs = "{words}"; '
                f"cpus = <{count}>; memory-mib = <{MEMORY_MIB}>; {mte}affinity = <{affinity}>; }};\n")
    dts, dtb = folder / "torture.dts", folder / "torture.dtb"
    dts.write_text(f'/dts-v1/;\n/ {{\n  compatible = "{bundle.COMPATIBLE}";\n  images {{\n{images}  }};\n'
                   f"  vms {{\n{vms}  }};\n}};\n", encoding="utf-8")
    bundle.compile_dts(dts, dtb)
    return dtb, 1 if options.share else options.vcpus + 1


class _Run:
    """One machine, from its start to what is wrong with its end."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self._options = options
        self._monitor = inspection.Monitor(folder)
        dtb, cpus = _bundle(options, folder)
        words = qemu.command(options.cpu, cpus, qemu.memory_mib(2 * MEMORY_MIB, dtb), dtb, options.icount,
                             self._monitor.words(), mte=options.mte)
        self._image = paths.HYPERVISOR_IMAGE.read_bytes()
        self._constant = inspection.constant_bytes()
        self._before = b""
        self._at = -1
        self._asked_to_end = False
        self.failures: list[str] = []
        self.witness: re.Match | None = None
        self.classes: list[str] = []
        self.torture_end = ""
        self.verdict = ""
        self._process = qemu.Process(words)

    def _bad(self, what: str) -> None:
        self.failures.append(what)

    def _line(self, line: bytes) -> None:
        if not self._options.quiet:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.flush()
        if line.startswith(b"[vm0] witness: watching"):
            self._snapshot()
        elif found := WITNESS_LINE.match(line):
            self.witness = found
        elif b"FAIL " in line[:11] and line.startswith((b"[vm0] ", b"[vm1] ")):
            self._bad(line.decode(errors="replace"))
        elif found := TORTURE_LINE.match(line):
            self.classes.append(found.group(1).decode())
            if self._options.quiet:
                print(line[6:].decode(errors="replace"), flush=True)
        elif found := TORTURE_DONE.match(line):
            self.torture_end = "done"
            if found.group(1) != b"0":
                self._bad(f"the torture guest found {found.group(1).decode()} outcomes that should not be")
        elif found := ENDED.match(line):
            if found.group(1) != b"powered off":
                self._bad(f"the torture guest was ended: {found.group(1).decode(errors='replace')}")
            self._end_witness()
        elif line.startswith(b"[hv] panic"):
            self._bad(line.decode(errors="replace"))
        elif found := VERDICT.match(line):
            self.verdict = found.group(1).decode(errors="replace")

    def _snapshot(self) -> None:
        memory = self._monitor.memory(inspection.RAM_BASE, IMAGE_LOOKED_AT)
        self._at = inspection.find_image(memory, self._image)
        if self._at < 0:
            self._bad("the hypervisor's image is not where it is looked for")
        self._before = memory[self._at:self._at + self._constant]

    def _end_witness(self) -> None:
        if not self._asked_to_end:
            self._asked_to_end = True
            os.write(self._process.descriptors[0], b"q")

    def _relay(self) -> None:
        _, output, errors = self._process.descriptors
        deadline = time.monotonic() + self._options.timeout * SLOWDOWN if self._options.timeout else None
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            selector.register(errors, selectors.EVENT_READ)
            while not self.verdict:
                if deadline is not None and time.monotonic() >= deadline:
                    raise ui.Failure(f"torture: --timeout {self._options.timeout:g}: the time is up; classes done: "
                                     f"{', '.join(self.classes) or 'none'}", 124)
                for key, _ in selector.select(0.5):
                    data = os.read(key.fd, 65536)
                    if key.fd == errors:
                        if data:
                            self._bad(f"QEMU says: {data.decode(errors='replace').strip()}")
                        selector.unregister(errors) if not data else None
                        continue
                    if not data:
                        return
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._line(line.rstrip(b"\r"))

    def _judge(self) -> None:
        options = self._options
        if self.verdict != "ok":
            self._bad(f"the hypervisor's verdict: {self.verdict or 'none, QEMU has ended'}")
        wanted = [options.only] if options.only else list(CLASSES)
        missing = [name for name in wanted if name not in self.classes]
        if missing or self.torture_end != "done":
            self._bad(f"not finished: {', '.join(missing) or 'the end'}")
        if self.witness is None:
            self._bad("the witness says nothing")
            return
        state, ticks, expected, late, _ = (group.decode() for group in self.witness.groups())
        if state != "ok":
            self._bad("the witness noticed something")
        if abs(int(ticks) - int(expected)) > 1:
            self._bad(f"the witness had {ticks} ticks of {expected}")
        bound = LATE_US_ICOUNT if options.icount else LATE_US * SLOWDOWN
        bound += SLICE_US * options.vcpus if options.share else 0
        if int(late) > bound:
            self._bad(f"a tick of the witness was {late} us late; {bound:.0f} are allowed")

    def _inspect(self) -> None:
        memory = self._monitor.memory(inspection.RAM_BASE, RAM_LOOKED_AT)
        now = memory[self._at:self._at + self._constant]
        if self._at >= 0 and (change := inspection.changed_at(self._before, now)) >= 0:
            self._bad(f"the hypervisor's code or constants changed at image+{change:#x}")
        if problem := inspection.recorder_problem(memory):
            self._bad(f"the recorder: {problem}")

    def run(self) -> None:
        try:
            self._relay()
            if self.verdict:
                self._inspect()
            self._judge()
        finally:
            self._monitor.close()
            self._process.kill()


def main(argv: list[str]) -> int:
    options = _parse(argv)
    setup.ready_for_run()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="arm-vcpu-torture-") as folder:
        run = _Run(options, Path(folder))
        run.run()
    for failure in run.failures:
        ui.say(failure)
    again = f"--seed {options.seed} --count {options.count} --cpu {options.cpu} --vcpus {options.vcpus}"
    again += (f" --class {options.only}" if options.only else "") + (" --icount" if options.icount else "")
    again += (" --share" if options.share else "") + (" --mte" if options.mte else "")
    if run.failures:
        raise ui.Failure(f"torture: {len(run.failures)} findings; again: ./x torture {again}")
    ticks, late = run.witness.group(2).decode(), run.witness.group(4).decode()
    print(f"torture: passed in {time.monotonic() - begin:.0f} s: {len(run.classes)} classes of {options.count} operations; the "
          f"witness had {ticks} ticks and missed none, the latest {late} us behind; {again}")
    return 0
