# SPDX-License-Identifier: Apache-2.0
"""Reads and writes flattened device trees (version 17), as much as bundles need. Source: Devicetree Specification,
"Flattened Devicetree (DTB) Format"."""
import struct
from dataclasses import dataclass, field

MAGIC = 0xD00DFEED
VERSION, LAST_COMPATIBLE = 17, 16
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9
HEADER = struct.Struct(">10I")


class BadTree(ValueError):
    """Not a device-tree blob, or a damaged one."""


@dataclass
class Node:
    name: str = ""
    properties: dict[str, bytes] = field(default_factory=dict)
    children: dict[str, "Node"] = field(default_factory=dict)

    def string(self, name: str) -> str | None:
        value = self.properties.get(name)
        return None if value is None else value.rstrip(b"\0").decode(errors="replace")

    def cells(self, name: str) -> list[int] | None:
        value = self.properties.get(name)
        if value is None or len(value) % 4:
            return None
        return list(struct.unpack(f">{len(value) // 4}I", value))

    def set_string(self, name: str, value: str) -> None:
        self.properties[name] = value.encode() + b"\0"

    def set_cells(self, name: str, values: list[int]) -> None:
        self.properties[name] = struct.pack(f">{len(values)}I", *values)

    def child(self, name: str) -> "Node":
        return self.children.setdefault(name, Node(name))


def parse(blob: bytes) -> Node:
    try:
        return _parse(blob)
    except (struct.error, IndexError, ValueError) as error:
        raise BadTree(str(error)) from None


def _parse(blob: bytes) -> Node:
    magic, _, structure, strings, *_ = HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise BadTree(f"the magic number is {magic:#x}")

    def text(at: int) -> str:
        return blob[at:blob.index(b"\0", at)].decode(errors="replace")

    open_nodes = [Node()]  # the first one holds the root
    at = structure
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN_NODE:
            name = text(at)
            at += _aligned(len(name.encode()) + 1)
            open_nodes.append(open_nodes[-1].child(name))
        elif token == END_NODE:
            open_nodes.pop()
        elif token == PROP:
            length, name_at = struct.unpack_from(">II", blob, at)
            open_nodes[-1].properties[text(strings + name_at)] = blob[at + 8:at + 8 + length]
            at += 8 + _aligned(length)
        elif token == END:
            return open_nodes[0].children[""] if len(open_nodes) == 1 else _bad("a node is not closed")
        elif token != NOP:
            _bad(f"token {token} at offset {at - 4}")


def _bad(why: str):
    raise BadTree(why)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def write(root: Node) -> bytes:
    names: dict[str, int] = {}
    strings = bytearray()
    parts: list[bytes] = []

    def name_offset(name: str) -> int:
        if name not in names:
            names[name] = len(strings)
            strings.extend(name.encode() + b"\0")
        return names[name]

    def put(node: Node) -> None:
        name = node.name.encode() + b"\0"
        parts.append(struct.pack(">I", BEGIN_NODE) + name + bytes(-len(name) % 4))
        for key, value in node.properties.items():
            parts.append(struct.pack(">III", PROP, len(value), name_offset(key)))
            parts.append(value + bytes(-len(value) % 4))
        for child in node.children.values():
            put(child)
        parts.append(struct.pack(">I", END_NODE))

    put(root)
    structure = b"".join(parts) + struct.pack(">I", END)
    reservations = bytes(16)  # the map's end
    at_structure = HEADER.size + len(reservations)
    at_strings = at_structure + len(structure)
    header = HEADER.pack(MAGIC, at_strings + len(strings), at_structure, at_strings, HEADER.size, VERSION,
                         LAST_COMPATIBLE, 0, len(strings), len(structure))
    return header + reservations + structure + bytes(strings)
