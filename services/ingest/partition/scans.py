"""Which pages of a PDF are pictures of text, and their rendering by pdfium."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pypdfium2 import raw

from services.ingest.partition.effort import Effort
from services.ingest.partition.page import Page, Word

if TYPE_CHECKING:
    from services.ingest.partition.ocr import Recognizer

FEW = 200
"""Characters up to which a page's text may be only its running head, or a stamp."""
_COVER = 0.5
"""Share of the page that pictures must cover for that."""
_DRAWN = 30
"""Things drawn on a page without text and pictures that may be letters without fonts."""
_DEPTH = 2
"""Forms within forms that are looked into for pictures."""
_LEAST_WIDTH = 700
"""A page is rendered at least as wide, pixels; finer than its picture is of no use otherwise."""
_LEAST_EDGE = 300
"""A picture needs as many pixels along an edge to be one of text."""


class Scans:
    """Reads the pages of a PDF that are pictures; what it needs for that is loaded at the first."""

    def __init__(self, effort: Effort) -> None:
        """Make it; what it does is counted in `effort`."""
        self._effort = effort
        self._recognizer: Recognizer | None = None

    def close(self) -> None:
        """Free the languages."""
        if self._recognizer:
            self._recognizer.close()

    def read(self, page: Any, found: Page) -> Page:
        """Return a page with what recognition adds to it: unchanged unless it is a picture of text.

        Args:
            page: pdfium's page.
            found: What was read from it.
        """
        letters = sum(len(word.text) for word in found.words)
        if letters > FEW or not found.width or not found.height:
            return found
        covered, native = _pictures(page, found.width * found.height)
        drawn = letters == 0 and (covered > 0 or _outlines(page))
        if not (drawn or covered >= _COVER) or not self._effort.may(found.number):
            return found
        if self._recognizer is None:
            from services.ingest.partition.ocr import Recognizer  # noqa: PLC0415  (heavy, rare)

            self._recognizer = Recognizer(self._effort)
        picture, dpi = _rendered(page, found, native)
        seen = self._recognizer.page(found.number, found.label, picture, dpi)
        # Text that is there is right: recognised words only fill what it leaves.
        words = [w for w in seen.words if not any(_same(w, o) for o in found.words)]
        return replace(
            seen,
            words=found.words + words,
            rules=found.rules or seen.rules,
            pictures=max(found.pictures, 1),
        )


def _pictures(page: Any, area: float) -> tuple[float, float]:
    """Return the share of the page that pictures cover, and the pixels a point of the finest."""
    covered = finest = 0.0
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=_DEPTH):
        left, bottom, right, top = item.get_bounds()
        width, height = item.get_px_size()
        if not all(map(math.isfinite, (left, bottom, right, top))) or right <= left:
            continue
        covered += (right - left) * (top - bottom) / area
        if max(width, height) >= _LEAST_EDGE:
            finest = max(finest, width / (right - left))
    return min(covered, 1.0), finest


def _outlines(page: Any) -> bool:
    """Return whether so much is drawn that it may be text without fonts."""
    return int(raw.FPDFPage_CountObjects(page.raw)) >= _DRAWN


def _rendered(page: Any, found: Page, native: float) -> tuple[Any, float]:
    """Return the page as grey values and their pixels an inch; no finer than the picture is."""
    from services.ingest.partition import ocr  # noqa: PLC0415  (loaded by now)

    scale = ocr.DPI / 72
    if 0 < native < scale:
        scale = max(native, min(scale, _LEAST_WIDTH / found.width))
    scale = min(scale, math.sqrt(ocr.MAX_PIXELS / (found.width * found.height)))
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        # A copy: what pdfium drew is freed with its bitmap.
        values = bitmap.to_numpy().copy()
    finally:
        bitmap.close()
    return values.reshape(values.shape[:2]), 72 * scale


def _same(one: Word, other: Word) -> bool:
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    return wide > 0 and high > 0.3 * (one.bottom - one.top)
