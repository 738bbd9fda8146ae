# SPDX-License-Identifier: Apache-2.0
"""Bundles: the device-tree blob that tells the hypervisor its VMs (docs/bundle.md). Made from options, or from files."""
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import fdt, ui

COMPATIBLE = "arm-vcpu,bundle"
VM_COMPATIBLE = "arm-vcpu,vm"
LOG_LEVELS = ["error", "warn", "info", "debug", "trace"]
IMAGE_REFERENCES = ["kernel", "firmware", "ramdisk"]
MIB = 1 << 20
LIMITS = {"cpus": (1, 8), "memory-mib": (2, 255 << 10)}  # as the hypervisor has them
BAD_INPUT = 2


@dataclass
class SingleVm:
    """The bundle of the command line's options: one VM."""
    kernel: Path | None  # one of kernel and firmware
    firmware: Path | None
    initrd: Path | None
    bootargs: str
    cpus: int
    memory_mib: int
    log_level: str
    recorder: str = "on"
    trace_file: Path | None = None
    vectors: str | None = None  # None: the hypervisor's default
    pmu: str = "on"
    smc_allow: list[tuple[int, int]] = field(default_factory=list)
    sve_bits: int | None = None  # None: as long as the CPU has
    mte: str = "off"
    gic: int = 3


@dataclass
class Totals:
    """What the machine under the hypervisor must have for a bundle."""
    cpus: int  # when nobody asks for less: vCPUs may share them
    memory_mib: int
    least_cpus: int = 1
    mte: bool = False  # memory for allocation tags


def quoted(text: str) -> str:
    """A dts string: quotes and backslashes escaped, all that is not printable ASCII as bytes."""
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif 0x20 <= byte < 0x7F:
            out.append(char)
        else:
            # Octal, because a hexadecimal escape could swallow the digit that follows.
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def _image(name: str, kind: str, file: Path) -> str:
    return (f'    {name} {{ data = /incbin/({quoted(str(file.resolve()))}); type = "{kind}"; arch = "arm64"; '
            'compression = "none"; };\n')


def source(vm: SingleVm) -> str:
    images, lines = "", []
    if vm.kernel:
        images += _image("kernel", "kernel", vm.kernel)
        lines.append('kernel = "kernel";')
    if vm.firmware:
        images += _image("firmware", "firmware", vm.firmware)
        lines.append('firmware = "firmware";')
    if vm.initrd:
        images += _image("initrd", "ramdisk", vm.initrd)
        lines.append('ramdisk = "initrd";')
    if vm.bootargs:
        lines.append(f"bootargs = {quoted(vm.bootargs)};")
    lines += [f"cpus = <{vm.cpus}>;", f"memory-mib = <{vm.memory_mib}>;", f"gic-version = <{vm.gic}>;",
              f'pmu = "{vm.pmu}";']
    if vm.smc_allow:
        lines.append("smc-allow = <" + " ".join(f"{n:#x}" for pair in vm.smc_allow for n in pair) + ">;")
    if vm.sve_bits is not None:
        lines.append(f"sve-bits = <{vm.sve_bits}>;")
    if vm.mte == "on":
        lines.append('mte = "on";')
    body = "".join(f"      {line}\n" for line in lines)
    trace = f"trace-file = {quoted(str(vm.trace_file))}; " if vm.trace_file else ""
    vectors = f'vectors = "{vm.vectors}"; ' if vm.vectors else ""
    return ("/dts-v1/;\n/ {\n"
            f'  compatible = "{COMPATIBLE}";\n  description = "made by ./x run";\n'
            f"  images {{\n{images}  }};\n"
            f'  vms {{\n    vm0 {{\n      compatible = "{VM_COMPATIBLE}";\n{body}    }};\n  }};\n'
            f'  hypervisor {{ log-level = "{vm.log_level}"; recorder = "{vm.recorder}"; {vectors}{trace}}};\n}};\n')


def compile_dts(dts: Path, dtb: Path) -> None:
    done = subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", str(dtb), str(dts)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["dtc says nothing more"]
        raise ui.Failure(f"{dts}: not a valid .dts: {lines[0]}", BAD_INPUT)


def load(dtb: bytes, file: Path | str) -> fdt.Node:
    """Parses a bundle and checks what the launcher relies on. The hypervisor checks all the rest."""
    def refuse(why: str):
        raise ui.Failure(f"{file}: {why} (docs/bundle.md has the format)", BAD_INPUT)

    try:
        root = fdt.parse(dtb)
    except fdt.BadTree as error:
        refuse(f"not a device-tree blob: {error}")
    if root.string("compatible") != COMPATIBLE:
        refuse(f'not a bundle: the root node needs compatible = "{COMPATIBLE}"')
    vms = root.child("vms").children
    if not vms:
        refuse("a bundle without VMs: /vms needs one node per VM")
    for name, vm in vms.items():
        for key in ("cpus", "memory-mib"):
            if len(vm.cells(key) or []) != 1:
                refuse(f"/vms/{name} needs {key} = <N>;")
        for key, (least, most) in LIMITS.items():
            if not least <= vm.cells(key)[0] <= most:
                refuse(f"/vms/{name}/{key} is {vm.cells(key)[0]}: give {least} to {most}")
        wanted = vm.cells("affinity")
        if wanted is not None and len(wanted) != vm.cells("cpus")[0]:
            refuse(f"/vms/{name}/affinity must name one CPU per vCPU")
        for key in IMAGE_REFERENCES:
            image = vm.string(key)
            if image is not None and image not in root.child("images").children:
                refuse(f'/vms/{name}/{key} names the image "{image}", and /images has no such node')
    return root


def _free_name(wanted: str, used) -> str:
    """`wanted` when it is free; otherwise the same stem with the next number."""
    if wanted not in used:
        return wanted
    stem = re.sub(r"-?\d+$", "", wanted)
    dash = "" if wanted != stem and not wanted[len(stem):].startswith("-") else "-"
    number = 1
    while f"{stem}{dash}{number}" in used:
        number += 1
    return f"{stem}{dash}{number}"


def merge(roots: list[fdt.Node]) -> fdt.Node:
    """One bundle with the VMs of all. Equal images are kept once; VMs and images whose names clash are renamed. The
    /hypervisor node is the first file's that has one."""
    merged = fdt.Node()
    merged.set_string("compatible", COMPATIBLE)
    images, vms = merged.child("images"), merged.child("vms")
    for root in roots:
        renamed = {}
        for name, image in root.child("images").children.items():
            same = next((n for n, i in images.children.items() if i.properties == image.properties), None)
            renamed[name] = image.name = same or _free_name(name, images.children)
            images.children[image.name] = image
        for name, vm in root.child("vms").children.items():
            for key in IMAGE_REFERENCES:
                if key in vm.properties:
                    vm.set_string(key, renamed[vm.string(key)])
            vm.name = _free_name(name, vms.children)
            vms.children[vm.name] = vm
        if "hypervisor" in root.children:
            merged.children.setdefault("hypervisor", root.children["hypervisor"])
    return merged


def totals(root: fdt.Node, most_cpus: int) -> Totals:
    """A CPU for each vCPU, `most_cpus` at most, and all that an affinity names. The hypervisor places the vCPUs."""
    vms = root.child("vms").children.values()
    named = [cpu for vm in vms for cpu in vm.cells("affinity") or []]
    return Totals(cpus=max(min(sum(vm.cells("cpus")[0] for vm in vms), most_cpus), max(named, default=0) + 1),
                  least_cpus=max(named, default=0) + 1,
                  memory_mib=sum(vm.cells("memory-mib")[0] for vm in vms),
                  mte=any(vm.string("mte") == "on" for vm in vms))
