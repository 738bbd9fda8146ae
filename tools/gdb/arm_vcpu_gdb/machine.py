# SPDX-License-Identifier: Apache-2.0
"""The stopped machine: physical memory, each CPU's registers, and where the hypervisor's image is. Everything else here
reads it through these."""
import re
import struct
from contextlib import contextmanager

import gdb

from .elf import Elf
from .walks import Unreadable

IMAGE_MAGIC = b"ARM\x64"
BLOCK = 2 << 20
# Names of QEMU's gdb stub where they are not the architecture's: it lists a register that A32 shares under that name.
STUB_NAMES = {"SCTLR_EL1": "SCTLR", "CPACR_EL1": "CPACR", "CNTKCTL_EL1": "CNTKCTL", "VBAR_EL1": "VBAR",
              "CSSELR_EL1": "CSSELR", "AMAIR_EL1": "AMAIR0"}
VECTORS = ["arm_vcpu_vectors", "hv_vectors", "hv_early_vectors"]


class NotReady(gdb.GdbError):
    """What a command needs is not there (yet): gdb prints the text, without a traceback."""


class Image:
    """The hypervisor's ELF file, and how far from its link address it runs."""

    def __init__(self):
        self.elf: Elf | None = None
        self.base: int | None = None
        self.size = 0

    def use(self, file: str) -> None:
        self.elf = Elf(file)
        self.base = None
        self.size = self.elf.address("hv_image_end")

    def contains(self, address: int) -> bool:
        return self.base is not None and self.base <= address < self.base + self.size


image = Image()
_depth = 0


@contextmanager
def physical():
    """Inside, gdb reads physical memory: the hypervisor is identity mapped, so its objects are seen whatever a CPU does.
    gdb's frames are made anew behind it: they must not keep what they read in the other space."""
    global _depth
    if _depth:
        yield
        return
    level = gdb.selected_frame().level() if gdb.selected_thread() else 0
    thread = gdb.selected_thread()
    _set_physical(True)
    _depth = 1
    try:
        yield
    finally:
        _depth = 0
        if gdb.selected_thread() is not None:
            if thread is not None and thread.is_valid() and gdb.selected_thread().num != thread.num:
                thread.switch()
            _set_physical(False)
            if level:
                gdb.execute(f"frame level {level}", to_string=True)


def _set_physical(on: bool) -> None:
    answer = gdb.execute(f"maintenance packet Qqemu.PhyMemMode:{int(on)}", to_string=True)
    if '"OK"' not in answer:
        raise NotReady("this target cannot switch to physical memory; QEMU's gdb stub can (Qqemu.PhyMemMode)")
    gdb.execute("maintenance flush dcache", to_string=True)
    gdb.execute("maintenance flush register-cache", to_string=True)


def read(address: int, count: int) -> bytes:
    """Physical memory."""
    with physical():
        try:
            return gdb.selected_inferior().read_memory(address, count).tobytes()
        except gdb.MemoryError:
            raise Unreadable(f"no memory at PA {address:#x}") from None


def read_u64(address: int) -> int:
    return struct.unpack("<Q", read(address, 8))[0]


def threads() -> list[gdb.InferiorThread]:
    """One a physical CPU, in QEMU's order."""
    return sorted(gdb.selected_inferior().threads(), key=lambda t: t.num)


@contextmanager
def on_thread(thread: gdb.InferiorThread):
    current = gdb.selected_thread()
    if current is None:
        raise NotReady("no machine is attached: target remote ... first")
    if current.num == thread.num:
        yield
        return
    thread.switch()
    try:
        yield
    finally:
        current.switch()


class Cpu:
    """The registers of one physical CPU, as QEMU shows them, read when they are asked for."""

    def __init__(self, thread: gdb.InferiorThread):
        self.thread = thread
        self._cache: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        if name not in self._cache:
            with on_thread(self.thread):
                frame = gdb.newest_frame()
                try:
                    value = frame.read_register(STUB_NAMES.get(name, name))
                except ValueError:
                    raise KeyError(name) from None
                self._cache[name] = int(value) & (1 << 64) - 1
        return self._cache[name]

    def has(self, name: str) -> bool:
        try:
            return self[name] is not None
        except KeyError:
            return False

    @property
    def el(self) -> int:
        return 0 if self["cpsr"] & 0x10 else self["cpsr"] >> 2 & 3

    @property
    def pc(self) -> int:
        return self["pc"]

    @property
    def halted(self) -> bool:
        """Waits in WFI, or is off."""
        return "halted" in (self.thread.details or "")

    @property
    def index(self) -> int | None:
        """The hypervisor's number for it; None before it has one."""
        pointer = self["TPIDR_EL2"]
        if not image.contains(pointer):
            return None
        offset = pointer - (image.base + image.elf.address("hv_per_cpu"))
        size = gdb.lookup_type("arm_vcpu::hv::PerCpu").sizeof
        return offset // size if offset % size == 0 else None


def cpus() -> list[Cpu]:
    return [Cpu(thread) for thread in threads()]


def cpu_by_index(index: int) -> Cpu:
    for cpu in cpus():
        if cpu.index == index:
            return cpu
    raise NotReady(f"no physical CPU has the number {index} yet")


def _is_image_at(base: int) -> bool:
    head = image.elf.bytes_at(0, 64)
    try:
        if read(base, 64) != head:
            return False
        note = image.elf.address("hv_build_id")
        return read(base + note, 36) == image.elf.bytes_at(note, 36)
    except (Unreadable, KeyError):
        return False


def locate() -> int:
    """The address that the image is loaded at; the file's header and its build ID are there, or it is refused.

    Of a machine that has not run, the PC is at the start of RAM, where QEMU has put its boot code; it loads an arm64
    Image at text_offset from there, and 2 MiB further when text_offset is within that boot code. Otherwise VBAR_EL2 is
    at one of the image's vector tables."""
    header = image.elf.bytes_at(0, 64)
    if header[56:60] != IMAGE_MAGIC:
        raise NotReady(f"{image.elf.file} does not begin with an arm64 Image header: not the hypervisor")
    text_offset, = struct.unpack_from("<Q", header, 8)
    candidates = []
    with physical():
        for cpu in cpus():
            candidates.append(cpu.pc + text_offset + (BLOCK if text_offset < 4096 else 0))
            for name in VECTORS:
                try:
                    candidates.append(cpu["VBAR_EL2"] - image.elf.address(name))
                except KeyError:
                    pass
        for base in candidates:
            if base % BLOCK == 0 and _is_image_at(base):
                return base
    raise NotReady(f"{image.elf.file} is not in this machine's memory (another build? its build ID is "
                   f"{image.elf.build_id().hex()[:12]})")


def attach_image(file: str) -> None:
    image.use(file)
    base = locate()
    gdb.execute(f"symbol-file {file} -o {base:#x}", to_string=True)
    image.base = base


def value(name: str) -> gdb.Value:
    """An object of the hypervisor, by its qualified name."""
    if image.base is None:
        raise NotReady("the hypervisor's symbols are not loaded: arm-vcpu attach ELF")
    try:
        return gdb.parse_and_eval(f"'{name}'")
    except gdb.error as error:
        raise NotReady(f"{name}: {error}") from None


def hypervisor_symbol(address: int) -> str:
    """"function+offset" of an address in the image, as gdb demangles it; "" outside."""
    if not image.contains(address):
        return ""
    found = image.elf.find(address - image.base)
    if found is None:
        return ""
    return demangle(found[0]).split("(")[0] + (f"+{found[1]:#x}" if found[1] else "")


def demangle(name: str) -> str:
    if not name.startswith("_Z"):
        return name
    return gdb.execute(f"demangle -l c++ -- {name}", to_string=True).strip()


# Accessors of the standard library's types, which have no printers in a freestanding program.
def optional(v: gdb.Value) -> gdb.Value | None:
    payload = v["_M_payload"]
    if "_M_engaged" not in [f.name for f in payload.type.fields()]:
        payload = payload[payload.type.fields()[0]] if payload.type.fields()[0].is_base_class else payload
    while "_M_engaged" not in [f.name for f in payload.type.strip_typedefs().fields()]:
        payload = payload.cast(payload.type.strip_typedefs().fields()[0].type)
    return payload["_M_payload"]["_M_value"] if bool(payload["_M_engaged"]) else None


def array(v: gdb.Value) -> gdb.Value:
    return v["_M_elems"]


def elements(v: gdb.Value) -> list[gdb.Value]:
    """All of a std::array, fetched at once."""
    items = v["_M_elems"]
    items.fetch_lazy()
    return [items[n] for n in range(items.type.strip_typedefs().range()[1] + 1)]


def atomic(v: gdb.Value) -> gdb.Value:
    while True:
        names = [f.name for f in v.type.strip_typedefs().fields()]
        if "_M_i" in names:
            return v["_M_i"]
        if "_M_base" in names:
            v = v["_M_base"]
            continue
        v = v.cast(v.type.strip_typedefs().fields()[0].type)


def span(v: gdb.Value) -> list[gdb.Value]:
    pointer, count = v["_M_ptr"], int(v["_M_extent"]["_M_extent_value"])
    return [pointer[n] for n in range(count)]


def string_view(v: gdb.Value) -> str:
    count = int(v["_M_len"])
    if count == 0 or count > 4096:
        return ""
    return read(int(v["_M_str"]), count).decode(errors="replace")


def enumerator(v: gdb.Value) -> str:
    """The name alone, or the number of a value without one."""
    name = str(v)
    return name.rsplit("::", 1)[-1] if re.fullmatch(r"[A-Za-z_][\w:]*", name) else str(int(v))


def enum_name(type_name: str, number: int) -> str:
    return enumerator(gdb.Value(number).cast(gdb.lookup_type(type_name)))
