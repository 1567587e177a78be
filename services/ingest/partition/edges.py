"""Ruling lines of a page as the edges of its tables' cells (pure)."""

from __future__ import annotations

from typing import Any

from pdfplumber.table import merge_edges

from services.ingest.partition.page import Page, Rule

MAX_EDGES = 1_500
"""Ruling lines of a page beyond which it is a drawing."""
_SNAP = 3.0
"""Lines this close are one, points."""
_SPACED = 4.5
"""White between the boxes where each cell has one of its own, points, at most."""
_OPEN = 120.0
"""Height of a row that a page break left open, points, at most."""
_CLOSED = 4.0
"""How near its upright lines' end a line closes a table, points, at most."""
_MARGIN = 4
"""Lines of a page's head or foot, at most."""


def find(page: Page) -> tuple[list[dict[str, Any]], float]:
    """Return the edges as pdfplumber has them, and how near two must come to meet, points.

    No edges where they cannot make a table, or are so many that it is a drawing.
    """
    edges = [_edge(rule) for rule in page.rules if _inside(rule, page)]
    upright = sum(1 for edge in edges if edge["orientation"] == "v")
    if upright < 2 or len(edges) - upright < 2 or len(edges) > 8 * MAX_EDGES:
        return [], _SNAP
    join = _SPACED if _boxed(edges) else _SNAP
    lines = merge_edges(edges, _SNAP, _SNAP, join, join)
    lines = [e for e in lines if max(e["x1"] - e["x0"], e["bottom"] - e["top"]) > 5]
    if len(lines) > MAX_EDGES:
        return [], join
    lines += _sides(lines)
    lines += _ends(lines, page)
    return lines, join


def _inside(rule: Rule, page: Page) -> bool:
    return (
        rule.x1 >= -5
        and rule.x0 <= page.width + 5
        and rule.bottom >= -5
        and rule.top <= page.height + 5
    )


def _sides(edges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the left and right sides of tables that are drawn open there.

    Three lines or more from the same left to the same right edge, with upright lines between,
    make a table; without its sides its first and last column would be lost.
    """
    flat: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for edge in edges:
        if edge["orientation"] == "h" and edge["x1"] - edge["x0"] > 100:
            flat.setdefault((round(edge["x0"] / 3), round(edge["x1"] / 3)), []).append(edge)
    upright = [edge for edge in edges if edge["orientation"] == "v"]
    sides = []
    for lines in flat.values():
        top, bottom = min(e["top"] for e in lines), max(e["top"] for e in lines)
        left, right = lines[0]["x0"], lines[0]["x1"]
        within = [e for e in upright if e["top"] < bottom and e["bottom"] > top]
        if len(lines) < 3 or not _divided(within, left, right, bottom - top):
            continue
        sides += [
            _edge(Rule(x, top, x, bottom))
            for x in (left, right)
            if not any(abs(e["x0"] - x) <= 5 for e in within)
        ]
    return sides


def _ends(edges: list[dict[str, Any]], page: Page) -> list[dict[str, Any]]:
    """Return the upper and lower ends of tables that a page break left open.

    Three upright lines or more, that end together beyond a line from the first to the last of
    them, and beyond which nothing of the page is but its head or foot.
    """
    flat = [edge for edge in edges if edge["orientation"] == "h"]
    ends = []
    for side, low, high in (("top", 0.0, 0.2), ("bottom", 0.8, 1.0)):
        level: dict[int, list[dict[str, Any]]] = {}
        for edge in edges:
            if edge["orientation"] == "v" and low <= edge[side] / page.height <= high:
                level.setdefault(round(edge[side] / _SNAP), []).append(edge)
        for lines in level.values():
            y = lines[0][side]
            if len(lines) < 3 or not _outermost(page, y, side):
                continue
            taken: list[dict[str, Any]] = [e for e in flat if abs(e["top"] - y) <= _CLOSED]
            within = [e for e in flat if 0 < (e["top"] - y) * (1 if side == "top" else -1) < _OPEN]
            for line in sorted(within, key=lambda e: abs(e["top"] - y)):
                places = [e["x0"] for e in lines if line["x0"] - 5 <= e["x0"] <= line["x1"] + 5]
                if len(places) < 3 or any(_overlap(line, other) for other in taken):
                    continue
                left, right = min(places), max(places)
                if left <= line["x0"] + 5 and right >= line["x1"] - 5:
                    ends.append(_edge(Rule(left, y, right, y)))
                    taken.append(ends[-1])
    return ends


def _overlap(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return bool(one["x0"] < two["x1"] - 5 and one["x1"] > two["x0"] + 5)


def _outermost(page: Page, y: float, side: str) -> bool:
    """Return whether no more than a head or a foot stands beyond a height of a page."""
    beyond = [w.middle for w in page.words if (w.middle < y if side == "top" else w.middle > y)]
    return len({round(middle / 6) for middle in beyond}) <= _MARGIN


def _divided(edges: list[dict[str, Any]], left: float, right: float, height: float) -> bool:
    """Return whether an upright line between two sides runs down all of it, or nearly."""
    runs: dict[int, float] = {}
    for edge in edges:
        if left + 5 < edge["x0"] < right - 5:
            place = round(edge["x0"] / 3)
            runs[place] = runs.get(place, 0.0) + edge["bottom"] - edge["top"]
    return any(run >= 0.8 * height for run in runs.values())


def _boxed(edges: list[dict[str, Any]]) -> bool:
    """Return whether each cell has a box of its own: most upright lines stand beside their like."""
    places = sorted(
        (edge["x0"], round(edge["top"]), round(edge["bottom"]))
        for edge in edges
        if edge["orientation"] == "v" and edge["bottom"] - edge["top"] > _SNAP
    )
    twins = 0
    for index, (x, top, bottom) in enumerate(places):
        for other, above, below in places[index + 1 :]:
            if other - x > _SPACED:
                break
            if other - x > 1 and abs(above - top) <= 1 and abs(below - bottom) <= 1:
                twins += 1
                break
    return twins > 0.3 * len(places)


def _edge(rule: Rule) -> dict[str, Any]:
    if rule.horizontal:
        y = (rule.top + rule.bottom) / 2
        box = (rule.x0, y, rule.x1, y)
    else:
        x = (rule.x0 + rule.x1) / 2
        box = (x, rule.top, x, rule.bottom)
    return {
        "x0": box[0],
        "top": box[1],
        "x1": box[2],
        "bottom": box[3],
        "width": box[2] - box[0],
        "height": box[3] - box[1],
        "orientation": "h" if rule.horizontal else "v",
        "object_type": "line",
        "doctop": box[1],
    }
