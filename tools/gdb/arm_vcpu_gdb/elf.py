# SPDX-License-Identifier: Apache-2.0
"""Symbols of an ELF64 file by address, apart from gdb's own tables: a guest's addresses and the hypervisor's overlap, and
gdb has one address space. Pure Python, no gdb."""
import bisect
import struct
from pathlib import Path

STT_NOTYPE, STT_OBJECT, STT_FUNC = 0, 1, 2
SHT_SYMTAB, SHT_NOTE, SHT_NOBITS = 2, 7, 8
SHF_ALLOC = 2


class Elf:
    def __init__(self, file: str | Path):
        self.file = str(file)
        self.data = Path(file).read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{file}: not a little-endian 64-bit ELF file")
        offset, = struct.unpack_from("<Q", self.data, 40)
        size, count = struct.unpack_from("<HH", self.data, 58)
        # name, type, flags, addr, offset, size, link, info, align, entsize
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", self.data, offset + n * size) for n in range(count)]
        self.entry, = struct.unpack_from("<Q", self.data, 24)
        self._symbols: list[tuple[int, int, str]] | None = None

    def symbols(self) -> list[tuple[int, int, str]]:
        """(address, size, name) by address: functions, objects and untyped labels, without mapping symbols."""
        if self._symbols is None:
            found = []
            for section in self.sections:
                if section[1] != SHT_SYMTAB:
                    continue
                names = self.sections[section[6]][4]
                for name, info, _, index, value, size in struct.iter_unpack(
                        "<IBBHQQ", self.data[section[4]:section[4] + section[5]]):
                    if info & 15 > STT_FUNC or index in (0, 0xFFF1) or name == 0:
                        continue
                    end = self.data.index(b"\0", names + name)
                    text = self.data[names + name:end].decode(errors="replace")
                    if not text.startswith("$"):
                        found.append((value, size, text, info & 15))
            # Of several names of one address the last wins: a function's before a label's.
            found.sort(key=lambda s: (s[0], s[3] == STT_FUNC, s[1]))
            self._symbols = [s[:3] for s in found]
        return self._symbols

    def address(self, name: str) -> int:
        for value, _, text in self.symbols():
            if text == name:
                return value
        raise KeyError(name)

    def find(self, address: int) -> tuple[str, int] | None:
        """(symbol, offset) of a link-time address; None when no symbol covers it."""
        symbols = self.symbols()
        n = bisect.bisect_right(symbols, (address, 1 << 64, "")) - 1
        if n < 0:
            return None
        value, size, name = symbols[n]
        if size == 0:
            size = (symbols[n + 1][0] if n + 1 < len(symbols) else value + 4096) - value
        return (name, address - value) if address - value < size else None

    def build_id(self) -> bytes:
        for section in self.sections:
            if section[1] == SHT_NOTE:
                note = self.data[section[4]:section[4] + section[5]]
                name_size, size, kind = struct.unpack_from("<III", note)
                if kind == 3 and note[12:16] == b"GNU\0":
                    return note[12 + (name_size + 3 & ~3):][:size]
        return b""

    def bytes_at(self, address: int, count: int) -> bytes:
        for section in self.sections:
            if section[1] != SHT_NOBITS and section[2] & SHF_ALLOC and section[3] <= address < section[3] + section[5]:
                start = section[4] + address - section[3]
                return self.data[start:start + count]
        raise KeyError(hex(address))
