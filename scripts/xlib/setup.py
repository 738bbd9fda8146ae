# SPDX-License-Identifier: Apache-2.0
"""Everything a guest needs before QEMU can start."""
import os

from . import arm64, cmake, initramfs, npm, packages, paths, ui


def ready_for_run() -> None:
    # The system tests start many guests after one build; each would check the same again.
    if os.environ.get("ARM_VCPU_SKIP_SETUP"):
        for file in (paths.HYPERVISOR_IMAGE, paths.GUEST_KERNEL, paths.GUEST_INITRAMFS):
            if not file.exists():
                raise ui.Failure(f"{file} is not there and ARM_VCPU_SKIP_SETUP is set: run ./x build first")
        return
    with cmake.lock():
        packages.ensure(packages.RUN)
        arm64.ensure()
        initramfs.ensure()
        cmake.build("el2")


def ready_for_test() -> None:
    with cmake.lock():
        packages.ensure(packages.TEST)
        npm.ensure()
        arm64.ensure()
        initramfs.ensure()
        cmake.build("el2")
        cmake.build("el2-debug")  # the debugger's tests
        cmake.build("host")
        cmake.link_compile_commands()
