"""The printed table of contents: left out of the text, and an outline where a file has none."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.ingest.partition import headings, layout, numbering
from services.ingest.partition.furniture import PageLines
from services.ingest.partition.page import Line
from services.ingest.partition.pdfium import Bookmark

_HEAD = re.compile(r"(?i)^(?:(?:table\s*of\s*)?contents|目\s*[录次錄]|index|索引)$")
_PAGE = r"(?P<page>(?:[A-Z\d]{1,3}[-–])?\d{1,4}|[ivxlc]{1,6})"
_LEADER = re.compile(rf"^(?P<title>.*?\S)?\s*(?:[.…·‥．_]\s?){{4,}}.{{0,12}}?{_PAGE}$")
_NUMBER = re.compile(_PAGE)
_RANGE = re.compile(r"(\d{1,4})[-–]\d{1,4}")
_CAPTION = re.compile(r"(?i)^(?:fig(?:ure|\.)?|table|tab\.|图|表)\s*\d")
_FEWEST = 3
"""Entries of a page that make it a table of contents."""
_INDENT = 6.0
"""Points by which an entry is set in that is of a lower level."""
_ASTRAY = 3
"""Pages a heading may stand from where the table of contents puts it."""


@dataclass(slots=True)
class Entry:
    """A line of a table of contents."""

    line: Line
    title: str
    page: int | None
    """Printed page; None for `3-706` and `iv`."""
    left: float
    """Where its title begins, points."""


def take(pages: Sequence[PageLines]) -> list[Entry]:
    """Take the tables of contents and indexes out of `pages`; return the entries of the former."""
    entries: list[Entry] = []
    before = False
    for place, page in enumerate(pages):
        found, headed = _entries(page, before)
        before = bool(found)
        if not found:
            continue
        gone = {id(entry.line) for entry in found}
        page.lines = [
            line for line in page.lines if id(line) not in gone and not _HEAD.match(line.text)
        ]
        if _ascending(found) and (headed or place < max(12, len(pages) // 5)):
            entries += [entry for entry in found if not _CAPTION.match(entry.title)]
    return entries


def _entries(page: PageLines, goes_on: bool) -> tuple[list[Entry], bool]:
    """Return a page's entries, and whether a heading says that they are a table of contents."""
    dotted = [entry for line in page.lines if (entry := _dotted(line))]
    headed = any(_HEAD.match(line.text) for line in page.lines[:8])
    many = len(dotted) > 0.6 * len(page.lines)
    if len(dotted) >= _FEWEST and (headed or goes_on or many or _ascending(dotted)):
        return dotted, headed
    if not headed and not goes_on:
        return [], False
    spaced = [entry for line in page.lines if (entry := _spaced(line))]
    if len(spaced) >= _FEWEST and _ascending(spaced) and len(spaced) > 0.5 * len(page.lines):
        return spaced, headed
    return [], False


def _dotted(line: Line) -> Entry | None:
    match = _LEADER.match(line.text)
    return (
        Entry(line, (match["title"] or "").strip(), _int(match["page"]), line.x0) if match else None
    )


def _spaced(line: Line) -> Entry | None:
    """Return an entry whose page number stands apart, at the right or at the left."""
    parts = layout.segments(line, 2.0)
    if len(parts) < 2:
        return None
    for number, title in ((parts[-1], parts[:-1]), (parts[0], parts[1:])):
        text = "".join(word.text for word in number)
        if _NUMBER.fullmatch(text) or _RANGE.fullmatch(text):
            words = [word for part in title for word in part]
            return Entry(
                line, Line(words, line.page).text, _int(_RANGE.sub(r"\1", text)), words[0].x0
            )
    return None


def _int(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _ascending(entries: Sequence[Entry]) -> bool:
    """Return whether the page numbers never go back, or hardly ever."""
    numbers = [entry.page for entry in entries if entry.page is not None]
    back = sum(1 for one, two in pairwise(numbers) if two < one)
    return back <= 0.15 * len(numbers)


def outline(entries: Sequence[Entry], lines: Sequence[Line]) -> list[Bookmark]:
    """Return bookmarks for the entries whose headings are found among the lines."""
    places: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        if len(line.text) <= headings.MAX_LENGTH:
            for key in headings.keys(line.text):
                places[key].append(line.page)
    pages = [_pages(entry, places) for entry in entries]
    offset = _offset(entries, pages)
    levels = _levels(entries)
    marks = []
    reached = 0
    for entry, found, level in zip(entries, pages, levels, strict=True):
        expected = reached if entry.page is None else entry.page + offset
        near = [page for page in found if page >= reached and abs(page - expected) <= _ASTRAY]
        if entry.page is None and not near:
            near = [page for page in found if page >= reached][:1]
        if near:
            page = min(near, key=lambda page: abs(page - expected))
            marks.append(Bookmark(entry.title, page, level, None))
            reached = page
    return marks


def _pages(entry: Entry, places: dict[str, list[int]]) -> list[int]:
    return sorted({page for key in headings.keys(entry.title) for page in places.get(key, [])})


def _offset(entries: Sequence[Entry], pages: Sequence[list[int]]) -> int:
    """Return what must be added to printed page numbers to get those counted."""
    votes = Counter(
        page - entry.page
        for entry, found in zip(entries, pages, strict=True)
        if entry.page is not None
        for page in found
    )
    return votes.most_common(1)[0][0] if votes else 0


def _levels(entries: Sequence[Entry]) -> list[int]:
    """Return the entries' depths: by their numbers, the others by how far they are set in."""
    numbers = [numbering.parse(entry.title) for entry in entries]
    depths = numbering.Depths([number for number in numbers if number])
    steps: list[float] = []
    for left in sorted(entry.left for entry in entries):
        if not steps or left > steps[-1] + _INDENT:
            steps.append(left)
    return [
        depths.of(number) if number else sum(entry.left > step + _INDENT for step in steps)
        for entry, number in zip(entries, numbers, strict=True)
    ]
