"""Pictures of pages to elements: photographs and scans as PNG, JPEG, TIFF, BMP or GIF."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from services.ingest.partition import ocr
from services.ingest.partition.document import Document
from services.ingest.partition.effort import Effort, needed
from services.ingest.partition.page import Page
from services.ingest.partition.pdf import read_pages
from services.ingest.partition.pdfium import Bookmark
from services.runtime.errors import Rejected

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")
MAX_PIXELS = 120_000_000
"""Pixels of a picture beyond which it is a bomb: A3 at 600 dots an inch has 70 million."""
_PAGE_IN = 11.7
"""Height of a page as most are, inches: what a picture says of itself is often wrong."""
_FINE = 2200
"""Longer edge of a photo whose letters are large enough, pixels; smaller ones are magnified."""
_MAGNIFY = 1.5
_HINT = "open it in a picture viewer, save it anew and add that"


def read(path: Path, progress: Callable[[int, int | None], None], effort: Effort) -> Document:
    """Read a picture of a page, or a file of several.

    Raises:
        Rejected: it is damaged, too large, or holds no text.
        NeedsOcr: nothing here can recognise text.
    """
    with warnings.catch_warnings():
        # Pillow's own limit warns at a size that a scanner may well have.
        warnings.simplefilter("ignore")
        return read_pages(_Picture(path, effort), progress, effort)


class _Picture:
    """A picture as a source of pages."""

    title = ""

    def __init__(self, path: Path, effort: Effort) -> None:
        Image.MAX_IMAGE_PIXELS = None
        self._effort = effort
        self._recognizer = ocr.Recognizer(effort)
        try:
            self._image = Image.open(path, formats=FORMATS)
            self.pages = getattr(self._image, "n_frames", 1)
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError, EOFError) as error:
            raise _damaged(error) from error
        if self._image.format == "GIF":
            self.pages = 1  # the rest is an animation

    def bookmarks(self) -> list[Bookmark]:
        """Return nothing: pictures have none."""
        return []

    def close(self) -> None:
        """Close the file."""
        self._recognizer.close()
        self._image.close()

    def read(self) -> Iterator[Page]:
        """Yield the pages."""
        frames = ImageSequence.Iterator(self._image)
        for number in range(1, self.pages + 1):
            if not self._effort.may(number):
                if self._effort.missed:
                    raise needed(self.pages)
                yield Page(number, "", 0, 0, [], [], 1)
                continue
            try:
                grey, dpi = _grey(next(frames))
            except StopIteration:
                return
            except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
                raise _damaged(error) from error
            yield self._recognizer.page(number, "", grey, dpi)


def _grey(frame: Any) -> tuple[Any, float]:
    """Return a picture as grey values, upright as the camera knew it, and its pixels an inch."""
    width, height = frame.size
    if width * height > MAX_PIXELS:
        raise Rejected(
            "read picture",
            f"it has {width} × {height} pixels, more than any page needs",
            "save it smaller and add that",
        )
    if min(width, height) < 16:
        raise Rejected("read picture", f"it has only {width} × {height} pixels: no page")
    # Transparent is paper; and 16 bits a pixel must become 8 before it becomes grey.
    if frame.mode in ("RGBA", "LA", "PA", "P"):
        shown = frame.convert("RGBA")
        paper = Image.new("RGBA", shown.size, "white")
        frame_grey = Image.alpha_composite(paper, shown).convert("L")
        frame_grey.info = frame.info
    elif frame.mode.startswith(("I", "F")):
        values = np.asarray(frame, dtype=np.float64)
        most = max(float(values.max()), 1.0)
        frame_grey = Image.fromarray((values * (255.0 / most)).clip(0, 255).astype(np.uint8))
    else:
        frame_grey = frame.convert("L")
    turned = ImageOps.exif_transpose(frame).size if frame.getexif().get(274, 1) != 1 else None
    if turned is not None:
        frame_grey.getexif()[274] = frame.getexif()[274]
        frame_grey = ImageOps.exif_transpose(frame_grey)
    width, height = frame_grey.size
    scale = _MAGNIFY if max(width, height) < _FINE else 1.0
    scale = min(scale, math.sqrt(ocr.MAX_PIXELS / (width * height)))
    if scale != 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame_grey = frame_grey.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(frame_grey), max(frame_grey.size) / _PAGE_IN


def _damaged(error: Exception) -> Rejected:
    return Rejected("read picture", f"the picture is damaged ({type(error).__name__})", _HINT)
