"""The backups of one box in a folder: listed, added, rotated.

In `<folder>/<box>`: `000017-20261123T023000Z.backup` is a backup, see manifest.py; `parts/ab/abcd…`
are parts of files, shared by all of them; `in-work` is there while one is being made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.backup import manifest
from services.backup.chunks import NEW, Chunks
from services.backup.manifest import DamagedManifest, Head, Manifest
from services.backup.seal import Lock, Seal
from services.runtime.errors import Rejected

ENDING = ".backup"
PARTS = "parts"
_IN_WORK = "in-work"
_NAME = re.compile(r"(\d{6,})-\d{8}T\d{6}Z\.backup\Z")
_BOX = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A backup in the folder."""

    path: Path
    """Its file."""
    number: int
    """Which one of this box: clocks go wrong, this only up."""
    head: Head | None
    """What can be known without its key; None where it is damaged."""
    fault: str = ""
    """What is wrong with it."""


class Vault:
    """The folder of one box; errors of the disk are OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def box_name(host: str) -> str:
        """Return a name for a computer's folder that every file system takes."""
        return _BOX.sub("-", host).strip("-") or "andon"

    @classmethod
    def all_in(cls, folder: Path) -> list[Vault]:
        """Return the vaults in a folder, or the folder itself where it is one."""
        if not folder.is_dir():
            return []
        if (folder / PARTS).is_dir():
            return [cls(folder)]
        return [cls(path) for path in sorted(folder.iterdir()) if (path / PARTS).is_dir()]

    def prepare(self) -> None:
        """Make the folder; the one above it must be there."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / PARTS).mkdir(exist_ok=True)

    def backups(self) -> list[Backup]:
        """Return the backups, oldest first.

        Raises:
            Fatal: one is of a newer Andon.
        """
        found = []
        for path in self.folder.iterdir():
            if match := _NAME.match(path.name):
                head, fault = None, ""
                try:
                    head = manifest.read_head(path.read_bytes(), str(path))
                except DamagedManifest as error:
                    fault = error.reason
                found.append(Backup(path=path, number=int(match[1]), head=head, fault=fault))
        return sorted(found, key=lambda one: one.number)

    def lock_of(self) -> tuple[bool, Lock | None]:
        """Return whether there is a backup, and with which lock the newest is closed."""
        for one in reversed(self.backups()):
            if one.head is not None:
                return True, one.head.lock
        return False, None

    def chunks(self, seal: Seal) -> Chunks:
        """Return the parts."""
        return Chunks(self.folder / PARTS, seal)

    def read(self, backup: Backup, seal: Seal) -> Manifest:
        """Return the list of a backup; raises as `manifest.decode`."""
        return manifest.decode(backup.path.read_bytes(), seal, str(backup.path))[1]

    @contextmanager
    def working(self) -> Iterator[bool]:
        """Hold the folder while a backup is made; yields whether one before was cut off.

        Raises:
            Rejected: another one is being made.
        """
        mark = self.folder / _IN_WORK
        cut_off = mark.exists()
        with mark.open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Rejected(
                    "back up", f"another backup to {self.folder} is being made", "wait for its end"
                ) from error
            except OSError:
                pass  # some shares know no locks: then nobody keeps two people apart
            os.fsync(file.fileno())
            yield cut_off
            mark.unlink()

    def publish(self, number: int, stamp: str, data: bytes) -> Path:
        """Write a backup's file: from now on there is one."""
        path = self.folder / f"{number:06}-{stamp}{ENDING}"
        new = path.with_name(NEW + path.name)
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        self.settle()
        return path

    def settle(self) -> None:
        """Have the names on the disk: then a stick may be pulled out."""
        for folder in (self.folder, self.folder / PARTS):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno != errno.EINVAL:  # some shares know it of files only
                    raise
            finally:
                os.close(descriptor)

    def tidy(self, seal: Seal, chunks: Chunks, also: set[str] | None = None) -> int:
        """Delete parts that no backup needs; return bytes freed.

        Args:
            seal: opens the lists.
            chunks: the parts.
            also: parts of a backup that is being made.

        Raises:
            Rejected: a list cannot be opened: nobody knows then what it needs.
        """
        needed = set(also or ())
        for one in self.backups():
            if one.head is not None:
                for entry in self.read(one, seal).entries:
                    needed.update(entry.chunks)
        for path in self.folder.glob(f"{NEW}*"):
            path.unlink()
        return chunks.sweep(needed)


def outdated(backups: list[Backup], keep: int) -> list[Backup]:
    """Return those that go, of backups from oldest to newest: all but the newest whole ones.

    A damaged one goes with those that are older than what is kept; it counts for nothing.
    """
    whole = [one for one in backups if one.head is not None]
    if not whole:
        return []
    first = whole[-keep].number if len(whole) > keep else whole[0].number
    return [one for one in backups if one.number < first]
