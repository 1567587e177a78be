"""The pages of an SQLite file that must be readable before any other is.

SQLite reads nothing of a file that is shorter than its first page says, or whose tables' names
are gone. Format: https://www.sqlite.org/fileformat2.html#b_tree_pages.
"""

from __future__ import annotations

import struct
from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_PADDING = 256
"""Pages of nulls that take the place of those that were cut off."""
_INTERIOR = 5
"""Kind of a page of a table that names others."""


def pad(source: Path) -> None:
    """Make a file that was cut off as long as its header says, or the header say less.

    SQLite reads nothing at all of a file that is shorter than its header says, nor of one that
    lacks a page where a table begins. Those lie near the front.
    """
    left = source.stat().st_size
    with source.open("r+b") as file:
        head = file.read(100)
        if len(head) < 100 or not head.startswith(_MAGIC):
            return
        size = _page_size(head)
        (pages,) = struct.unpack(">I", head[28:32])
        if size < 512 or pages * size <= left:
            return
        pages = min(pages, -(-left // size) + _PADDING)
        file.truncate(pages * size)
        file.seek(28)
        file.write(struct.pack(">I", pages))


def transplant(source: Path, empty: bytes) -> None:
    """Give a file the pages that name the tables from an empty file of the same schema.

    Args:
        source: the file, changed in place.
        empty: content of the empty one.
    """
    size = _page_size(empty)
    pages = max(1, source.stat().st_size // size)
    first = bytearray(empty[:size])
    first[18:20] = b"\x02\x02"  # WAL
    first[24:28] = first[92:96]  # or the number of pages would be taken for out of date
    first[28:32] = struct.pack(">I", pages)
    first[32:40] = bytes(8)  # no list of free pages: nobody will write here
    with source.open("r+b") as file:
        file.write(first)
        for number in _further_pages(first):
            file.seek((number - 1) * size)
            file.write(empty[(number - 1) * size : number * size])


def _page_size(file: bytes) -> int:
    (size,) = struct.unpack(">H", file[16:18])
    return 65_536 if size == 1 else int(size)


def _further_pages(first: bytes | bytearray) -> list[int]:
    """Return the numbers of the pages where the schema goes on that the first has no room for.

    They are the same in every file made by the same statements: SQLite never moves what is in use
    so early in the file.
    """
    if first[100] != _INTERIOR:
        return []
    (count,) = struct.unpack(">H", first[103:105])
    cells = struct.unpack(f">{count}H", first[112 : 112 + 2 * count])
    return [int.from_bytes(first[at : at + 4], "big") for at in (108, *cells)]
