# SPDX-License-Identifier: Apache-2.0
"""Breakpoints at the places of the exit path that the guide names, each hit, on a guest that makes HVCs, SMCs and MMIO
accesses. Argument: release or debug."""
import sys

from gdb_session import EXITS, Session, expect
from harness import check, run

# Where to stop, what the exit is there, and who must be among the callers.
PLACES = [("arm_vcpu::Aarch64VCpu::run", None, "VcpuLoop::run"),
          ("vmexit_handler", None, "Aarch64VCpu::run"),
          ("handle_exception_sync", None, "vmexit_handler"),
          ("handle_data_abort", 0x24, "handle_exception_sync"),
          ("handle_psci_call", None, "handle_exception_sync"),
          ("handle_smc64_exception", 0x17, "handle_exception_sync")]


def test() -> None:
    build = sys.argv[1]
    commands = ["p/x $pc"]
    for place, _, _ in PLACES:
        commands += [f"break {place}", "info breakpoints", "continue", "p $_el()", "p/x $ESR_EL2", "bt", "delete"]
    session = Session([*EXITS, *(["--debug"] if build == "debug" else [])], commands)
    results = iter(session.results[1:])
    for place, ec, caller in PLACES:
        made, listed, hit, el, esr, stack, _ = (next(results) for _ in range(7))
        expect(made, r"^Breakpoint \d+ at 0x", f"break {place}")
        expect(listed, r"stop only if \$_el\(\) == 2", f"the condition at {place}")
        expect(hit, rf"Breakpoint \d+, .*{place}", f"the stop at {place}")
        expect(el, r"= 2", f"the Exception level at {place}")
        if ec is not None:
            syndrome = int(expect(esr, r"= (0x\w+)", "ESR_EL2").group(1), 16)
            check(syndrome >> 26 == ec, f"{place}: ESR_EL2 {syndrome:#x} is not of class {ec:#x}")
        # With optimization handle_exception_sync() jumps to the handlers, and has no frame then.
        if build == "debug" or caller != "handle_exception_sync":
            expect(stack, caller, f"the caller of {place}")
        expect(stack, r"hypervisor_main", f"the whole stack at {place}")
        check("corrupt stack" not in stack, f"the stack at {place} is cut short")


run(test)
