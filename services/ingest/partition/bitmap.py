"""Pictures of pages as arrays of grey values: shadows out, lines level, rulings found (numpy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Grey = Any
"""uint8, shape (height, width), 0 black."""
Mask = Any
"""bool, same shape."""

_TILE = 16
"""Edge of the squares the paper's brightness is taken from, pixels."""
_DARK = 0.72
"""Share of the paper's brightness below which a pixel is ink."""
_RULE_IN = 0.5
"""Length from which a run of ink is a ruling line, inches; letters are shorter."""
_RULE_PX = 100
"""The same in pixels, whichever is more: what a picture says of its inches may be nonsense."""
_MAX_RULES = 4_000
_BANDS = 14
_SLOPES = [step / 400 for step in range(-72, 73)]
"""Slopes that are tried: up to 10 degrees."""


@dataclass(slots=True, frozen=True)
class Stroke:
    """A ruling line; pixels."""

    x0: int
    top: int
    x1: int
    bottom: int


@dataclass(slots=True, frozen=True)
class Slope:
    """How text lines rise over a picture: `base + growth * y` pixels down a pixel right."""

    base: float
    growth: float

    def most(self, height: int, width: int) -> float:
        """Return the largest distance it moves a pixel, pixels."""
        return max(abs(self.base), abs(self.base + self.growth * height)) * width / 2


def even(grey: Grey) -> Grey:
    """Return a picture with white paper: shadows and grey cells become as bright as the rest."""
    height, width = grey.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    padded = np.pad(grey, ((0, rows * _TILE - height), (0, columns * _TILE - width)), mode="edge")
    tiles = padded.reshape(rows, _TILE, columns, _TILE)
    # The paper is what most of a square's bright half shows; its neighbours smooth it.
    paper = np.percentile(tiles, 85, axis=(1, 3)).astype(np.float32)
    paper = _smooth(_smooth(paper).T).T
    bright = np.repeat(np.repeat(paper, _TILE, axis=0), _TILE, axis=1)[:height, :width]
    return np.clip(grey * (255.0 / np.maximum(bright, 30.0)), 0, 255).astype(np.uint8)


def ink(grey: Grey) -> Mask:
    """Return which pixels of an evened picture are dark."""
    found: Mask = grey < 255 * _DARK
    return found


def slope(dark: Mask) -> Slope:
    """Return how the text lines and rulings of a picture rise.

    In each of some bands the slope is taken at which the rows of ink stand out most, and a line
    is laid through these by the median of the slopes between any two (Theil and Sen).
    """
    small = dark[: dark.shape[0] // 2 * 2, : dark.shape[1] // 2 * 2]
    small = small.reshape(small.shape[0] // 2, 2, -1, 2).any(axis=(1, 3))
    height, width = small.shape
    across = np.arange(width) - width / 2
    tall = max(height // _BANDS, 32)
    centres, slopes = [], []
    for top in range(0, height - tall + 1, max(tall // 2, 1)):
        band = small[top : top + tall]
        share = band.mean()
        if not 0.005 < share < 0.35:  # blank, or no paper at all
            continue
        rows, columns = np.nonzero(band)
        scores = []
        for candidate in _SLOPES:
            level_rows = np.rint(rows - candidate * across[columns]).astype(np.int64)
            profile = np.bincount(level_rows - level_rows.min())
            scores.append(float((profile.astype(np.float64) ** 2).sum()))
        best = int(np.argmax(scores))
        if scores[best] > 1.15 * float(np.median(scores)) and 0 < best < len(_SLOPES) - 1:
            centres.append(2.0 * (top + tall / 2))
            slopes.append(_SLOPES[best])
    if len(slopes) < 3:
        return Slope(0.0, 0.0)
    pairs = [
        (slopes[j] - slopes[i]) / (centres[j] - centres[i])
        for i in range(len(slopes))
        for j in range(i + 1, len(slopes))
        if centres[j] - centres[i] > 0.15 * 2 * height
    ]
    growth = float(np.median(pairs)) if pairs else 0.0
    base = float(np.median([s - growth * c for s, c in zip(slopes, centres, strict=True)]))
    return Slope(base, growth)


def level(grey: Grey, slope: Slope) -> Grey:
    """Return a picture whose text lines run level."""
    height, width = grey.shape
    across = np.arange(width, dtype=np.float32) - width / 2
    result = np.empty_like(grey)
    columns = np.arange(width)
    for top in range(0, height, 256):  # in bands: the indices of a whole page take 100 MB
        down = np.arange(top, min(top + 256, height), dtype=np.float32)[:, None]
        source = down + (slope.base + slope.growth * down) * across[None, :]
        index = np.clip(np.rint(source), 0, height - 1).astype(np.int32)
        result[top : top + len(down)] = grey[index, columns[None, :]]
    return result


def strokes(dark: Mask, dpi: int) -> list[Stroke]:
    """Return the ruling lines of a picture; none where there are so many that it is a drawing."""
    least, most = max(round(_RULE_IN * dpi), _RULE_PX), max(round(0.06 * dpi), 6)
    flat = _runs(_thick(dark), least, most)
    upright = _runs(_thick(dark.T), least * 3 // 5, most)
    found = [Stroke(x0, y0, x1, y1) for y0, x0, y1, x1 in flat]
    found += [Stroke(x0, y0, x1, y1) for x0, y0, x1, y1 in upright]
    return found if len(found) <= _MAX_RULES else []


def without(grey: Grey, lines: list[Stroke]) -> Grey:
    """Return a picture with ruling lines made white: they confuse recognition."""
    result = grey.copy()
    for line in lines:
        result[
            max(line.top - 1, 0) : line.bottom + 2,
            max(line.x0 - 1, 0) : line.x1 + 2,
        ] = 255
    return result


def _smooth(values: Any) -> Any:
    """Return the largest of three neighbours' values along the first axis, then their mean."""
    edge = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    best = np.maximum(np.maximum(edge[:-2], edge[1:-1]), edge[2:])
    edge = np.pad(best, ((1, 1), (0, 0)), mode="edge")
    return (edge[:-2] + edge[1:-1] + edge[2:]) / 3


def _thick(dark: Mask) -> Mask:
    """Return ink spread by a pixel up and down: a line that wavers stays one run."""
    thick = dark.copy()
    thick[1:] |= dark[:-1]
    thick[:-1] |= dark[1:]
    return thick


def _runs(dark: Mask, least: int, most: int) -> list[tuple[int, int, int, int]]:
    """Return the boxes (top, left, bottom, right) of horizontal runs, touching ones merged.

    Args:
        dark: Where there is ink.
        least: Length from which a run counts, pixels.
        most: Thickness beyond which what runs make up is an area, not a line, pixels.
    """
    edges = np.diff(np.pad(dark, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    long = ends - starts >= least
    merged: list[list[int]] = []
    open_: list[list[int]] = []
    for row, start, end in zip(
        rows[long].tolist(), starts[long].tolist(), ends[long].tolist(), strict=True
    ):
        open_ = [box for box in open_ if box[2] >= row - 1]
        for box in open_:
            if start <= box[3] and end >= box[1]:
                box[1], box[2], box[3] = min(box[1], start), row, max(box[3], end)
                break
        else:
            box = [row, start, row, end]
            open_.append(box)
            merged.append(box)
    return [(a, b, c, d) for a, b, c, d in merged if c - a <= most + 2]
