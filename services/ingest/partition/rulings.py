"""Straight lines drawn on a page of a PDF, by pdfium."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pypdfium2 import raw

from services.ingest.partition.page import Rule

MAX_PATHS = 20_000
"""Drawn paths of a page that are looked at: a drawing with more is no table."""
MAX_SEGMENTS = 400
"""Segments of a path that is looked at."""
_THIN = 2.5
"""A filled box no wider than this is a line, points."""
_DEPTH = 4
"""Forms within forms that are looked into."""


class Turn:
    """From pdfium's page space (origin at the bottom left, before rotation) to ours."""

    def __init__(self, page: Any) -> None:
        self.left, self.bottom, self.right, self.top = page.get_bbox()
        self.rotation = page.get_rotation()

    def box(
        self, left: float, bottom: float, right: float, top: float
    ) -> tuple[float, float, float, float]:
        """Return x0, top, x1, bottom with the origin at the top left of the page as shown."""
        match self.rotation:
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
            case 270:
                return (self.top - top, self.right - right, self.top - bottom, self.right - left)
            case _:
                return (left - self.left, self.top - top, right - self.left, self.top - bottom)


def find(page: Any, turn: Turn) -> tuple[list[Rule], int]:
    """Return the straight lines drawn on a page, and how many pictures it has.

    No lines when it is a drawing of too many paths.
    """
    pictures = 0
    rules: list[Rule] = []
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
                rules.extend(_lines_of(item, matrix, turn))
    return rules, pictures


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
