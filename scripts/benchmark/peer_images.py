# SPDX-License-Identifier: Apache-2.0
"""What ./x bench --peers boots: Debian's Xen, and an initramfs with Debian's QEMU for arm64 as the VMM of Debian's kernel. All of
it is downloaded with apt and unpacked in .cache/peers; nothing is installed."""
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from xlib import arm64, initramfs, paths, ui

from . import machine

XEN_PACKAGE = "xen-hypervisor-4.17-arm64"
VMM_PACKAGE = "qemu-system-arm"
XEN = paths.PEERS / "xen"
VMM = paths.PEERS / "vmm"  # the program and its libraries
VMM_PROGRAM = "qemu-system-aarch64"
VMM_RAMDISK = paths.PEERS / "vmm.cpio"

VMM_INIT = """\
#!/bin/sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
case "$(/bin/busybox cat /proc/cmdline)" in *one-cpu*) mode=one-cpu ;; *) mode= ;; esac
/lib/ld-linux-aarch64.so.1 --library-path /lib /bin/{program} -machine virt,gic-version=3 -accel kvm -cpu host \\
  -smp 2 -m 128 -nodefaults -display none -monitor none -nic none -kernel /bench.img -append "$mode"
echo "the VMM ended with $?"
/bin/busybox poweroff -f
"""


def _needed(file: Path) -> list[str]:
    done = subprocess.run(["aarch64-linux-gnu-readelf", "-d", str(file)], capture_output=True, text=True, check=True)
    return re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout)


def _with_libraries(program: Path, root: Path) -> list[Path]:
    """The program, its loader, and the libraries that it is linked with, to the last."""
    found = {file.name: file for folder in ("lib", "usr/lib") for file in sorted((root / folder).rglob("*.so*"))}
    wanted, files = [program], []
    seen = {program.name}
    while wanted:
        file = wanted.pop()
        files.append(file)
        for name in [*_needed(file), "ld-linux-aarch64.so.1"]:
            if name not in found:
                raise ui.Failure(f"bench: {file.name} needs {name}, and no package of {VMM_PACKAGE} has it")
            if name not in seen:
                seen.add(name)
                wanted.append(found[name])
    return files


def _fetch_xen(apt: arm64.Apt) -> None:
    with TemporaryDirectory(dir=paths.CACHE, prefix="unpack-") as folder:
        deb = apt.fetch(XEN_PACKAGE, Path(folder))
        with ui.Step(f"unpacking {XEN_PACKAGE}") as step:
            step.run(["dpkg", "-x", deb, folder], log="unpack")
        shutil.copyfile(next(path for path in sorted((Path(folder) / "boot").glob("xen-*-arm64"))), XEN)


def _fetch_vmm(apt: arm64.Apt) -> None:
    debs = apt.fetch_with_dependencies(VMM_PACKAGE)
    with TemporaryDirectory(dir=paths.CACHE, prefix="unpack-") as folder, ui.Step(f"unpacking {len(debs)} packages") as step:
        root = Path(folder)
        for deb in debs:
            step.run(["dpkg", "-x", deb, root], log="unpack")
        fresh = VMM.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for file in _with_libraries(root / "usr" / "bin" / VMM_PROGRAM, root):
            shutil.copyfile(file.resolve(), fresh / file.name)
        fresh.rename(VMM)


def ensure() -> None:
    paths.PEERS.mkdir(parents=True, exist_ok=True)
    absent = [fetch for target, fetch in {XEN: _fetch_xen, VMM: _fetch_vmm}.items() if not target.exists()]
    if absent:
        apt = arm64.Apt()
        for fetch in absent:
            fetch(apt)
    files = {("bin/" if file.name == VMM_PROGRAM else "lib/") + file.name: file.read_bytes() for file in sorted(VMM.iterdir())}
    files["bench.img"] = machine.GUEST_IMAGE.read_bytes()
    files["init"] = VMM_INIT.format(program=VMM_PROGRAM).encode()
    VMM_RAMDISK.write_bytes(initramfs.archive(paths.GUEST_BUSYBOX.read_bytes(), files))
