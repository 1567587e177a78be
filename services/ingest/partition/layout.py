"""From words on a page to lines in reading order (pure)."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from services.ingest import language
from services.ingest.partition.page import Line, Word

_GUTTER = 1.2
"""A gap this many line heights wide may be one between columns."""


def lines(words: list[Word], page: int) -> list[Line]:
    """Return the words as lines from top to bottom, each left to right; columns one by one."""
    return in_order(rows(words, page))


def in_order(found: list[Line]) -> list[Line]:
    """Return lines as they are read: columns one by one, those that run another way last."""
    upright = [line for line in found if not line.sideways]
    sideways = [line for line in found if line.sideways]
    return _by_reading(upright) + sorted(sideways, key=lambda line: (line.x0, line.top))


def _by_reading(found: list[Line]) -> list[Line]:
    gutter = _column_gutter(found)
    return found if gutter is None else _by_columns(found, gutter)


def rows(words: list[Word], page: int) -> list[Line]:
    """Return the words as lines from top to bottom, whatever columns there are."""
    groups: list[list[Word]] = []
    middles: list[float] = []
    firsts: list[float] = []
    biggest: list[float] = []
    sideways = [Line([word], page) for word in words if word.sideways]
    upright = words if not sideways else [word for word in words if not word.sideways]
    placed = sorted((((w.top + w.bottom) / 2, w.x0, i) for i, w in enumerate(upright)))
    for middle, _, place in placed:
        word = upright[place]
        size = word.size
        for index in range(len(groups) - 1, max(-1, len(groups) - 4), -1):
            if abs(middle - middles[index]) < 0.45 * max(size, firsts[index], 1.0):
                groups[index].append(word)
                if size > biggest[index]:
                    biggest[index], middles[index] = size, middle
                break
        else:
            groups.append([word])
            middles.append(middle)
            firsts.append(size)
            biggest.append(size)
    found = [Line(sorted(row, key=lambda w: w.x0), page) for row in groups]
    found.sort(key=lambda line: line.top + line.bottom)
    return found + sideways


def segments(line: Line, gap: float = _GUTTER) -> list[list[Word]]:
    """Return the words of a line in groups that stand `gap` line heights or more apart."""
    groups = [[line.words[0]]]
    for left, right in pairwise(line.words):
        if right.x0 - left.x1 > gap * max(left.size, right.size):
            groups.append([right])
        else:
            groups[-1].append(right)
    return groups


def weight(words: list[Word]) -> int:
    """Return how much text there is, a Chinese character counting as two letters."""
    return sum(2 if language.is_cjk(c) else 1 for word in words for c in word.text)


def _column_gutter(rows: list[Line]) -> float | None:
    """Return the middle of the gap between two columns of running text, None without one."""
    if len(rows) < 12:
        return None
    left, right = min(row.x0 for row in rows), max(row.x1 for row in rows)
    low, high = left + 0.3 * (right - left), left + 0.7 * (right - left)
    gaps = []
    for row in rows:
        groups = segments(row)
        for one, two in pairwise(groups):
            middle = (one[-1].x1 + two[0].x0) / 2
            if low < middle < high:
                gaps.append((middle, one, two))
    if len(gaps) < 8:
        return None
    gutter = median(gap[0] for gap in gaps)
    near = [gap for gap in gaps if gap[1][-1].x1 < gutter < gap[2][0].x0]
    crossing = sum(1 for row in rows if any(g[0].x0 < gutter < g[-1].x1 for g in segments(row)))
    if len(near) < 8 or crossing > 0.35 * len(rows):
        return None
    starts = [round(gap[2][0].x0 / 4) for gap in near]
    aligned = max(sum(1 for s in starts if abs(s - start) <= 1) for start in set(starts))
    prose = min(median(weight(gap[1]) for gap in near), median(weight(gap[2]) for gap in near))
    return gutter if aligned >= 0.6 * len(near) and prose >= 20 else None


def _by_columns(rows: list[Line], gutter: float) -> list[Line]:
    ordered: list[Line] = []
    left: list[Line] = []
    right: list[Line] = []
    for row in rows:
        if any(g[0].x0 < gutter < g[-1].x1 for g in segments(row)):
            ordered += [*left, *right, row]
            left, right = [], []
            continue
        one = [word for word in row.words if word.x1 <= gutter]
        two = [word for word in row.words if word.x1 > gutter]
        if one:
            left.append(Line(one, row.page))
        if two:
            right.append(Line(two, row.page))
    return [*ordered, *left, *right]
