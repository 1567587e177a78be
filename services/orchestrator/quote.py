"""The words of a passage that a citation shows."""

from __future__ import annotations

import re

LONGEST_QUOTE = 300
"""Characters."""

_END = re.compile(r"(?<=[。！？；])|(?<=[.!?;])(?= )|(?= \| )")


def quote(text: str, bearing: str = "", limit: int = LONGEST_QUOTE) -> str:
    """Return a passage's words from `bearing` on, cut where a sentence or a cell ends.

    Args:
        text: The passage.
        bearing: Words of the passage to begin with; its beginning when they are not in it.
        limit: Characters at most.

    Returns:
        A piece of the passage, the same apart from white space.
    """
    flat = " ".join(text.split())
    flat = flat[_place(flat, bearing) :]
    if len(flat) <= limit:
        return flat
    ends = [
        match.start() for match in _END.finditer(flat, 0, limit + 1) if 0 < match.start() <= limit
    ]
    if ends and ends[-1] >= limit // 3:
        return flat[: ends[-1]].rstrip(" |")
    space = flat.rfind(" ", 0, limit + 1)
    return flat[: space if space >= limit // 2 else limit].rstrip()


def _place(flat: str, bearing: str) -> int:
    """Return where `bearing` begins in `flat`, white space put aside; 0 when it does not."""
    wanted = "".join(bearing.split())
    if not wanted:
        return 0
    places = [place for place, character in enumerate(flat) if not character.isspace()]
    found = "".join(flat.split()).find(wanted)
    return places[found] if found >= 0 else 0
