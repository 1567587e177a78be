"""Which lines of a paged document are headings, and how deep (pure)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from services.ingest.partition import layout
from services.ingest.partition.page import Line
from services.ingest.partition.pdfium import Bookmark

_NUMBERED = re.compile(
    r"^(?:\d{1,2}(?:\.\d{1,2}){0,4}\.?|[A-Z]\.\d{1,2}(?:\.\d{1,2})*)[\s、．]\s*\S"
)
_DEPTH = re.compile(r"^[\dA-Z]+(?:\.\d+)*")
_CHINESE = re.compile(
    r"^(?:第[一二三四五六七八九十百\d]{1,3}([章节篇部])|([一二三四五六七八九十]{1,3})、)"
)
_NUMBER = re.compile(r"[\dA-Z]{1,3}(?:\.\d{1,2}){0,4}\.?、?")
_LETTER = re.compile(r"[^\W\d_]")
MAX_LENGTH = 140
"""Characters beyond which a line is no heading."""


def by_outline(
    lines: Iterable[Line], bookmarks: list[Bookmark]
) -> tuple[dict[int, tuple[str, int]], list[Bookmark]]:
    """Return title and depth of each line a bookmark names, by the line's id, and other bookmarks.

    A bookmark belongs to the line on its page with the same words, nearest to the place it
    points at; a title that takes two lines belongs to the first.
    """
    pages: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        pages[line.page].append(line)
    keys = {id(line): _key(line.text) for page in pages.values() for line in page}
    found: dict[int, tuple[str, int]] = {}
    lost: list[Bookmark] = []
    named: set[tuple[int, str]] = set()
    for mark in bookmarks:
        wanted = _key(mark.title)
        best: tuple[float, Line] | None = None
        for line in pages.get(mark.page, []):
            if id(line) in found or not _same(keys[id(line)], wanted):
                continue
            distance = abs(line.top - mark.top) if mark.top is not None else 0.0
            if best is None or distance < best[0]:
                best = (distance, line)
        if best:
            found[id(best[1])] = (mark.title, mark.level)
            named.add((mark.page, wanted))
        else:
            lost.append(mark)
    return found, [mark for mark in lost if (mark.page, _key(mark.title)) not in named]


def by_looks(lines: list[Line], taken: dict[int, tuple[str, int]]) -> dict[int, int]:
    """Return the depth of lines that look like headings, by the line's id.

    They are larger than the running text, or bold and numbered, or bold and alone; the number
    gives the depth, else the rank of the size among the headings.
    """
    body = body_size(lines)
    candidates: list[Line] = []
    for index, line in enumerate(lines):
        if id(line) in taken:
            continue
        if _looks(line, body, lines[index + 1] if index + 1 < len(lines) else None):
            candidates.append(line)
    if len(candidates) > max(30, 0.25 * len(lines)):
        candidates = [line for line in candidates if line.size > 1.2 * body]
    sizes = sorted({round(line.size) for line in candidates}, reverse=True)
    ranks = {size: min(rank, 5) for rank, size in enumerate(sizes)}
    base = max((level for _, level in taken.values()), default=-1) + 1
    result = {}
    for line in candidates:
        depth = _numbered_depth(line.text)
        result[id(line)] = base + (ranks[round(line.size)] if depth is None else depth)
    return result


def body_size(lines: Iterable[Line]) -> float:
    """Return the size most characters have, points."""
    sizes: Counter[float] = Counter()
    for line in lines:
        for word in line.words:
            sizes[round(word.size * 2) / 2] += len(word.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _looks(line: Line, body: float, below: Line | None) -> bool:
    text = line.text
    if len(text) > MAX_LENGTH or not _LETTER.search(text) or text[-1] in ".。;；,，:：、":
        return False
    parts = layout.segments(line, 2.0)
    if len(parts) > 2 or (len(parts) == 2 and not _NUMBER.fullmatch(parts[0][0].text)):
        return False
    size = line.size
    if size > 1.15 * body and len(text) >= 2:
        return True
    numbered = bool(_NUMBERED.match(text) or _CHINESE.match(text)) and len(text) <= 80
    if not line.bold or size < 0.95 * body:
        return False
    if numbered:
        return True
    alone = below is None or below.page != line.page or not below.bold
    return alone and 3 <= len(text) <= 80 and not text[0].islower()


def _numbered_depth(text: str) -> int | None:
    chinese = _CHINESE.match(text)
    if chinese:
        return 0 if chinese[1] in ("章", "篇", "部") or chinese[2] else 1
    if not _NUMBERED.match(text):
        return None
    match = _DEPTH.match(text)
    return match[0].rstrip(".").count(".") if match else None


def _key(text: str) -> str:
    return re.sub(r"[\s\-­–—_.:]+", "", text).casefold()


def _same(line: str, title: str) -> bool:
    if not line or not title:
        return False
    if line == title:
        return True
    shorter = min(len(line), len(title))
    return shorter >= 8 and (line.startswith(title) or title.startswith(line))
