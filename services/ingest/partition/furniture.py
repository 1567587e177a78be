"""Running heads and feet, and page numbers: what is no content (pure)."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from services.ingest import faults, parameters
from services.ingest.partition.page import Line

ZONE = 4
"""Lines at the top and at the bottom of a page that may be running heads or feet."""
MIN_PAGES = 3
"""Pages on which a line must stand to be one."""
_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class PageLines:
    """The lines of one page outside tables."""

    page: int
    """Physical page, from 1."""
    lines: list[Line]
    height: float
    """Height of the page, points."""


def strip(pages: list[PageLines]) -> dict[int, str]:
    """Take running heads, feet and page numbers out of `pages`.

    A line is one when it stands at the same height on at least three pages with the same words,
    numbers aside, and nothing but such lines is between it and the page's edge. A number in it
    that differs must follow the page's number, so that `E001`, `E002` at the tops of three pages
    stay.

    Returns:
        The printed number of each page on which one was found.
    """
    doomed: dict[int, str] = {}
    for key, members in _alike(pages).items():
        if len({page.page for page, _ in members}) < MIN_PAGES:
            continue
        kept = _follow_the_page(members) if "#" in key[0] else [(line, "") for _, line in members]
        if len(kept) >= MIN_PAGES:
            for line, label in kept:
                doomed[id(line)] = doomed.get(id(line), "") or label
    return {page.page: label for page in pages if (label := _strip(page, doomed))}


def _strip(page: PageLines, doomed: dict[int, str]) -> str:
    """Take the doomed lines at a page's edges out; return the printed number among them."""
    upright = sorted((line for line in page.lines if not line.sideways), key=lambda line: line.top)
    gone = [line for line in page.lines if line.sideways and id(line) in doomed]
    for order in (upright, upright[::-1]):
        gone += itertools.takewhile(lambda line: id(line) in doomed, order)
    ids = {id(line) for line in gone}
    page.lines = [line for line in page.lines if id(line) not in ids]
    return next((doomed[id(line)] for line in gone if doomed[id(line)]), "")


def _alike(pages: list[PageLines]) -> dict[tuple[str, int], list[tuple[PageLines, Line]]]:
    """Return the lines near the pages' edges by their words and height.

    Each stands under two heights, so that a line between two steps meets its like in one.
    """
    groups: dict[tuple[str, int], list[tuple[PageLines, Line]]] = defaultdict(list)
    for page in pages:
        for line in _zone(page):
            if _says_something(line.text):
                continue
            key = "".join(_NUMBER.sub("#", line.text).split())
            place = line.x0 if line.sideways else line.top
            for step in (0, 1):
                groups[key, round(place / 6) + step].append((page, line))
    return groups


def _says_something(text: str) -> bool:
    """Return whether a line begins an entry or a part of one: it belongs to what follows."""
    found, part = faults.heading(text), parameters.settings(text)
    if (found and found[1]) or (part and part.kinds - {"access"}):
        return True
    return bool(faults.LABEL.match(text)) or text.endswith((":", "："))


def _zone(page: PageLines) -> list[Line]:
    sideways = [line for line in page.lines if line.sideways]
    by_height = sorted(
        (line for line in page.lines if not line.sideways), key=lambda line: line.top
    )
    top = [line for line in by_height[:ZONE] if line.bottom < 0.2 * page.height]
    bottom = [line for line in by_height[-ZONE:] if line.top > 0.8 * page.height]
    return [*top, *(line for line in bottom if not any(line is other for other in top)), *sideways]


def _follow_the_page(members: list[tuple[PageLines, Line]]) -> list[tuple[Line, str]]:
    """Return lines whose numbers are constant or keep a distance to the page, and its label."""
    numbers = [[int(n[:9]) for n in _NUMBER.findall(line.text)] for _, line in members]
    constant: list[int | None] = []
    follows: list[set[int]] = []
    for column in zip(*numbers, strict=True):
        value, often = Counter(column).most_common(1)[0]
        constant.append(value if often >= max(MIN_PAGES, 0.5 * len(members)) else None)
        offsets = Counter(n - page.page for n, (page, _) in zip(column, members, strict=True))
        follows.append({offset for offset, count in offsets.items() if count >= MIN_PAGES})
    kept = []
    for (page, line), found in zip(members, numbers, strict=True):
        columns = range(len(found))
        moving = [
            i for i in columns if found[i] != constant[i] and found[i] - page.page in follows[i]
        ]
        if moving:
            kept.append((line, _printed(line.text, moving[-1])))
        elif all(found[i] == constant[i] for i in columns):
            kept.append((line, ""))
    return kept


def _printed(text: str, index: int) -> str:
    """Return the number as printed, `3-706` with its chapter."""
    match = list(_NUMBER.finditer(text))[index]
    start = match.start()
    chapter = re.search(r"[\dA-Za-z]{1,3}[-–]$", text[:start])
    return text[chapter.start() if chapter else start : match.end()]
