"""The folder in the data folder where databases are copied to, one after the other.

The data folder is another user's where we are root, and what lies in it he may rename, or put a
link in its place. So the folder and the files in it are known by their descriptors. SQLite takes
nothing but a path: it is given a file that is there already, and nothing is written before it was
seen to have opened that one and no other.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

from services.runtime import foreign

PREFIX = ".backup-"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """A folder that is gone when it is closed."""

    def __init__(self, data: Path) -> None:
        """Make it. Raises OSError."""
        self._name = f"{PREFIX}{secrets.token_hex(8)}"
        self.folder = data / self._name
        with contextlib.ExitStack() as opened:
            self._data = opened.enter_context(foreign.opened(data))
            os.mkdir(self._name, 0o700, dir_fd=self._data)
            self._inside = opened.enter_context(foreign.opened(self._name, self._data))
            if os.fstat(self._inside).st_uid != os.geteuid():
                raise foreign.another(self.folder)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Delete it. Raises OSError."""
        with self._opened:
            for name in os.listdir(self._inside):  # noqa: PTH208  (a descriptor is no path)
                self.remove(name)
            # Renamed by somebody else it is empty, and his.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.rmdir(self._name, dir_fd=self._data)

    def database(self, name: str) -> sqlite3.Connection:
        """Make an empty database that is written to its own file alone: it keeps no journal.

        Raises:
            OSError: the file cannot be made, or another one lies in its place.
            sqlite3.DatabaseError: it cannot be opened.
        """
        path = self.folder / name
        with os.fdopen(foreign.create(name, self._inside), "rb") as file:
            made = os.fstat(file.fileno())
            before = _opened()
            database = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)
            if not any(os.path.samestat(made, os.fstat(one)) for one in _opened() - before):
                database.close()
                raise foreign.another(path)
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        return database

    def open(self, name: str) -> io.FileIO:
        """Open a file of it to be read. Raises OSError."""
        return io.FileIO(os.open(name, _READ, dir_fd=self._inside))

    def remove(self, name: str) -> None:
        """Delete a file of it. Raises OSError."""
        os.unlink(name, dir_fd=self._inside)


def clear(data: Path) -> None:
    """Delete what a backup that was cut off left in the data folder. Raises OSError."""
    for left in data.glob(f"{PREFIX}*"):
        if left.is_symlink() or not left.is_dir():
            left.unlink()
        else:
            shutil.rmtree(left)


def _opened() -> set[int]:
    """Return the descriptors of files that are open, and stay so."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (the numbers alone)
        with contextlib.suppress(OSError):  # that of the listing itself
            os.fstat(int(name))
            found.add(int(name))
    return found
