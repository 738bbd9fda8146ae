# SPDX-License-Identifier: Apache-2.0
"""The default guest's initramfs: busybox and the files of guests/linux-initramfs, as a cpio archive ("newc", see the
kernel's "initramfs buffer format"). The same input gives the same bytes: sorted names, owner root, time 0."""
import gzip
import hashlib
import stat
from pathlib import Path, PurePosixPath

from . import paths, ui

SOURCE = paths.ROOT / "guests" / "linux-initramfs"
DIRECTORIES = ["bin", "dev", "etc", "proc", "root", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin"]
CONSOLE = (5, 1)  # /dev/console: the kernel opens it for PID 1 before devtmpfs is mounted


def _entry(name: str, mode: int, data: bytes = b"", inode: int = 0, device: tuple[int, int] = (0, 0)) -> bytes:
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = [inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def archive(busybox: bytes, files: dict[str, bytes]) -> bytes:
    """`files`: name in the archive -> content, all executable. Their folders come along."""
    entries = {name: (stat.S_IFDIR | 0o755, b"", (0, 0)) for name in DIRECTORIES}
    entries["dev/console"] = (stat.S_IFCHR | 0o600, b"", CONSOLE)
    entries["bin/busybox"] = (stat.S_IFREG | 0o755, busybox, (0, 0))
    entries["bin/sh"] = (stat.S_IFLNK | 0o777, b"busybox", (0, 0))
    entries["init"] = (stat.S_IFLNK | 0o777, b"bin/busybox", (0, 0))
    for name, data in files.items():
        for folder in list(PurePosixPath(name).parents)[:-1]:
            entries.setdefault(str(folder), (stat.S_IFDIR | 0o755, b"", (0, 0)))
        entries[name] = (stat.S_IFREG | 0o755, data, (0, 0))
    return _archive(entries)


def appendix(files: dict[str, bytes]) -> bytes:
    """An archive to be put behind another one: the kernel unpacks both. `files`: as above; their folders exist."""
    return _archive({name: (stat.S_IFREG | 0o755, data, (0, 0)) for name, data in files.items()})


def _archive(entries: dict[str, tuple[int, bytes, tuple[int, int]]]) -> bytes:
    parts = [_entry(name, mode, data, inode, device)
             for inode, (name, (mode, data, device)) in enumerate(sorted(entries.items()), start=1)]
    return b"".join(parts) + _entry("TRAILER!!!", 0)


def _source_files() -> dict[str, bytes]:
    return {str(path.relative_to(SOURCE)): path.read_bytes() for path in sorted(SOURCE.rglob("*")) if path.is_file()}


def ensure() -> None:
    files = _source_files()
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name, data in files.items():
        digest.update(name.encode() + b"\0" + data + b"\0")
    busybox = paths.GUEST_BUSYBOX.stat()
    digest.update(f"{busybox.st_size} {busybox.st_mtime_ns}".encode())
    stamp = paths.GUEST_INITRAMFS.with_suffix(".stamp")
    if paths.GUEST_INITRAMFS.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    with ui.Step("making the guest's initramfs"):
        image = gzip.compress(archive(paths.GUEST_BUSYBOX.read_bytes(), files), compresslevel=9, mtime=0)
        fresh = paths.GUEST_INITRAMFS.with_suffix(".new")
        fresh.write_bytes(image)
        fresh.replace(paths.GUEST_INITRAMFS)
        stamp.write_text(digest.hexdigest())
