# SPDX-License-Identifier: Apache-2.0
"""`./x build`: the hypervisor and everything of the host, ready to run and to test."""
from xlib import arm64, paths, setup, ui


def main(argv: list[str]) -> int:
    if argv:
        raise ui.Failure("usage: ./x build", 2)
    setup.ready_for_test()
    ui.say(f"built: {paths.HYPERVISOR_IMAGE.relative_to(paths.ROOT)}; the default guest is Linux {arm64.kernel_version()}")
    return 0
