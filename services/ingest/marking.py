"""The mark by which the inbox is known again: an empty mount point has none, or another one.

A file with a random word that the library keeps too. A service that starts before a share is
mounted marks the mount point, and the share later gets a word of its own.
"""

from __future__ import annotations

import secrets
from pathlib import Path

MARK = ".andon-inbox"
"""Name of the file."""
_LONGEST = 64
"""Bytes of it that are read."""


def marked(folder: Path, known: str, *, free: bool) -> str | None:
    """Return the word of a folder's mark, made where there is none; None for another folder.

    Blocks; run it in a thread.

    Args:
        folder: the inbox, made if need be.
        known: the word the library keeps; empty where it has none yet.
        free: whether any folder will do, since no file is known that could be missed.

    Raises:
        OSError: it cannot be read or written.
    """
    mark = folder / MARK
    try:
        with mark.open("rb") as file:
            word = file.read(_LONGEST).decode("ascii", "replace").strip()
    except FileNotFoundError:
        if not free:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        word = ""
    if word and (free or known in {"", word}):
        return word
    if not free and known:
        return None
    word = secrets.token_hex(8)
    mark.write_text(f"{word}\n", encoding="ascii")
    return word
