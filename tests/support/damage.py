"""Files damaged and cut on purpose, the same way for the same seed."""

from __future__ import annotations

import os
import random
import sqlite3
import struct
import sys
from contextlib import closing
from pathlib import Path

PAGE = 4096


def seed_of(name: str, default: int) -> int:
    """The seed of a test: as given in the environment, for trying a failure again."""
    seed = int(os.environ.get(name, default))
    sys.stderr.write(f"{name}={seed}\n")
    return seed


def overwrite(path: Path, chance: random.Random, blocks: int, *, head: bool = False) -> list[int]:
    """Overwrite blocks of a page's length at random places; returns where.

    Args:
        path: the file.
        chance: decides.
        blocks: how many.
        head: whether the first page is one of them.
    """
    size = path.stat().st_size
    places = [chance.randrange(max(1, size - PAGE)) for _ in range(blocks)]
    if head:
        places[0] = 0
    with path.open("r+b") as file:
        for place in places:
            file.seek(place)
            file.write(chance.randbytes(min(PAGE, size - place)))
    return places


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a file."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return [tuple(r) for r in connection.execute("PRAGMA integrity_check")] == [("ok",)]
    except sqlite3.DatabaseError:
        return False


def whole_commits(wal: bytes) -> list[tuple[int, int]]:
    """The commits of a WAL: end of each in bytes, and its frame's number.

    Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. Frames of an earlier
    round of the file, which have another salt, end the list.
    """
    if len(wal) < 32:
        return []
    size = struct.unpack(">I", wal[8:12])[0]
    salt = wal[16:24]
    found = []
    for number, begin in enumerate(range(32, len(wal) - size - 23, 24 + size), start=1):
        if wal[begin + 8 : begin + 16] != salt:
            break
        if struct.unpack(">I", wal[begin + 4 : begin + 8])[0]:
            found.append((begin + 24 + size, number))
    return found
