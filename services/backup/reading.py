"""Files as they are read for a backup: in parts, with their owners."""

from __future__ import annotations

import errno
import grp
import io
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from services.backup.chunks import CHUNK
from services.backup.contents import Source
from services.runtime.errors import Retryable

_QUIET = os.O_NOFOLLOW | os.O_NONBLOCK
"""A pipe that nobody writes to would have us wait for ever."""


def slices(descriptor: int, path: Path) -> Iterator[bytes]:
    """Yield a file in parts.

    Raises:
        Retryable: it cannot be read.
    """
    while True:
        try:
            parts, left = [], CHUNK
            while left and (data := os.read(descriptor, left)):
                parts.append(data)
                left -= len(data)
        except OSError as error:
            raise Retryable(
                "back up", f"{path}: {error.strerror}", "look at the disk of the data folder"
            ) from error
        if parts:
            yield b"".join(parts)
        if left:
            return


def size(source: Source) -> int:
    """Return the bytes of a file, 0 where it is gone: that is told when it is to be read."""
    if source.text is not None:
        return len(source.text)
    try:
        return source.path.stat().st_size
    except OSError:
        return 0


def user(number: int) -> str:
    """Return the name of a user, empty where there is none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


def group(number: int) -> str:
    """Return the name of a group, empty where there is none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""


def opened(path: Path, *folders: Path | None) -> io.FileIO:
    """Open a file; only what lies where it seems to, or belongs to whom the data folder does.

    We may be root, and the folder another user's: a link of his must not have us read for him.

    Args:
        path: the file.
        folders: the data folder, and others where it may lie.

    Raises:
        OSError: it cannot be opened, is no file, or lies elsewhere.
    """
    file = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | _QUIET))
    status = os.fstat(file.fileno())
    real = Path(f"/proc/self/fd/{file.fileno()}").readlink()
    places = [one for one in folders if one]
    inside = any(real.is_relative_to(one.resolve()) for one in places)
    ours = status.st_uid == places[0].stat().st_uid
    if stat.S_ISREG(status.st_mode) and (inside or ours):
        return file
    file.close()
    raise PermissionError(errno.EPERM, "it is a link to what is not ours, or no file", str(path))
