# SPDX-License-Identifier: Apache-2.0
"""guests/features: SMC filter, random numbers, stolen time, SVE, allocation tags. Arguments: CPU model, what else `./x run` gets ..."""
import re
import sys

from harness import ROOT, Machine, check, run


def sve_of(cpu: str, options: list[str]) -> int:
    """Bits of the longest vector; 0 without SVE."""
    if not cpu.startswith("max"):
        return 0
    limit = options[options.index("--sve") + 1] if "--sve" in options else "2048"
    return 0 if limit == "off" else int(limit)


def mte_of(options: list[str]) -> int:
    """QEMU 7.2's max has FEAT_MTE3."""
    return 3 if "--mte" in options and options[options.index("--mte") + 1] == "on" else 0


def test() -> None:
    cpu, options = sys.argv[1], sys.argv[2:]
    with Machine("--kernel", ROOT / "build/el2/guests/features.img", "--memory", 128, "--cpu", cpu,
                 *options) as machine:
        machine.expect(r"^features: ", 120)
        machine.ends_with(0, 30)
    failures = re.findall(r"^FAIL .*", machine.output, re.MULTILINE)
    check(not failures, "; ".join(line.strip() for line in failures))
    check(re.search(r"^DONE (\d+)/\1\s", machine.output, re.MULTILINE) is not None, "not every check passed")
    outcome = f"outcome: {'forwarded' if '--smc-allow' in options else 'refused'}, " \
              f"{'trng' if cpu.startswith('max') else 'no trng'}, SVE {sve_of(cpu, options)}, " \
              f"MTE {mte_of(options)}"
    check(outcome in machine.output, f"not as expected: {outcome}")
    # One for each of two sweeps, one when the caches went off, one when they came back.
    flushes = re.search(r"^\[hv\] vm0 vcpu0 +CacheFlush +(\d+) ", machine.output, re.MULTILINE)
    check(flushes is not None and flushes.group(1) == "4", "4 flushes were expected for two sweeps by set and way")


run(test)
