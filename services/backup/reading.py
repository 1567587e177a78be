"""Files as they are read for a backup: in parts, with their owners."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from services.backup.chunks import CHUNK
from services.backup.contents import Source
from services.runtime.errors import Retryable


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
