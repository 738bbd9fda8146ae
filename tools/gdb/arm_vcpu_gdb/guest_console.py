# SPDX-License-Identifier: Apache-2.0
"""The guest's console from gdb: QEMU writes it to a file, and takes keys at a socket."""
import socket
import threading

import gdb

from .machine import NotReady

_log = ""
_socket_path = ""
_connection: socket.socket | None = None


def use(words: list[str]) -> None:
    global _log, _socket_path
    if len(words) != 2:
        raise NotReady("usage: arm-vcpu console LOG SOCKET")
    _log, _socket_path = words


def _drain(connection: socket.socket) -> None:
    """What the guest writes is in the file already, and QEMU waits for a reader that does not read."""
    while connection.recv(65536):
        pass


def send(text: str) -> None:
    global _connection
    if not _socket_path:
        raise NotReady("type: this session has no console: start it with ./x gdb")
    if _connection is None:
        _connection = socket.socket(socket.AF_UNIX)
        _connection.connect(_socket_path)
        threading.Thread(target=_drain, args=(_connection,), daemon=True).start()
    _connection.sendall(text.encode().decode("unicode_escape").encode("latin-1"))


class ConsoleCommand(gdb.Command):
    """console [N]: the last N lines (default 20) that the machine's console has shown."""

    def __init__(self):
        super().__init__("console", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        if not _log:
            raise NotReady("console: this session has none: start it with ./x gdb")
        with open(_log, encoding="utf-8", errors="replace") as file:
            lines = file.read().replace("\r", "").splitlines()
        for line in lines[-int(argument or 20):]:
            gdb.write(line + "\n")


class TypeCommand(gdb.Command):
    """type TEXT: types on the machine's console; \\n is Enter. The guest sees it when it runs."""

    def __init__(self):
        super().__init__("type", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        send(argument)
