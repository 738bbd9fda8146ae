# SPDX-License-Identifier: Apache-2.0
"""The options of `./x run`. What is wrong is found before anything is installed, built or started: one line that says
what, why, and what to do; exit status 2."""
import argparse
import os
import re
import struct
from pathlib import Path

from . import bundle, ui

MAX_VCPUS = 8
MAX_PCPUS = 8
MIN_MEMORY_MIB = 8
MAX_MEMORY_MIB = 65536
MAX_FIRMWARE_BYTES = 64 << 20  # the flash bank of QEMU's virt machine
DTB_ROOM = 4 << 20
DEFAULT_CPU = "max,pauth-impdef=on"
DEFAULT_BOOTARGS = "console=ttyAMA0 cryptomgr.notests"

EPILOG = f"""\
The default guest is Debian's kernel with a busybox shell; its command line is "{DEFAULT_BOOTARGS}"
and what --append adds. --append 'autorun="COMMAND"' runs a command in that shell first. --kernel takes an arm64 Image (booted as Linux is) or a flat binary (loaded at RAM + 0x80000), with only the
--initrd and --append you give; --initrd default is the busybox one. --firmware is flash at address 0, entered there, with
the device tree at the start of RAM, as QEMU's -bios does.

Several VMs: write a bundle (docs/bundle.md) and pass it with --vm; VMs of several --vm files run side by side.

On a terminal, Ctrl-] x ends the machine, Ctrl-] 0 to 7 picks the VM that gets the keys, Ctrl-] Ctrl-] sends one Ctrl-].
The hypervisor's own lines start with "[hv] "; with several VMs the guests' lines start with "[vm0] ", "[vm1] " and so on.
Piped input for a Linux kernel is held until it has started init, because a booting kernel drops what arrives earlier.

exit status: 0 every VM ended by SYSTEM_OFF, 1 it did not, 2 bad options, files or bundles, 124 the --timeout came
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise ui.Failure(f"run: {message} (./x run --help)", 2)


def _refuse(message: str):
    raise ui.Failure(f"run: {message}", 2)


def _sve_bits(text: str) -> int:
    bits = 0 if text == "off" else int(text)
    if bits % 128 or not 0 <= bits <= 2048 or (bits == 0 and text != "off"):
        raise ValueError(text)
    return bits


def _function_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    pair = int(first, 0), int(last or first, 0)
    if not 0 <= pair[0] <= pair[1] <= 0xFFFFFFFF:
        raise ValueError(text)
    return pair


def _parser() -> _Parser:
    p = _Parser(prog="./x run", allow_abbrev=False, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
                description="Boots a guest on the hypervisor in QEMU; standard input and output are its console.")
    p.add_argument("--kernel", metavar="FILE", help="arm64 Image or flat binary (default: Debian's kernel)")
    p.add_argument("--firmware", metavar="FILE", help="flash image at address 0, in place of a kernel")
    p.add_argument("--initrd", metavar="FILE", help="initial RAM disk; 'default' for the busybox one")
    p.add_argument("--append", metavar="STRING", action="append", help="kernel command line, added to the default one's")
    p.add_argument("--vcpus", metavar="N", type=int, help=f"CPUs of the guest, 1 to {MAX_VCPUS} (default 1)")
    p.add_argument("--memory", metavar="MIB", type=int, help="RAM of the guest in MiB (default 512)")
    p.add_argument("--vm", metavar="FILE.dts", action="append", help="a bundle, in place of all the options above")
    p.add_argument("--cpu", metavar="MODEL", default=DEFAULT_CPU, help=f"QEMU's CPU model (default {DEFAULT_CPU})")
    p.add_argument("--gic", metavar="VERSION", default="3",
                   help="version of the interrupt controller, the machine's and the guests': 2 or 3 (default 3)")
    p.add_argument("--pmu", choices=["on", "off"], help="the guests' performance monitors (default on)")
    p.add_argument("--sve", metavar="BITS", type=_sve_bits, help="longest SVE vector of the guest, a multiple of 128 up to "
                   "2048, or off (default: what the CPU has)")
    p.add_argument("--mte", choices=["on", "off"], help="allocation tags for the guests; needs --cpu max, and slows QEMU down "
                   "(default off, or what a bundle says)")
    p.add_argument("--smc-allow", metavar="FIRST[-LAST]", action="append", type=_function_range, default=None,
                   help="pass the guest's SMCs with these function IDs to the firmware (default: none)")
    p.add_argument("--pcpus", metavar="N", type=int, help="physical CPUs, which vCPUs share when they are more (default: one for each vCPU, 8 at most)")
    p.add_argument("--icount", action="store_true", help="time follows the instruction count: repeatable, slower")
    p.add_argument("--timeout", metavar="SECONDS", type=float, help="end the machine after this long, status 124")
    p.add_argument("--log", metavar="LEVEL", help="the hypervisor's log: " + ", ".join(bundle.LOG_LEVELS))
    p.add_argument("--trace", metavar="FILE", help="write every record of the exit recorder to FILE (vcpuscope reads it)")
    p.add_argument("--vectors", choices=["answering", "plain"],
                   help="whether the vectors answer simple exits themselves; plain under ./x gdb (default answering)")
    p.add_argument("--recorder", choices=["on", "off"], help="the exit recorder (default on)")
    p.add_argument("--qemu-arg", metavar="ARG", action="append", default=[], help="one more argument for QEMU")
    return p


def _joined(argv: list[str]) -> list[str]:
    """`--qemu-arg -d` as `--qemu-arg=-d`: argparse would take the value for an option."""
    out: list[str] = []
    words = iter(argv)
    for word in words:
        value = next(words, None) if word in ("--qemu-arg", "--append") else None
        out.append(word if value is None else f"{word}={value}")
    return out


def _in_range(name: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        _refuse(f"{name} {value} is out of range: {low} to {high}")


def _readable(option: str, name: str) -> Path:
    path = Path(name)
    if not path.exists():
        _refuse(f"{option} {name}: no such file")
    if not path.is_file():
        _refuse(f"{option} {name}: not a regular file")
    if not os.access(path, os.R_OK):
        _refuse(f"{option} {name}: not readable by this user")
    if path.stat().st_size == 0:
        _refuse(f"{option} {name}: the file is empty")
    return path.resolve()


PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\x02!L\x18": "lz4",
          b"\x04\"M\x18": "lz4"}


def _refuse_wrong_format(option: str, path: Path, head: bytes) -> None:
    for magic, tool in PACKED.items():
        if head.startswith(magic):
            _refuse(f"{option} {path}: compressed with {tool}, and nothing unpacks it before it runs: unpack it first "
                    f"({tool} -dc {path.name} > Image)")
    if head.startswith(b"\x7fELF"):
        _refuse(f"{option} {path}: an ELF file, and what runs is a flat image: aarch64-linux-gnu-objcopy -O binary "
                f"{path.name} {path.stem}.bin (for Linux: arch/arm64/boot/Image)")
    if head.startswith(b"\x27\x05\x19\x56"):
        _refuse(f"{option} {path}: a U-Boot uImage: pass the Image it was made from (dumpimage unpacks it)")
    if head.startswith(b"MZ") and head[4:8] == b"zimg":
        _refuse(f"{option} {path}: a compressed EFI kernel (vmlinuz.efi): pass arch/arm64/boot/Image")
    if head[0x24:0x28] == b"\x18\x28\x6f\x01":
        _refuse(f"{option} {path}: a zImage for 32-bit Arm: pass an arm64 Image (arch/arm64/boot/Image)")
    if head[0x202:0x206] == b"HdrS":
        _refuse(f"{option} {path}: a bzImage for x86: pass an arm64 Image (arch/arm64/boot/Image)")
    if len(head) < 4:
        _refuse(f"{option} {path}: {len(head)} bytes are no A64 instruction: is the file cut off?")
    if head.startswith(b"MZ") and head[56:60] != b"ARM\x64":
        _refuse(f"{option} {path}: an EFI program that is no arm64 Image")


def check_fits(kernel: Path, initrd: Path | None, memory_mib: int) -> None:
    """The Image with its bss, the initrd and the device tree must fit the guest's RAM."""
    with open(kernel, "rb") as file:
        head = file.read(64)
    text_offset, size = 0x80000, kernel.stat().st_size
    if head[56:60] == b"ARM\x64":
        text_offset, image_size = struct.unpack_from("<QQ", head, 8)
        size = max(size, image_size)
    need = text_offset + size + (initrd.stat().st_size if initrd else 0) + DTB_ROOM
    if need > memory_mib * bundle.MIB:
        _refuse(f"--memory {memory_mib} is too small: kernel{', initrd' if initrd else ''} and device tree need "
                f"{-(-need // bundle.MIB)} MiB")


def parse(argv: list[str]) -> argparse.Namespace:
    options = _parser().parse_args(_joined(argv))
    single = {"--kernel": options.kernel, "--firmware": options.firmware, "--initrd": options.initrd,
              "--append": options.append, "--vcpus": options.vcpus, "--memory": options.memory,
              "--smc-allow": options.smc_allow, "--sve": options.sve}
    given = [name for name, value in single.items() if value is not None]
    if options.vm and given:
        _refuse(f"--vm and {given[0]} do not go together: a bundle says this itself")
    if options.kernel is not None and options.firmware is not None:
        _refuse("--kernel and --firmware do not go together: a VM starts with one of them")
    if options.firmware is not None and (options.initrd is not None or options.append is not None):
        _refuse(f"--firmware and {'--append' if options.initrd is None else '--initrd'} do not go together: a firmware "
                "loads its own kernel")
    _in_range("--vcpus", options.vcpus, 1, MAX_VCPUS)
    _in_range("--memory", options.memory, MIN_MEMORY_MIB, MAX_MEMORY_MIB)
    _in_range("--pcpus", options.pcpus, 1, MAX_PCPUS)
    if options.gic not in ("2", "3"):
        _refuse(f"--gic {options.gic}: there are versions 2 and 3")
    options.gic = int(options.gic)
    if options.timeout is not None and not options.timeout > 0:
        _refuse(f"--timeout {options.timeout:g}: give a number of seconds above 0")
    if options.log is not None and options.log not in bundle.LOG_LEVELS:
        _refuse(f"--log {options.log}: the levels are {', '.join(bundle.LOG_LEVELS)}")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+(,[^,]+)*", options.cpu):
        _refuse(f"--cpu '{options.cpu}': give a model as QEMU names it, for example cortex-a72")
    _check_files(options)
    _check_trace(options)
    return options


def _check_trace(options: argparse.Namespace) -> None:
    if options.trace is None:
        return
    if options.recorder == "off":
        _refuse("--trace and --recorder off do not go together: there would be nothing to write")
    path = Path(options.trace).resolve()
    if len(str(path)) > 500:
        _refuse(f"--trace {options.trace}: the path is too long for semihosting, 500 bytes is the most")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        _refuse(f"--trace {options.trace}: cannot be written there")
    options.trace = path


def _check_files(options: argparse.Namespace) -> None:
    options.default_guest = not (options.kernel or options.firmware or options.vm)
    options.default_initrd = options.initrd == "default" or (options.default_guest and options.initrd is None)
    for name in ("kernel", "firmware"):
        value = getattr(options, name)
        if value is not None:
            path = _readable(f"--{name}", value)
            setattr(options, name, path)
            with open(path, "rb") as file:
                _refuse_wrong_format(f"--{name}", path, file.read(0x206))
    if options.firmware and options.firmware.stat().st_size > MAX_FIRMWARE_BYTES:
        _refuse(f"--firmware {options.firmware}: larger than the flash ({MAX_FIRMWARE_BYTES >> 20} MiB)")
    if options.initrd is not None and not options.default_initrd:
        options.initrd = _readable("--initrd", options.initrd)
    options.vm = [_readable("--vm", name) for name in options.vm or []]
    if options.kernel:
        check_fits(options.kernel, options.initrd if isinstance(options.initrd, Path) else None, options.memory or 512)


def bootargs(options: argparse.Namespace) -> str:
    words = [DEFAULT_BOOTARGS] if options.default_guest else []
    return " ".join(words + (options.append or []))
