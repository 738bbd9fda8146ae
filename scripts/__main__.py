# SPDX-License-Identifier: Apache-2.0
"""`./x COMMAND`: finds the command and runs it. A new command is a module in commands/ and one line in COMMANDS."""
import importlib
import os
import sys

if sys.version_info < (3, 11):
    sys.exit("x: python3 is %d.%d, 3.11 is needed (Debian 12 has it: apt install python3)" % sys.version_info[:2])

from xlib import ui

# name -> what it does. The module is commands/<name>.py with `main(arguments) -> exit status`.
COMMANDS = {
    "run": "boot a guest on the hypervisor in QEMU; its console is this terminal (./x run --help)",
    "gdb": "boot it halted with gdb attached: vcpu, exits, walk, s2, why, gbt (./x gdb --help)",
    "test": "build and run all tests; arguments go to ctest (./x test -R system.linux)",
    "fault": "bring a failure about and show its diagnosis (./x fault list)",
    "torture": "a guest that does everything to the hypervisor, and a witness beside it (./x torture --help)",
    "scope": "vcpuscope: read traces, statistics, explain, diagnose, backtrace (./x scope --help)",
    "bench": "count the instructions of every kind of exit (./x bench --help)",
    "coverage": "how many lines of the library the unit tests run, file by file",
    "fuzz": "run a fuzz target with libFuzzer, ASan and UBSan (./x fuzz list)",
    "build": "build the hypervisor (EL2) and the host tests and tools",
    "fmt": "format the C++ sources with clang-format",
    "check": "formatting, clang-tidy, unit tests with sanitizers, the EL2 build with clang",
    "guide": "check the troubleshooting guide against what the commands print (./x guide --help)",
    "clean": "remove the build (clean --all: the downloads in .cache too)",
}


def usage() -> str:
    lines = ["usage: ./x COMMAND [ARGUMENT ...]", ""]
    lines += [f"  {name:<9}{text}" for name, text in COMMANDS.items()]
    lines += ["", "What is missing (Debian packages, the guest's kernel) is installed or downloaded on first use."]
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    name = argv[0] if argv else "help"
    if name in ("help", "-h", "--help"):
        print(usage())
        return 0
    if name not in COMMANDS:
        ui.say(f"there is no command '{name}': ./x help lists them")
        return 2
    try:
        return importlib.import_module(f"commands.{name}").main(argv[1:])
    except ui.Failure as failure:
        ui.say(str(failure))
        return failure.status
    except KeyboardInterrupt:
        ui.say("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to say, and the interpreter must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


sys.exit(main(sys.argv[1:]))
