"""Straight lines drawn on a page of a PDF, by pdfium."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pypdfium2 import raw

from services.ingest.partition import shades, stripes
from services.ingest.partition.page import Rule
from services.ingest.partition.shades import Box, Color, Shade

MAX_PATHS = 20_000
"""Drawn paths of a page that are looked at: a drawing with more is no table."""
MAX_SEGMENTS = 400
"""Segments of a path that is looked at."""
_THIN = 2.5
"""A filled box no wider than this is a line, points."""
_SHORTEST = 3.0
"""A shorter line bounds no cell, points."""
_DEPTH = 4
"""Forms within forms that are looked into."""


@dataclass(slots=True, frozen=True)
class Turn:
    """From pdfium's page space (origin at the bottom left, before rotation) to ours."""

    left: float
    bottom: float
    right: float
    top: float
    rotation: int
    """Clockwise, 0, 90, 180 or 270 degrees."""

    @classmethod
    def of(cls, page: Any) -> Turn:
        """Return how a page is shown."""
        left, bottom, right, top = page.get_bbox()
        return cls(left, bottom, right, top, page.get_rotation())

    def turned(self, degrees: int) -> Turn:
        """Return this, and clockwise by so many degrees more."""
        return replace(self, rotation=(self.rotation + degrees) % 360)

    @property
    def size(self) -> tuple[float, float]:
        """Return width and height of the page as shown."""
        width, height = self.right - self.left, self.top - self.bottom
        return (width, height) if self.rotation % 180 == 0 else (height, width)

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Return x0, top, x1, bottom with the origin at the top left of the page as shown."""
        match self.rotation:
            case 0:
                return (left - self.left, self.top - top, right - self.left, self.top - bottom)
            case 90:
                return (
                    bottom - self.bottom,
                    left - self.left,
                    top - self.bottom,
                    right - self.left,
                )
            case 180:
                return (
                    self.right - right,
                    bottom - self.bottom,
                    self.right - left,
                    top - self.bottom,
                )
            case _:
                return (self.top - top, self.right - right, self.top - bottom, self.right - left)

    def unturned(self, x0: float, top: float, x1: float, bottom: float) -> Box:
        """Return left, bottom, right, top in pdfium's page space: what `box` undoes."""
        match self.rotation:
            case 0:
                return (x0 + self.left, self.top - bottom, x1 + self.left, self.top - top)
            case 90:
                return (top + self.left, x0 + self.bottom, bottom + self.left, x1 + self.bottom)
            case 180:
                return (self.right - x1, top + self.bottom, self.right - x0, bottom + self.bottom)
            case _:
                return (self.right - bottom, self.top - x1, self.right - top, self.top - x0)


def find(page: Any, turn: Turn) -> tuple[list[Rule], int]:
    """Return the straight lines drawn on a page, and how many pictures it has.

    No lines when it is a drawing of too many paths.
    """
    pictures = 0
    rules: list[Rule] = []
    fills: list[Shade] = []
    seen = 0
    stack: list[tuple[Any, int, raw.FS_MATRIX | None]] = [(page, -1, None)]
    while stack:
        holder, depth, matrix = stack.pop()
        if depth < 0:
            count, get = raw.FPDFPage_CountObjects(holder), raw.FPDFPage_GetObject
        else:
            count, get = raw.FPDFFormObj_CountObjects(holder), raw.FPDFFormObj_GetObject
        for index in range(max(count, 0)):
            item = get(holder, index)
            kind = raw.FPDFPageObj_GetType(item)
            if kind == raw.FPDF_PAGEOBJ_FORM and depth + 1 < _DEPTH:
                stack.append((item, depth + 1, _product(_matrix(item), matrix)))
            elif kind == raw.FPDF_PAGEOBJ_IMAGE:
                pictures += 1
            elif kind == raw.FPDF_PAGEOBJ_PATH:
                seen += 1
                if seen > MAX_PATHS:
                    return [], pictures
                if depth >= 0 or not _speck(item):
                    lines = list(_lines_of(item, matrix, turn))
                    rules += lines
                    if lines and not _stroked(item):
                        fills.append(Shade.of(lines, _color(item)))
    drop = shades.unbounding(fills, rules)
    kept = [rule for rule in rules if id(rule) not in drop] if drop else rules
    return [*kept, *stripes.bridges(fills, kept)], pictures


def _color(item: Any) -> Color:
    parts = [ctypes.c_uint() for _ in range(4)]
    raw.FPDFPageObj_GetFillColor(item, *parts)
    return tuple(part.value for part in parts)


def _stroked(item: Any) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(item, fill, stroke)
    return bool(stroke.value)


def _speck(item: Any) -> bool:
    """Return whether a path is too small for a line of a table: part of a drawing or a letter."""
    sides = [ctypes.c_float() for _ in range(4)]
    if not raw.FPDFPageObj_GetBounds(item, *sides):
        return False
    left, bottom, right, top = (side.value for side in sides)
    return max(right - left, top - bottom) < _SHORTEST


def _matrix(item: Any) -> raw.FS_MATRIX:
    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(item, matrix):
        matrix.a = matrix.d = 1.0
    return matrix


def _product(first: Any, second: Any) -> Any:
    if second is None:
        return first
    result = raw.FS_MATRIX()
    result.a = first.a * second.a + first.b * second.c
    result.b = first.a * second.b + first.b * second.d
    result.c = first.c * second.a + first.d * second.c
    result.d = first.c * second.b + first.d * second.d
    result.e = first.e * second.a + first.f * second.c + second.e
    result.f = first.e * second.b + first.f * second.d + second.f
    return result


def _lines_of(item: Any, outer: Any, turn: Turn) -> Iterator[Rule]:
    """Yield the straight lines of a path: thin filled boxes, and strokes along the axes."""
    pieces = _pieces(item, _product(_matrix(item), outer))
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(item, fill, stroke)
    for piece in pieces:
        if not all(math.isfinite(value) for point in piece for value in point):
            continue
        left, right = min(p[0] for p in piece), max(p[0] for p in piece)
        low, high = min(p[1] for p in piece), max(p[1] for p in piece)
        if min(right - left, high - low) <= _THIN:
            if max(right - left, high - low) > _THIN:
                yield Rule(*turn.box(left, low, right, high))
        elif stroke.value or (fill.value and _is_box(piece)):
            for (ax, ay), (bx, by) in pairwise(piece):
                if min(abs(ax - bx), abs(ay - by)) < 0.5 < max(abs(ax - bx), abs(ay - by)):
                    yield Rule(*turn.box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)))


def _pieces(item: Any, matrix: Any) -> list[list[tuple[float, float]]]:
    """Return the runs of straight lines of a path; none when it is curved or has too many."""
    count = raw.FPDFPath_CountSegments(item)
    pieces: list[list[tuple[float, float]]] = []
    if not 2 <= count <= MAX_SEGMENTS:
        return pieces
    for index in range(count):
        kind, x, y, closes = _point(raw.FPDFPath_GetPathSegment(item, index), matrix)
        if kind == raw.FPDF_SEGMENT_MOVETO or not pieces:
            pieces.append([(x, y)])
        elif kind == raw.FPDF_SEGMENT_LINETO:
            pieces[-1].append((x, y))
        else:
            return []
        if closes:
            pieces[-1].append(pieces[-1][0])
    return pieces


def _is_box(piece: list[tuple[float, float]]) -> bool:
    """Return whether a filled outline is a box: a shaded cell's edges bound it like lines."""
    return 4 <= len(piece) <= 6 and len({round(p[0]) for p in piece}) == 2


def _point(segment: Any, matrix: Any) -> tuple[int, float, float, bool]:
    x, y = ctypes.c_float(), ctypes.c_float()
    raw.FPDFPathSegment_GetPoint(segment, x, y)
    return (
        raw.FPDFPathSegment_GetType(segment),
        x.value * matrix.a + y.value * matrix.c + matrix.e,
        x.value * matrix.b + y.value * matrix.d + matrix.f,
        bool(raw.FPDFPathSegment_GetClose(segment)),
    )
