# SPDX-License-Identifier: Apache-2.0
"""Bad options, bad images, bad bundles: each is refused with one line that says what, why and what to do, and with exit
status 2. Nothing is printed to the guest's console, no traceback, nothing hangs. Argument: options, images or bundles."""
import os
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import ROOT, SLOWDOWN, check, run

SECONDS = 60
MIB = 1 << 20
FLAT = struct.pack("<I", 0x14000000) * 16  # "b ."


def image(text_offset: int = 0x80000, image_size: int = 0x10000) -> bytes:
    """An arm64 Image. [linux] "Booting AArch64 Linux", "Call the kernel image" """
    return struct.pack("<IIQQQ3Q", 0x14000010, 0, text_offset, image_size, 2, 0, 0, 0) + b"ARM\x64" + bytes(4) + FLAT


def bundle(folder: Path, name: str, vms: str, images: str | None = None, rest: str = "", head: str = "arm-vcpu,bundle") -> Path:
    kernel = folder / "flat.bin"
    if images is None:
        images = f'k {{ data = /incbin/("{kernel}"); type = "kernel"; }};'
    file = folder / f"{name}.dts"
    file.write_text(f'/dts-v1/;\n/ {{\n  compatible = "{head}";\n  images {{ {images} }};\n  vms {{ {vms} }};\n  {rest}\n}};\n',
                    encoding="utf-8")
    return file


def vm(body: str = "", name: str = "a", cpus: str = "<1>", memory: str = "<64>", kernel: str = "k") -> str:
    return (f'{name} {{ compatible = "arm-vcpu,vm"; kernel = "{kernel}"; cpus = {cpus}; memory-mib = {memory}; {body} }};')


def options(folder: Path) -> list[tuple[list, str]]:
    kernel = folder / "flat.bin"
    unreadable = folder / "unreadable"
    unreadable.write_bytes(FLAT)
    unreadable.chmod(0)
    cases = [
        (["--no-such-option"], "unrecognized"),
        (["more"], "unrecognized"),
        (["--kernel"], "expected one argument"),
        (["--vcpus", "0"], "--vcpus 0 is out of range: 1 to 8"),
        (["--vcpus", "9"], "1 to 8"),
        (["--vcpus", "-1"], "1 to 8"),
        (["--vcpus", "two"], "invalid int"),
        (["--vcpus", "99999999999999999999"], "1 to 8"),
        (["--pcpus", "0"], "out of range"),
        (["--pcpus", "9"], "out of range"),
        (["--memory", "0"], "out of range"),
        (["--memory", "-512"], "out of range"),
        (["--memory", "1.5"], "invalid int"),
        (["--memory", "32"], "too small"),
        (["--memory", "65537"], "out of range"),
        (["--timeout", "0"], "above 0"),
        (["--timeout", "-3"], "above 0"),
        (["--timeout", "nan"], "above 0"),
        (["--timeout", "soon"], "invalid float"),
        (["--gic", "1"], "--gic 1"),
        (["--gic", "three"], "--gic three"),
        (["--gic", "2", "--vcpus", "9"], "--vcpus 9 is out of range: 1 to 8"),
        (["--gic", "2", "--pcpus", "9"], "--pcpus 9 is out of range: 1 to 8"),
        (["--log", "loud"], "the levels are error, warn"),
        (["--recorder", "maybe"], "invalid choice"),
        (["--cpu", "no-such-cpu"], "no such model"),
        (["--cpu", "cortex-a15"], "cannot run A64"),
        (["--cpu", ""], "give a model"),
        (["--cpu", "max,no-such-property=1"], "QEMU refuses its options"),
        (["--qemu-arg", "-no-such-option"], "QEMU refuses its options"),
        (["--trace", folder], "cannot be written there"),
        (["--trace", folder / "nowhere" / "t"], "cannot be written there"),
        (["--trace", folder / "t", "--recorder", "off"], "do not go together"),
        (["--kernel", kernel, "--firmware", kernel], "do not go together"),
        (["--firmware", kernel, "--initrd", kernel], "do not go together"),
        (["--vm", kernel, "--kernel", kernel], "do not go together"),
        (["--mte", "maybe"], "invalid choice"),
        (["--mte", "on", "--cpu", "cortex-a57"], "--cpu cortex-a57 has no allocation tags: take max"),
        (["--mte", "on", "--kernel", kernel, "--qemu-arg", "-machine", "--qemu-arg", "mte=off"],
         "/vms/vm0: mte: is on, and this CPU has no allocation tags"),
    ]
    for option in ("--kernel", "--initrd", "--firmware", "--vm"):
        cases.append(([option, folder / "nowhere"], "no such file"))
        cases.append(([option, folder], "not a regular file"))
        cases.append(([option, "/dev/null"], "not a regular file"))
        if os.geteuid() != 0:  # root reads everything
            cases.append(([option, unreadable], "not readable by this user"))
    return cases


def images(folder: Path) -> list[tuple[list, str]]:
    def file(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    large = folder / "large"
    with open(large, "wb") as sparse:
        sparse.truncate(65 * MIB)
    kernel = folder / "flat.bin"
    cases = []
    for option in ("--kernel", "--firmware"):
        cases += [
            ([option, file("empty", b"")], "the file is empty"),
            ([option, file("a.gz", b"\x1f\x8b\x08" + bytes(64))], "compressed with gzip"),
            ([option, file("a.xz", b"\xfd7zXZ\0" + bytes(64))], "compressed with xz"),
            ([option, file("a.zst", b"\x28\xb5\x2f\xfd" + bytes(64))], "compressed with zstd"),
            ([option, file("a.elf", b"\x7fELF\x02\x01\x01" + bytes(64))], "objcopy -O binary"),
            ([option, file("uImage", b"\x27\x05\x19\x56" + bytes(64))], "a U-Boot uImage"),
            ([option, file("x.efi", b"MZ" + bytes(64))], "no arm64 Image"),
        ]
    return cases + [
        (["--kernel", file("short", FLAT[:3])], "3 bytes are no A64 instruction"),
        (["--kernel", file("arm32", struct.pack("<9I", *[0xE1A00000] * 8, 0xEA000003) + struct.pack("<I", 0x016F2818) +
                           bytes(64))], "zImage for 32-bit Arm"),
        (["--kernel", file("x86", bytes(0x1FE) + b"\x55\xaa\xeb\x6aHdrS" + bytes(64))], "bzImage for x86"),
        (["--kernel", file("vast", image(image_size=1 << 40))], "too small"),
        (["--kernel", file("offset", image(text_offset=1 << 40))], "too small"),
        (["--kernel", file("wrap", image(text_offset=(1 << 64) - 0x1000, image_size=0x2000))], "too small"),
        (["--kernel", large, "--memory", "64"], "too small"),
        (["--kernel", kernel, "--initrd", large, "--memory", "64"], "too small"),
        (["--firmware", large], "larger than the flash"),
    ]


def bundles(folder: Path) -> list[tuple[list, str]]:
    def dts(name: str, *arguments, **more) -> list:
        return ["--vm", bundle(folder, name, *arguments, **more)]

    raw = folder / "raw.dts"
    raw.write_text("/dts-v1/;\n/ { vms { }; \n", encoding="utf-8")
    binary = folder / "binary.dts"
    binary.write_bytes(bytes(range(256)))
    elf = folder / "a.elf"
    elf.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(64))
    good = bundle(folder, "good", vm("affinity = <0>;"))
    nowhere = f'k {{ data = /incbin/("{folder}/nowhere"); type = "kernel"; }};'
    return [
        (["--vm", raw], "syntax error"),
        (["--vm", binary], "not a valid .dts"),
        (dts("incbin", vm(), nowhere), "nowhere"),
        (dts("compatible", vm(), head="linux,dummy-virt"), "not a bundle"),
        (dts("none", ""), "without VMs"),
        (dts("cpus", vm().replace("cpus = <1>;", "")), "needs cpus"),
        (dts("memory", vm().replace("memory-mib = <64>;", "")), "needs memory-mib"),
        (dts("text", vm(cpus='"1"')), "cpus"),
        (dts("zero", vm(cpus="<0>")), "cpus"),
        (dts("many", vm(cpus="<9>")), "cpus"),
        (dts("vast", vm(cpus="<0xffffffff>")), "/vms/a/cpus is 4294967295: give 1 to 8"),
        (dts("nomemory", vm(memory="<0>")), "memory-mib"),
        (dts("onemib", vm(memory="<1>")), "memory-mib"),
        (dts("allmemory", vm(memory="<0xffffffff>")), "memory-mib"),
        (dts("kernel", vm(kernel="linus")), "no such node"),
        (dts("both", vm('firmware = "k";')), "firmware"),
        (dts("neither", vm().replace('kernel = "k";', "")), "kernel"),
        (dts("affinity", vm("affinity = <0 1>;")), "one CPU per vCPU"),
        ([*dts("few", vm("affinity = <1 0>;", cpus="<2>")), "--pcpus", "1"], "names CPU 1"),
        (dts("restart", vm("restart = <1000001>;")), "restart"),
        (dts("far", vm("affinity = <100>;")), "CPU"),
        ([*dts("mte", vm('mte = "on";')), "--cpu", "neoverse-n1"], "--cpu neoverse-n1 has no allocation tags: take max"),
        (dts("mtevalue", vm("mte = <1>;")), "mte"),
        (dts("gic", vm("gic-version = <1>;")), "gic-version"),
        (dts("gic2", vm("gic-version = <2>;")), "gic-version: is 2, the least is 3"),
        ([*dts("gic3", vm("gic-version = <3>;")), "--gic", "2"], "gic-version: is 3, the most is 2"),
        (dts("unknown", vm("cpu-model = <1>;")), "cpu-model"),
        (dts("vmcompatible", vm().replace("arm-vcpu,vm", "x")), "compatible"),
        (dts("node", vm("devices { };")), "devices"),
        (dts("type", vm(), f'k {{ data = /incbin/("{folder}/flat.bin"); type = "disk"; }};'), "type"),
        (dts("arch", vm(), f'k {{ data = /incbin/("{folder}/flat.bin"); type = "kernel"; arch = "arm"; }};'), "arch"),
        (dts("nodata", vm(), 'k { type = "kernel"; };'), "data"),
        (dts("elf", vm(), f'k {{ data = /incbin/("{elf}"); type = "kernel"; }};'), "objcopy"),
        (dts("level", vm(), rest='hypervisor { log-level = "loud"; };'), "log-level"),
        (dts("level2", vm(), rest="hypervisor { log-level = <1>; };"), "log-level"),
        (dts("hypervisor", vm(), rest="hypervisor { colour = <1>; };"), "colour"),
        (dts("bootargs", vm("bootargs = <1>;")), "bootargs"),
        (["--vm", good, "--log", "loud"], "the levels are"),
    ]


def refused(case: tuple[list, str]) -> str:
    """What is wrong with the refusal; empty: nothing."""
    arguments, why = case
    shown = " ".join(map(str, arguments))
    try:
        done = subprocess.run([str(ROOT / "x"), "run", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", check=False, timeout=SECONDS * SLOWDOWN)
    except subprocess.TimeoutExpired:
        return f"{shown}: still there after {SECONDS * SLOWDOWN:.0f} s"
    if done.returncode != 2:
        return f"{shown}: status {done.returncode}, expected 2: {done.stderr}"
    if done.stderr.count("\n") != 1 or not done.stderr.startswith("x: "):
        return f"{shown}: not one line: {done.stderr}"
    # The hypervisor's own lines may be on the console, when it is the one that refuses; no guest's.
    if any(not line.startswith("[hv] ") for line in done.stdout.splitlines() if line.strip()):
        return f"{shown}: writes to the guest's console: {done.stdout}"
    if why not in done.stderr:
        return f"{shown}: '{why}' is not in: {done.stderr}"
    print(f"{shown.replace(str(ROOT) + '/', '')[:70]:<72}{done.stderr.strip()}", flush=True)
    return ""


def test() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flat.bin").write_bytes(FLAT)
        cases = {"options": options, "images": images, "bundles": bundles}[sys.argv[1]](folder)
        with ThreadPoolExecutor(2) as pool:
            problems = [problem for problem in pool.map(refused, cases) if problem]
    check(not problems, "\n".join(problems))


run(test)
