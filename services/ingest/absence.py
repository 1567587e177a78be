"""Which folders of the inbox are rather away than emptied (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

SEVERAL = 2
"""A folder that lost so many files at once, and has none left, may be a share that is away."""


def away(missing: Collection[str], there: Collection[str], folders: Collection[str],
         lost: Collection[str]) -> list[str]:  # fmt: skip
    """Return folders of which nothing is deleted before people confirm it.

    Those that exist and were a mount point and are none now, or have no file left and had several.
    A folder that does not exist any more was deleted: a mount point stays.

    Args:
        missing: known files that are not there.
        there: files that are.
        folders: those that exist, without the inbox itself: that one has a mark.
        lost: mount points that are none any more.
    """
    gone = Counter(folder for path in missing for folder in above(path))
    filled = {folder for path in there for folder in above(path)}
    found = {
        folder
        for folder, count in gone.items()
        if folder in folders and (folder in lost or (count >= SEVERAL and folder not in filled))
    }
    return sorted(folder for folder in found if found.isdisjoint(above(folder)))


def above(path: str) -> Iterator[str]:
    """Yield the folders a file or folder is in, without the inbox itself."""
    for parent in PurePosixPath(path).parents:
        if parent.name:
            yield str(parent)
