"""Lines of several cells of a row that belong together: each is a row of its own (pure).

    | PD086 | Frequency 2 | 15.00 |
    | PD087 | Frequency 3 | 20.00 |

drawn as one row of a table, with no rule between the lines.
"""

from __future__ import annotations

import re

from services.ingest.partition import layout
from services.ingest.partition.page import Line, Word

_KEY = r"[*＊﹡]?[A-Za-z]{0,4}[-._]?\d{1,5}(?:[-._]\d{1,4})?[.:：]?"
_KEYS = re.compile(rf"{_KEY}(?:\s+{_KEY}){{2,}}")
_LEVEL = 0.3
"""Line heights by which the middles of two lines may differ that stand on one level."""


def rows(cells: dict[int, list[Word]], page: int) -> list[dict[int, str]]:
    """Return the texts by column of each row that is in truth drawn here; none when it is one.

    The first cell holds a key in each line, different ones; lines of the other cells stand beside
    them, and at least one cell has as many.

    Args:
        cells: The words of a drawn row's cells that hold any, by column.
        page: The page they are on.
    """
    columns = sorted(cells)
    if len(columns) < 2:
        return []
    keys = _lines(cells[columns[0]], page)
    texts = [line.text for line in keys]
    if not _KEYS.fullmatch(" ".join(texts)) or any(" " in text for text in texts):
        return []
    if len({text.rstrip("0123456789.:：") for text in texts}) > 1 or len(set(texts)) < len(texts):
        return []
    found = [{columns[0]: text} for text in texts]
    full = False
    for column in columns[1:]:
        lines = _lines(cells[column], page)
        levels = [_level(line, keys) for line in lines]
        if None in levels or len(set(levels)) < len(levels):
            return []
        full = full or len(lines) == len(keys)
        for level, line in zip(levels, lines, strict=True):
            found[level or 0][column] = line.text
    return found if full else []


def may_be(words: list[Word]) -> bool:
    """Return whether the words of a row's first cell may be the keys of several rows."""
    return len(words) > 2 and bool(_KEYS.fullmatch(" ".join(word.text for word in words)))


def _lines(words: list[Word], page: int) -> list[Line]:
    return sorted(layout.rows(words, page), key=lambda line: line.top + line.bottom)


def _level(line: Line, keys: list[Line]) -> int | None:
    """Return the index of the key that stands beside a line."""
    middle = (line.top + line.bottom) / 2
    for index, key in enumerate(keys):
        if abs((key.top + key.bottom) / 2 - middle) <= _LEVEL * max(line.size, key.size):
            return index
    return None
