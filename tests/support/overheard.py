"""The process that readers are forked from, and they, overheard: what they ask Python for.

`python -m tests.support.overheard PARENT IDLE_S` is services.ingest.zygote with an audit hook that
every fork has from it, before the one by which a reader is refused. A reader keeps no file open and
may open none: what it asks of the network goes into memory that it shares with who listens.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.ingest import partition, readers, sandbox, zygote

_NETWORK = ("socket.", "urllib.", "http.client.", "ftplib.", "smtplib.", "poplib.", "imaplib.")
_NOTES = "OVERHEARD_NOTES"
_DELIBERATE = "OVERHEARD_DELIBERATE"
_ROOM = 2**16
"""Bytes of notes."""


class Notes:
    """Words that several processes note, in a file they all have in memory."""

    def __init__(self, path: Path) -> None:
        """Share it; it is made where it is not there."""
        with path.open("a+b") as file:
            file.truncate(_ROOM)
            self._memory = mmap.mmap(file.fileno(), _ROOM)

    def add(self, word: str) -> None:
        """Note a word; what there is no room for any more is not."""
        self._memory.seek(self._memory[:].find(b"\0"))
        with contextlib.suppress(ValueError):
            self._memory.write(f"{word}\n".encode())

    def words(self) -> set[str]:
        """Return what was noted."""
        return set(self._memory[:].rstrip(b"\0").decode().split())


@contextlib.contextmanager
def overheard(path: Path, *, deliberate: bool) -> Iterator[Notes]:
    """Have all that is started by `Readers` noted; yield the notes.

    Args:
        path: The file for them.
        deliberate: Whether readers shall go outside, so that there is something to note.
    """
    notes = Notes(path)
    module, environment = readers._MODULE, dict(sandbox._ENVIRONMENT)
    readers._MODULE = __spec__.name
    sandbox._ENVIRONMENT[_NOTES] = str(path)
    if deliberate:
        sandbox._ENVIRONMENT[_DELIBERATE] = "1"
    try:
        yield notes
    finally:
        readers._MODULE = module
        sandbox._ENVIRONMENT.clear()
        sandbox._ENVIRONMENT.update(environment)


def _go_outside() -> None:
    """Have the reader do what none does, and hush it up as a library would.

    It has no socket; to connect none is refused by the kernel, but is in a trace.
    """
    read = partition.read
    address = struct.pack("=H", socket.AF_INET) + struct.pack(">H4B8x", 80, 192, 0, 2, 2)

    def outside(*arguments: Any) -> Any:
        with contextlib.suppress(OSError):
            socket.create_connection(("192.0.2.1", 80), 1).close()
        ctypes.CDLL(None).connect(-1, address, len(address))  # behind Python's back
        return read(*arguments)

    partition.read = outside


def _listen(notes: Notes) -> None:
    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith(_NETWORK):
            return
        if event == "socket.__new__" and arguments[1] == -1:
            return  # made out of what is open already, as the one that orders come over
        notes.add(event)

    sys.addaudithook(note)


if __name__ == "__main__":
    _listen(Notes(Path(os.environ[_NOTES])))
    if _DELIBERATE in os.environ:
        _go_outside()
    sys.exit(zygote.main(int(sys.argv[1]), float(sys.argv[2])))
