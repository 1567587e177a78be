"""One look at the inbox on the disk. Blocks; run it in a thread."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from services.ingest.folders import NOTE, ignored
from services.runtime.watching import Look

DEEPEST = 16
"""Folders inside one another."""


@dataclass(slots=True)
class Seen:
    """What is there."""

    files: dict[str, Look] = field(default_factory=dict)
    """By path inside the inbox, parts joined by `/`."""
    notes: dict[str, Look] = field(default_factory=dict)
    """Folders with a note."""
    folders: set[str] = field(default_factory=set)
    """Those that were looked at, without the inbox itself."""
    mounts: set[str] = field(default_factory=set)
    """Those of them where another file system begins."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Folders that could not be read, and why."""

    def hides(self, path: str) -> bool:
        """Return whether a path is in a folder that could not be read."""
        return any(not folder or path.startswith(f"{folder}/") for folder in self.unreadable)


def scan(root: Path) -> Seen:
    """Return the files of a folder and those below it; links are not followed."""
    seen = Seen()
    folders = [("", 0, 0)]
    while folders:
        folder, depth, above = folders.pop()
        try:
            device = (root / folder).stat().st_dev
            _enter(seen, folder, mounted=device != above)
            for entry in _entries(root / folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if depth < DEEPEST and not ignored(entry.name):
                        folders.append((path, depth + 1, device))
                elif entry.is_file(follow_symlinks=False):
                    # It may be deleted just now; the others of its folder are there.
                    with contextlib.suppress(FileNotFoundError):
                        _note(seen, folder, path, entry)
        except FileNotFoundError:
            # Deleted while we looked; the inbox itself may be a share that is away.
            if not folder:
                seen.unreadable[folder] = "it is not there"
        except OSError as error:
            seen.unreadable[folder] = error.strerror or str(error)
    return seen


def _enter(seen: Seen, folder: str, *, mounted: bool) -> None:
    if folder:  # the inbox itself has a mark
        seen.folders.add(folder)
        if mounted:
            seen.mounts.add(folder)


def _note(seen: Seen, folder: str, path: str, entry: os.DirEntry[str]) -> None:
    if entry.name == NOTE:
        seen.notes[folder] = _look(entry)
    elif not ignored(entry.name):
        seen.files[path] = _look(entry)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _look(entry: os.DirEntry[str]) -> Look:
    status = entry.stat(follow_symlinks=False)
    return _look_of(status)


def _look_of(status: os.stat_result) -> Look:
    return Look(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def look_at(path: Path) -> Look | None:
    """Return how a file is now, None where it is not there."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return _look_of(status)


def written_now(path: Path) -> bool | None:
    """Return whether a process has a file open for writing; None where that cannot be known.

    By asking for a read lease (fcntl(2)), which the kernel grants only while nobody writes. It
    wants a local disk, and a file of our own user's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Whoever opens it for writing before we let go has this sent to us: one that is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False
