"""Shaded boxes of a page: which of their sides bound no cell (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.ingest.partition.page import Rule

_INSET = (2.0, 9.0)
"""White between a shaded text and the sides of its shaded cell, points."""
_TALLEST = 36.0
"""From the middle of shaded words to the line above or below their cell, points, at most."""
_MAX_WALLS = 2_000
"""Lines of a page that shaded words are sought between."""
_MAX_SHADES = 1_000
"""Shaded boxes of a page that are compared."""
_TOUCH = 0.4
"""Gap between boxes that touch, points, at most."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; or left, bottom, right, top in pdfium's page space. Points."""
Color = tuple[int, ...]
"""Red, green, blue and opacity, 0 to 255."""
_Kept = TypeVar("_Kept")


@dataclass(slots=True, frozen=True)
class Shade:
    """A box that is filled and has no outline."""

    box: Box
    lines: list[Rule]
    """Its sides; itself where it is as thin as a line."""
    color: Color = ()

    @classmethod
    def of(cls, lines: list[Rule], color: Color = ()) -> Shade:
        """Return the box that lines bound."""
        left, top = min(line.x0 for line in lines), min(line.top for line in lines)
        right, bottom = max(line.x1 for line in lines), max(line.bottom for line in lines)
        return cls((left, top, right, bottom), lines, color)

    @property
    def thin(self) -> bool:
        """Whether it is a line itself."""
        return len(self.lines) < 4

    def is_text_of(self, cell: Shade) -> bool:
        """Return whether this stands within a shaded cell with a margin left and right."""
        mine, other = self.box, cell.box
        low, high = _INSET
        return (
            low <= mine[0] - other[0] <= high
            and low <= other[2] - mine[2] <= high
            and mine[1] >= other[1] - 1
            and mine[3] <= other[3] + 1
        )


def unbounding(fills: Sequence[Shade], rules: list[Rule]) -> set[int]:
    """Return the ids of the lines that are sides of shaded boxes and bound no cell.

    Args:
        fills: The filled boxes, lines among them.
        rules: All lines, theirs too.
    """
    shades = [fill for fill in fills if not fill.thin]
    if not 0 < len(shades) <= _MAX_SHADES:
        return set()
    drop = {id(line) for shade in _of_text(shades, rules) for line in shade.lines}
    return drop | _seams(shades, fills)


def _seams(shades: list[Shade], fills: Sequence[Shade]) -> set[int]:
    """Return the ids of the lines at which the pieces of one cell's shade meet.

    Text processors shade a cell piece by piece: the lines of its text, slivers left and right of
    them, and strips over the whole width above and below. Nobody sees where these meet.
    """
    begins: dict[int, list[Shade]] = {}
    ends: dict[int, list[Shade]] = {}
    for fill in fills:
        if fill.box[2] - fill.box[0] <= _INSET[1]:
            begins.setdefault(round(fill.box[0]), []).append(fill)
            ends.setdefault(round(fill.box[2]), []).append(fill)
    drop: set[int] = set()
    cores: dict[int, list[tuple[Shade, float]]] = {}
    for shade in shades:
        left = _beside(shade, shade.box[0], ends, 2)
        right = _beside(shade, shade.box[2], begins, 0)
        if left is None or right is None:
            continue
        drop.update(id(line) for line in shade.lines)
        drop.update(_upright(left, shade.box[0]) + _upright(right, shade.box[2]))
        cores.setdefault(round(left.box[0]), []).append((shade, right.box[2]))
    for shade in shades if cores else ():
        for core, end in _near(cores, shade.box[0]):
            if core.color == shade.color and abs(shade.box[2] - end) <= _TOUCH:
                drop.update(_shared(shade, core))
    return drop


def _near(boxes: dict[int, list[_Kept]], x: float) -> Iterator[_Kept]:
    """Yield what is kept under a whole number next to x."""
    for step in (-1, 0, 1):
        yield from boxes.get(round(x) + step, ())


def _beside(shade: Shade, x: float, slivers: dict[int, list[Shade]], side: int) -> Shade | None:
    """Return the sliver of a shade's color that touches it all along its side at x."""
    for sliver in _near(slivers, x):
        if (
            sliver.color == shade.color
            and abs(sliver.box[side] - x) <= _TOUCH
            and sliver.box[1] <= shade.box[1] + _TOUCH
            and sliver.box[3] >= shade.box[3] - _TOUCH
        ):
            return sliver
    return None


def _upright(sliver: Shade, x: float) -> list[int]:
    """Return the ids of a sliver's upright sides at x; none where it is as thin as a line."""
    return [
        id(line)
        for line in sliver.lines
        if not sliver.thin and not line.horizontal and abs(line.x0 - x) <= _TOUCH
    ]


def _shared(strip: Shade, core: Shade) -> list[int]:
    """Return the ids of a strip's sides at which it touches the text below or above it."""
    places = [
        mine
        for mine, other in ((strip.box[1], core.box[3]), (strip.box[3], core.box[1]))
        if abs(mine - other) <= _TOUCH
    ]
    return [
        id(line)
        for line in strip.lines
        if line.horizontal and any(abs(line.top - place) <= _TOUCH for place in places)
    ]


def _of_text(shades: list[Shade], rules: list[Rule]) -> list[Shade]:
    """Return the boxes that shade the lines of a text in a cell: they bound no cell.

    Text processors shade a paragraph line by line, and around that the cell; or only the words.
    """
    sides = {id(line) for shade in shades for line in shade.lines}
    drawn = [rule for rule in rules if id(rule) not in sides][:_MAX_WALLS]
    cells: dict[int, list[Shade]] = {}
    for shade in shades:
        cells.setdefault(round(shade.box[0]), []).append(shade)
    reach = range(-math.ceil(_INSET[1]) - 1, 1)
    return [
        shade
        for shade in shades
        if any(
            shade.is_text_of(cell)
            for step in reach
            for cell in cells.get(round(shade.box[0]) + step, ())
        )
        or _within_walls(shade.box, drawn)
    ]


def _within_walls(box: Box, rules: list[Rule]) -> bool:
    """Return whether lines stand on all sides of a box, and none at its left or right."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    near = _INSET[0]
    walls = [r for r in rules if not r.horizontal and r.top <= y <= r.bottom]
    if any(left - near < wall.x0 < right + near for wall in walls):
        return False
    if not (any(wall.x0 < left for wall in walls) and any(wall.x0 > right for wall in walls)):
        return False
    flat = [r for r in rules if r.horizontal and r.x0 <= x <= r.x1]
    return any(0 < y - rule.top < _TALLEST for rule in flat) and any(
        0 < rule.top - y < _TALLEST for rule in flat
    )
