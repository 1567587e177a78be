"""What a reader of pages knows of one page: words, lines and ruling lines (pure data)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from services.ingest import language


@dataclass(slots=True)
class Word:
    """A run of characters without white space."""

    text: str
    x0: float
    top: float
    """Distance from the page's top edge, points; grows downwards."""
    x1: float
    bottom: float
    size: float
    """Height of the font's line box, points: some files report 1 as their font size."""
    bold: bool
    hyphen: bool = False
    """Whether it ends in a hyphen that the line's end put there."""
    sideways: bool = False
    """Whether it is a whole line that runs up, down or upside down."""

    @property
    def middle(self) -> float:
        """Return the vertical middle."""
        return (self.top + self.bottom) / 2


def _space(left: Word, right: Word) -> float:
    """Return the gap above which there is a space between two words of a line, points.

    Chinese characters and punctuation fill a square: their own white is no space.
    """
    last = left.text[-1]
    wide = (
        last > "\u2fff"
        and language.is_cjk(last)
        and (not last.isalpha() or language.is_cjk(right.text[0]))
    )
    return (0.6 if wide else 0.12) * min(left.size, right.size)


@dataclass(eq=False)
class Line:
    """Words on one base line, left to right; they do not change any more."""

    words: list[Word]
    page: int
    """Physical page, from 1."""

    @cached_property
    def x0(self) -> float:
        """Return the left edge."""
        return self.words[0].x0

    @cached_property
    def x1(self) -> float:
        """Return the right edge."""
        return max(word.x1 for word in self.words)

    @cached_property
    def top(self) -> float:
        """Return the top edge."""
        return min(word.top for word in self.words)

    @cached_property
    def bottom(self) -> float:
        """Return the bottom edge."""
        return max(word.bottom for word in self.words)

    @cached_property
    def size(self) -> float:
        """Return the size of most of its characters."""
        sizes: dict[float, int] = {}
        for word in self.words:
            sizes[word.size] = sizes.get(word.size, 0) + len(word.text)
        return max(sizes, key=lambda size: sizes[size])

    @cached_property
    def bold(self) -> bool:
        """Return whether all of it is bold."""
        return all(word.bold for word in self.words)

    @cached_property
    def sideways(self) -> bool:
        """Return whether it runs up, down or upside down."""
        return self.words[0].sideways

    @cached_property
    def hyphen(self) -> bool:
        """Return whether its last word goes on in the next line."""
        return self.words[-1].hyphen

    @cached_property
    def text(self) -> str:
        """Return the words with spaces where the page shows a gap."""
        if len(self.words) == 1:
            return self.words[0].text
        parts = [self.words[0].text]
        for left, right in pairwise(self.words):
            if right.x0 - left.x1 > _space(left, right):
                parts.append(" ")
            parts.append(right.text)
        return "".join(parts)


@dataclass(slots=True)
class Rule:
    """A straight ruling line; also each edge of a drawn box."""

    x0: float
    top: float
    x1: float
    bottom: float

    @property
    def horizontal(self) -> bool:
        """Return whether it runs from left to right."""
        return self.x1 - self.x0 >= self.bottom - self.top


@dataclass(slots=True)
class Page:
    """One page as it was read."""

    number: int
    """Physical page, from 1."""
    label: str
    """Page number as printed, empty where unknown."""
    width: float
    height: float
    words: list[Word]
    rules: list[Rule] = field(default_factory=list)
    pictures: int = 0
    """How many pictures are on it."""
