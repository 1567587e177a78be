"""Bits and codes that are listed without ruling lines, often several side by side (pure).

    Bit0: overvoltage     Bit2: overcurrent
    Bit1: undervoltage    Bit3: short circuit

Each is a row of its own, with what is printed over the list as the table's caption.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median

from services.ingest import language
from services.ingest.partition import layout
from services.ingest.partition.page import Line, Page, Word
from services.ingest.partition.ruled import Cell, RuledTable

_BIT = re.compile(
    r"(?P<key>(?:(?i:bite?s?)|位)\s?(?P<number>\d{1,2})(?:\s?[~～…-]\s?(?:(?i:bite?)\s?)?\d{1,2})?)"
    r"(?!\d)(?P<mark>\s*[:：=)、,，]?)\s*(?P<rest>.*)"
)
_CODE = re.compile(
    r"(?P<key>[A-Z]{1,3}[-._]?(?P<number>\d{1,4}))(?P<mark>)(?![\w.])\s*[:：=、]?\s*(?P<rest>.*)"
)
_MAYBE = re.compile(r"(?i:bite?s?)\s?\d|位\s?\d|\b[A-Z]{1,3}[-._]?\d")
_APART = 0.75
"""Line heights before an item that does not begin its line."""
_CLOSE = 0.9
"""Line heights between two lines of a list, at most."""
_LOOSE = 1.7
"""Line heights between two lines of a list that both begin with an item, at most."""
_FEWEST = 3
_LONGEST_CAPTION = 60


@dataclass(slots=True)
class _Item:
    """A bit or a code and what it means."""

    key: str
    number: int
    rest: str
    words: list[Word]


def find(page: Page, lines: list[Line]) -> list[RuledTable]:
    """Return the lists among the lines of a page that are in no ruled table."""
    lines = [line for line in lines if not line.sideways]
    tables: list[RuledTable] = []
    index = 0
    while index < len(lines):
        table, end = _list(page, lines, index)
        if table:
            tables.append(table)
        index = end
    return tables


def _list(page: Page, lines: list[Line], start: int) -> tuple[RuledTable | None, int]:
    """Return the list that begins at a line, and the index after it."""
    for pattern, beside in ((_BIT, 1), (_CODE, 2)):
        items: list[_Item] = []
        title: list[Word] = []
        full = 0
        end = start
        while end < len(lines):
            apart = lines[end].top - lines[end - 1].bottom if end > start else 0.0
            if apart > _LOOSE * lines[end].size:
                break
            other, found = _items(lines[end], pattern)
            if apart > _CLOSE * lines[end].size and not found:
                break
            if found and not (other and items):
                title = title or other
                items += found
                full += len(found) >= beside
            elif not (items and _goes_on(lines[end], items, apart)):
                break
            end += 1
        if full >= _FEWEST and len({item.key for item in items}) == len(items):
            return _table(page, items, title, lines[start - 1] if start else None), end
    return None, start + 1


def _items(line: Line, pattern: re.Pattern[str]) -> tuple[list[Word], list[_Item]]:
    """Return what stands before the items of a line, and the items."""
    starts: list[int] = []
    if not _MAYBE.search(line.text):
        return line.words, []
    for place, word in enumerate(line.words):
        gap = word.x0 - line.words[place - 1].x1 if place else 1000.0
        if gap > _APART * word.size:
            match = pattern.fullmatch(Line(line.words[place:], line.page).text)
            if match and match["rest"]:
                starts.append(place)
    if not starts:
        return line.words, []
    items = []
    for place, end in zip(starts, [*starts[1:], len(line.words)], strict=True):
        words = line.words[place:end]
        match = pattern.fullmatch(Line(words, line.page).text)
        if match:
            items.append(
                _Item(
                    match["key"] + match["mark"].strip(), int(match["number"]), match["rest"], words
                )
            )
    return line.words[: starts[0]], items


def _goes_on(line: Line, items: list[_Item], apart: float) -> bool:
    """Add a line to the item above it where it is the rest of it."""
    item = items[-1]
    indented = line.x0 > item.words[0].x0 + item.words[0].size
    if not indented or apart > 0.5 * line.size or len(layout.segments(line, _APART)) > 1:
        return False
    if sum(abs(i.words[0].top - item.words[0].top) < 2 for i in items) > 1:
        return False
    item.rest = language.join(item.rest, line.text)
    item.words = [*item.words, *line.words]
    return True


def _table(page: Page, items: list[_Item], title: list[Word], above: Line | None) -> RuledTable:
    words = [word for item in items for word in item.words]
    caption = Line(title, page.number).text if title else _caption(above, items)
    grid: list[list[Cell | None]] = []
    if caption:
        grid.append([Cell(caption.strip(" :："), columns=2), None])
    in_order = sorted(items, key=lambda item: item.number)
    grid += [[Cell(item.key), Cell(item.rest)] for item in in_order]
    left, top = min(w.x0 for w in words), min(w.top for w in words)
    box = (left, top, max(w.x1 for w in words), max(w.bottom for w in words))
    used = {id(word) for word in [*words, *title]}
    return RuledTable(page.number, box, [left, left, page.width], grid, used)


def _caption(above: Line | None, items: list[_Item]) -> str:
    """Return the line over a list where it looks like its title; it stays where it is, too."""
    first = min(items, key=lambda item: item.words[0].top).words[0]
    if above is None or len(above.text) > _LONGEST_CAPTION:
        return ""
    near = first.top - above.bottom < 2 * median(word.size for word in above.words)
    return above.text if near and (above.bold or above.text[-1] in ":：") else ""
