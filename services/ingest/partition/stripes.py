"""Tables of which every other row is shaded, cell by cell, and none has lines (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from services.ingest.partition.page import Rule
from services.ingest.partition.shades import Shade

_COLUMNS = 3
"""Cells side by side that make a row, at least."""
_ROWS = 3
"""Shaded rows with the same columns that make stripes, at least."""
_TOUCH = 1.0
"""Between cells side by side, and between the same column's places in two rows, points."""
_GAP = (4.0, 240.0)
"""Heights of a row without shade, points."""
_USUAL = 2.0
"""Of the heights of shaded rows: that of most rows without shade, at most."""
_MAX_SHADES = 4_000
"""Shaded boxes of a page that are looked at."""


@dataclass(slots=True, frozen=True)
class _Row:
    """Shaded cells side by side."""

    top: float
    bottom: float
    xs: list[float]
    """Where its columns begin and the last ends."""

    def is_like(self, other: _Row) -> bool:
        """Return whether another row has the same columns."""
        return len(self.xs) == len(other.xs) and all(
            abs(one - two) <= _TOUCH for one, two in zip(self.xs, other.xs, strict=True)
        )


def bridges(fills: Sequence[Shade], rules: Sequence[Rule]) -> Iterator[Rule]:
    """Yield the sides that the cells between shaded rows would have.

    Args:
        fills: The filled boxes of a page.
        rules: Its lines: what they part, stays parted.
    """
    shades = [fill for fill in fills if not fill.thin]
    if len(shades) > _MAX_SHADES:
        return
    kinds: list[list[_Row]] = []
    for row in _rows(shades):
        like = next((kind for kind in kinds if kind[0].is_like(row)), None)
        if like is None:
            kinds.append([row])
        else:
            like.append(row)
    for kind in kinds:
        low, high = _GAP
        gaps = [pair for pair in pairwise(kind) if low <= pair[1].top - pair[0].bottom <= high]
        if len(kind) < _ROWS or not gaps:
            continue
        usual = median(row.bottom - row.top for row in kind)
        if median(below.top - above.bottom for above, below in gaps) > _USUAL * usual:
            continue
        for above, below in gaps:
            if not any(_crosses(rule, above, below) for rule in rules):
                yield from (Rule(x, above.bottom, x, below.top) for x in above.xs)


def _rows(shades: list[Shade]) -> list[_Row]:
    """Return the rows of cells side by side, from the top down."""

    def height(shade: Shade) -> tuple[int, int]:
        return round(shade.box[1]), round(shade.box[3])

    found = []
    for _, group in groupby(sorted(shades, key=lambda s: (*height(s), s.box[0])), height):
        cells = list(group)
        whole = all(abs(b.box[0] - a.box[2]) <= _TOUCH for a, b in pairwise(cells))
        if len(cells) >= _COLUMNS and whole:
            xs = [*(cell.box[0] for cell in cells), cells[-1].box[2]]
            found.append(_Row(cells[0].box[1], cells[0].box[3], xs))
    return sorted(found, key=lambda row: row.top)


def _crosses(rule: Rule, above: _Row, below: _Row) -> bool:
    """Return whether a line stands between two rows."""
    within = above.bottom + _TOUCH < (rule.top + rule.bottom) / 2 < below.top - _TOUCH
    return within and rule.x1 > above.xs[0] and rule.x0 < above.xs[-1]
