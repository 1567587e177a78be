"""Pictures of pages to words with their places, and to ruling lines: scans become tables too."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from statistics import median
from typing import Any

import numpy as np
from pdfplumber.table import (
    cells_to_tables,
    edges_to_intersections,
    intersections_to_cells,
    merge_edges,
)

from services.ingest import language
from services.ingest.partition import bitmap, tesseract
from services.ingest.partition.effort import Effort
from services.ingest.partition.page import Page, Rule, Word
from services.ingest.partition.tesseract import Seen

DPI = 200
"""Pixels an inch at which pages are rendered."""
MAX_PIXELS = 24_000_000
"""Pixels of a picture beyond which it is made smaller."""
_USUAL_PIXELS = 5_000_000
"""Pixels of a page; a larger one has more time."""
_SURE = 35.0
"""Confidence below which a word is noise: a drawing, a logo, dust."""
_IN_CELL = 15.0
"""The same in a cell of a table."""
_ENGLISH = 80.0
"""Mean confidence of the English pass above which there is no Chinese on a page."""
_PLAIN = 85.0
"""The same for a cell of one line: a number needs no second pass."""
_LEVEL_PX = 1.5
"""Slopes that move no pixel farther than this are left."""
_MAX_CELLS = 1_200
_MARGIN = 10
"""White around a piece that is recognised by itself, pixels."""

_DRAWN = re.compile(r"[|_—~=¦\[\]{}‘’“”\"'`]+")


class Recognizer:
    """Reads pictures of pages; the languages are loaded when the first one comes."""

    def __init__(self, effort: Effort) -> None:
        """Make it; what it does is counted in `effort`."""
        self.effort = effort
        self._engines: dict[str, tesseract.Tesseract] = {}

    def close(self) -> None:
        """Free the languages."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()

    def page(self, number: int, label: str, picture: Any, dpi: float) -> Page:
        """Return a page out of its picture.

        Args:
            number: Physical page, from 1.
            label: Page number as printed, empty where unknown.
            picture: Grey values, uint8, shape (height, width).
            dpi: Pixels an inch; what the places are told by.
        """
        seconds = self.effort.seconds * max(1.0, picture.size / _USUAL_PIXELS)
        clock = _Clock(min(seconds, self.effort.left()))
        turns = tesseract.turned(np.ascontiguousarray(picture), round(dpi))
        if turns:
            picture = np.ascontiguousarray(np.rot90(picture, -turns))
        found = self._found(picture, round(dpi), clock)
        if clock.over:
            (self.effort.slow if self.effort.left() else self.effort.late).append(number)
        points = 72 / dpi
        height, width = picture.shape
        words = [_word(seen, line, points) for seen, line in _leveled(found.words)]
        _even_sizes(words)
        rules = [
            Rule(s.x0 * points, s.top * points, s.x1 * points, s.bottom * points)
            for s in found.strokes
        ]
        return Page(number, label, width * points, height * points, words, rules, 1)

    def _found(self, picture: Any, dpi: int, clock: _Clock) -> _Found:
        grey = bitmap.even(picture)
        for turn in (False, True):
            side = np.ascontiguousarray(grey.T) if turn else grey
            slope = bitmap.slope(bitmap.ink(side))
            if slope.most(*side.shape) > _LEVEL_PX:
                side = bitmap.level(side, slope)
            grey = np.ascontiguousarray(side.T) if turn else side
        strokes = bitmap.strokes(bitmap.ink(grey), dpi)
        cells = _cells(strokes, dpi)
        blank = bitmap.without(grey, strokes)
        rest = blank.copy()
        for x0, top, x1, bottom in cells:
            rest[top:bottom, x0:x1] = 255
        found = _Found(strokes)
        found.add(self._recognized(rest, dpi, tesseract.PAGE, clock, found))
        dark = bitmap.ink(blank)
        for box in cells:
            piece = _piece(blank, dark, box)
            if piece is None:
                continue
            part, left, top, lines = piece
            layout = tesseract.LINE if lines == 1 else tesseract.BLOCK
            found.add(self._recognized(part, dpi, layout, clock, found), left, top)
        return found

    def _recognized(
        self, part: Any, dpi: int, layout: int, clock: _Clock, found: _Found
    ) -> list[Seen]:
        latin = self._pass(tesseract.ENGLISH, part, dpi, layout, clock)
        # In a cell there is text where there is ink, and nothing beside it to judge it by.
        least = _SURE if layout == tesseract.PAGE else _IN_CELL
        if found.english is None and len(latin) >= 20:
            found.english = _mean(latin) > _ENGLISH
        if found.english:
            return [seen for seen in latin if _certain(seen, least)]
        if layout == tesseract.LINE and latin and _mean(latin) > _PLAIN:
            return latin
        return merged(latin, self._pass(tesseract.CHINESE, part, dpi, layout, clock), least)

    def _pass(self, name: str, part: Any, dpi: int, layout: int, clock: _Clock) -> list[Seen]:
        if clock.over:
            return []
        if name not in self._engines:
            self._engines[name] = tesseract.Tesseract(name)
        seen = self._engines[name].words(part, dpi, layout, clock.left())
        if seen is None:
            clock.over = True
        return seen or []


def merged(latin: list[Seen], chinese: list[Seen], sure: float = _SURE) -> list[Seen]:
    """Return the words of two passes over the same picture, each place read by who knows it (pure).

    The English pass makes nonsense of Chinese characters, and the Chinese one takes Latin
    letters for others: where it sees Chinese it counts, unless the other is surer; elsewhere the
    English one counts, and what only the Chinese one saw stays.
    """
    lines: dict[tuple[int, int, int], list[Seen]] = {}
    for seen in chinese:
        if _is_chinese(seen):
            lines.setdefault(seen.line, []).append(seen)
    kept: list[Seen] = []
    for line in lines.values():
        # A character that is doubtful by itself stands in a line that is not.
        least = 0.0 if len(line) > 2 and _mean(line) > 2 * _SURE else sure
        for seen in line:
            surest = max((one.confidence for one in latin if _covers(one, seen) > 0.5), default=0.0)
            if seen.confidence >= least and max(seen.confidence, 2 * least) + 10 >= surest:
                kept.append(seen)
    english = [
        seen
        for seen in (_surer(one, chinese) for one in latin)
        if _certain(seen, sure) and not _meets(seen, kept)
    ]
    rest = [
        seen
        for seen in chinese
        if not _is_chinese(seen) and _certain(seen, sure) and not _meets(seen, english)
    ]
    return kept + english + rest


def _certain(seen: Seen, least: float) -> bool:
    """Return whether a word is one: not noise, and not what is left of a ruling line."""
    return seen.confidence >= least and not _DRAWN.fullmatch(seen.text)


def _meets(seen: Seen, others: list[Seen]) -> bool:
    return any(_covers(one, seen) > 0.3 or _covers(seen, one) > 0.5 for one in others)


def _is_chinese(seen: Seen) -> bool:
    return any(language.is_cjk(c) for c in seen.text)


def _surer(seen: Seen, others: list[Seen]) -> Seen:
    """Return a word, or what the other pass saw in the same place and was much surer of."""
    for other in others:
        if (
            other.confidence > seen.confidence + 15
            and not _is_chinese(other)
            and _covers(other, seen) > 0.6
            and _covers(seen, other) > 0.6
        ):
            return other
    return seen


def _covers(one: Seen, other: Seen) -> float:
    """Return the share of the second's box that the first covers."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    area = (other.x1 - other.x0) * (other.bottom - other.top)
    return wide * high / area if wide > 0 and high > 0 and area > 0 else 0.0


class _Clock:
    """The time of a page."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.over = False

    def left(self) -> float:
        """Return the time left, seconds; at least a little."""
        return max(self._end - time.monotonic(), 0.001)


class _Found:
    """What is known of a picture so far."""

    def __init__(self, strokes: list[bitmap.Stroke]) -> None:
        self.strokes = strokes
        self.words: list[tuple[int, Seen]] = []
        """With the number of the piece they come from: lines are counted in each."""
        self.english: bool | None = None
        """Whether there is no Chinese on the page; None while unknown."""
        self._pieces = 0

    def add(self, words: Iterable[Seen], left: int = 0, top: int = 0) -> None:
        """Take the words of a piece that lies at this place."""
        self._pieces += 1
        for seen in words:
            moved = Seen(
                seen.text,
                seen.x0 + left,
                seen.top + top,
                seen.x1 + left,
                seen.bottom + top,
                seen.confidence,
                seen.line,
            )
            self.words.append((self._pieces, moved))


def _mean(words: list[Seen]) -> float:
    letters = sum(len(word.text) for word in words)
    return sum(word.confidence * len(word.text) for word in words) / letters if letters else 0.0


def _cells(strokes: list[bitmap.Stroke], dpi: int) -> list[tuple[int, int, int, int]]:
    """Return the cells of the tables that ruling lines make up, pixels."""
    reach = max(2.0, dpi / 40)
    edges = [_edge(stroke) for stroke in strokes]
    if sum(edge["orientation"] == "v" for edge in edges) < 2:
        return []
    edges = merge_edges(edges, reach, reach, reach, reach)
    cells = intersections_to_cells(edges_to_intersections(edges, reach, reach))
    found = []
    for table in cells_to_tables(cells):
        if len({box[0] for box in table}) > 1 and len({box[1] for box in table}) > 1:
            found += [tuple(round(v) for v in box) for box in table]
    return found if len(found) <= _MAX_CELLS else []


def _edge(stroke: bitmap.Stroke) -> dict[str, Any]:
    flat = stroke.x1 - stroke.x0 >= stroke.bottom - stroke.top
    x, y = (stroke.x0 + stroke.x1) / 2, (stroke.top + stroke.bottom) / 2
    x0, x1 = (stroke.x0, stroke.x1) if flat else (x, x)
    top, bottom = (y, y) if flat else (stroke.top, stroke.bottom)
    return {
        "x0": float(x0),
        "x1": float(x1),
        "top": float(top),
        "bottom": float(bottom),
        "width": float(x1 - x0),
        "height": float(bottom - top),
        "doctop": float(top),
        "orientation": "h" if flat else "v",
        "object_type": "line",
    }


def _piece(
    grey: Any, dark: Any, box: tuple[int, int, int, int]
) -> tuple[Any, int, int, int] | None:
    """Return what is written in a cell: picture, its left and top, lines; None without ink."""
    x0, top, x1, bottom = box[0] + 2, box[1] + 2, box[2] - 1, box[3] - 1
    inside = dark[top:bottom, x0:x1]
    if not inside.size:
        return None
    rows = np.nonzero(inside.any(axis=1))[0]
    if len(rows) < 4 or inside.sum() < 12:
        return None
    columns = np.nonzero(inside.any(axis=0))[0]
    y0, y1 = top + rows[0], top + rows[-1] + 1
    left, right = x0 + columns[0], x0 + columns[-1] + 1
    gaps = int((np.diff(rows) > 2).sum())
    part = np.pad(grey[y0:y1, left:right], _MARGIN, constant_values=255)
    return np.ascontiguousarray(part), int(left) - _MARGIN, int(y0) - _MARGIN, 1 + gaps


def _leveled(words: list[tuple[int, Seen]]) -> list[tuple[Seen, tuple[float, float]]]:
    """Return each word with the top and bottom of its line: a dash is as high as its neighbours."""
    lines: dict[tuple[int, tuple[int, int, int]], list[Seen]] = {}
    for piece, seen in words:
        lines.setdefault((piece, seen.line), []).append(seen)
    result = []
    for group in lines.values():
        tall = [s for s in group if len(s.text) > 1 or s.text.isalnum()] or group
        heights = sorted(s.bottom - s.top for s in tall)
        # Of words without tall letters there are many: three of four are no higher.
        height = heights[3 * (len(heights) - 1) // 4]
        for seen in group:
            # Near it: a photo's lines may still bend.
            near = sorted(tall, key=lambda s: abs(s.x0 - seen.x0))[:5]
            middle = median((s.top + s.bottom) / 2 for s in near)
            result.append((seen, (middle - height / 2, middle + height / 2)))
    return result


def _word(seen: Seen, line: tuple[float, float], points: float) -> Word:
    top, bottom = line[0] * points, line[1] * points
    # A line box is a good part higher than its letters.
    size = round(1.15 * (bottom - top), 1)
    return Word(seen.text, seen.x0 * points, top, seen.x1 * points, bottom, size, bold=False)


def _even_sizes(words: list[Word]) -> None:
    """Give words the size most have when theirs is near it: recognised heights scatter."""
    if not words:
        return
    usual = round(median(word.size for word in words for _ in word.text), 1)
    for word in words:
        if 0.7 * usual < word.size < 1.18 * usual:
            word.size = usual
