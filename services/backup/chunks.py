"""A folder of parts of files, each named by what it holds: what is there is not copied again.

Parts, not files: a stick with FAT takes no file of 4 GB, and of a database that grew most parts
are the same. Written so that a name that is there stands for all of its bytes on the disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from services.backup.seal import NotOpened, Seal

CHUNK = 2 * 2**20
"""Bytes of a part at most."""
NEW = ".new-"
BAD = ".bad"
_NAME = re.compile(r"[0-9a-f]{64}\Z")


class Broken(Exception):
    """A part is missing or is not what its name says."""


class Chunks:
    """The folder; one process writes to it."""

    def __init__(self, folder: Path, seal: Seal) -> None:
        """Look at what is there. Raises OSError."""
        self._folder = folder
        self._seal = seal
        self._sizes = {path.name: path.stat().st_size for path in self._all()}
        self.written = 0
        """Bytes written by this object."""

    def _all(self) -> Iterator[Path]:
        for fan in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            yield from (path for path in fan.iterdir() if _NAME.match(path.name))

    def path(self, name: str) -> Path:
        """Return where a part lies."""
        return self._folder / name[:2] / name

    def holds(self, name: str, size: int) -> bool:
        """Return whether a part is there, of so many bytes before it was closed."""
        return self._sizes.get(name) == size + self._seal.overhead

    def put(self, data: bytes) -> str:
        """Keep bytes; return their name. Raises OSError: nothing of them is left then."""
        name = self._seal.name(data)
        if self.holds(name, len(data)):
            return name
        closed = self._seal.close(data, name.encode())
        path = self.path(name)
        new = path.with_name(NEW + name[:16])
        try:
            if not path.parent.is_dir():
                # Not its parents: where those are gone, a stick was pulled out.
                path.parent.mkdir()
            with new.open("wb") as file:
                file.write(closed)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            _forget(new)
            raise
        self._sizes[name] = len(closed)
        self.written += len(closed)
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes of a part.

        Raises:
            Broken: it is missing, cannot be read, or was changed.
        """
        path = self.path(name)
        try:
            closed = path.read_bytes()
        except OSError as error:
            raise Broken(f"{path}: {error.strerror}") from error
        try:
            data = self._seal.open(closed, name.encode())
        except NotOpened as error:
            raise Broken(f"{path}: its content was changed") from error
        if self._seal.name(data) != name:
            raise Broken(f"{path}: its content was changed")
        return data

    def set_aside(self, name: str) -> None:
        """Give a broken part another name, so that the next backup writes it anew."""
        path = self.path(name)
        if path.exists():
            path.replace(path.with_name(name + BAD))
        self._sizes.pop(name, None)

    def sweep(self, needed: Collection[str]) -> int:
        """Delete what nobody needs, and what was never finished; return bytes freed.

        Raises OSError.
        """
        freed = 0
        for fan in list(self._folder.iterdir()) if self._folder.is_dir() else ():
            for path in list(fan.iterdir()):
                if path.name not in needed:
                    freed += path.stat().st_size
                    path.unlink()
                    self._sizes.pop(path.name, None)
        return freed


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the disk is gone, and the file with it; why, is being told
