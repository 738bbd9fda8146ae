# SPDX-License-Identifier: Apache-2.0
"""The Debian packages each command needs on this host. Installed with apt, only those that are missing."""
import os
import shutil
import subprocess

from . import ui

RUN = ["qemu-system-arm", "g++-aarch64-linux-gnu", "binutils-aarch64-linux-gnu", "cmake", "ninja-build",
       "device-tree-compiler"]
SCOPE = ["cmake", "ninja-build", "g++", "pkg-config", "libfdt-dev", "libcli11-dev", "libfmt-dev", "nlohmann-json3-dev",
         "libprotobuf-dev", "protobuf-compiler", "libelf-dev", "libdeflate-dev", "libgtest-dev", "libgmock-dev"]
TEST = RUN + SCOPE + ["u-boot-qemu", "gdb-multiarch", "chromium", "llvm-19-dev"]
GDB = RUN + ["gdb-multiarch"]
BENCH_HOST = SCOPE + ["libbenchmark-dev"]
FORMAT = ["clang-format-19"]
CHECK = TEST + FORMAT + ["clang-19", "clang-tidy-19", "lld-19", "libclang-rt-19-dev"]


def missing(names: list[str]) -> list[str]:
    query = subprocess.run(["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *names],
                           capture_output=True, text=True, check=False)
    installed = {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def ensure(names: list[str]) -> None:
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        raise ui.Failure(f"this is not Debian (no apt): install by hand what these packages hold: {' '.join(names)}")
    absent = missing(names)
    if not absent:
        return
    as_root = []
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise ui.Failure(f"packages are missing and there is no sudo: as root, apt install {' '.join(absent)}")
        as_root = ["sudo"]
    ui.say(f"missing packages: {' '.join(absent)}")
    apt = as_root + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    with ui.Step("reading the package lists (apt-get update)") as step:
        step.run(apt + ["update"], log="apt-update")
    with ui.Step(f"installing {len(absent)} packages (apt-get install)") as step:
        step.run(apt + ["install", "-y", "--no-install-recommends", *absent], log="apt-install")
