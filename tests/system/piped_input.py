# SPDX-License-Identifier: Apache-2.0
"""A script piped into the guest's shell: all of it arrives, and the end of the input is not the end of the guest."""
from harness import BOOT_SECONDS, Machine, check, run


def test() -> None:
    long_word = "x" * 900  # far beyond the UART's FIFO, within a line of the terminal
    script = f"echo hello-$((40+2))\nw={long_word}\necho length-${{#w}}\npoweroff\n"
    with Machine(stdin=script.encode()) as machine:
        machine.ends_with(0, BOOT_SECONDS)
        check("\nhello-42" in machine.output, "the answer is missing")
        check("\nlength-900" in machine.output, "characters were lost")


run(test)
