"""Running text in pieces of so many tokens, cut where a reader would pause (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Count = Callable[[str], int]
"""Tells how many tokens a text has."""

_PAUSE = re.compile(r"(?<=[.!?])[ \t]+|(?<=[。！？；])|\n+")
_SPACE = re.compile(r"\s+|(?<=[\u3400-\u9fff，。；：、])")

_REMEMBERED = 100_000
"""Words whose tokens are remembered."""
_PAGE_SHARE = 16
"""A piece ends with its page once it has this part of what it may have: so that the page it
names is the one its words are on."""


class WordCount:
    """Counts the tokens of a text word by word, each different word asked for once.

    A model's tokenizer first cuts a text at its white space, so that the tokens of the words add
    up to those of the text; manuals repeat their words.
    """

    def __init__(self, count: Count) -> None:
        self._count = count
        self._known: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """Return the number of tokens."""
        known = self._known
        total = 0
        for word in text.split():
            tokens = known.get(word)
            if tokens is None:
                if len(known) >= _REMEMBERED:
                    known.clear()
                tokens = known[word] = self._count(word)
            total += tokens
        return total


@dataclass(slots=True, frozen=True)
class Unit:
    """A stretch of text that came from one place."""

    text: str
    page: int | None = None
    """Physical page, None where the format has none."""
    label: str = ""
    """Printed page number."""


@dataclass(slots=True, frozen=True)
class Piece:
    """Text that fits."""

    text: str
    page: int | None
    """Page of its first words that no earlier piece has."""
    label: str
    own: int = 0
    """Characters it shares with the piece before, at its beginning."""


def split(
    units: Sequence[Unit], count: Count, tokens: int, overlap: int = 0, *, whole: bool = False
) -> Iterator[Piece]:
    """Yield pieces of at most `tokens` tokens, each beginning with the end of the one before.

    Units are lines of their own. A cut falls on a line's or sentence's end where there is one,
    else between words, and inside a word only when it alone is longer than a piece.

    Args:
        units: The text in order.
        count: Number of tokens in a text.
        tokens: Most tokens of a piece, at least 1.
        overlap: Most tokens repeated from the piece before; less than half of `tokens` is used.
        whole: Whether a piece goes on over the end of a page as long as there is room.
    """
    overlap = min(overlap, tokens // 2 - 1)
    atoms = [(atom, unit) for unit in units for atom in _atoms(unit.text + "\n", count, tokens)]
    sizes = [count(atom) for atom, _ in atoms]
    start = 0
    tail = ""
    while start < len(atoms):
        size = count(tail) if tail else 0
        end = start
        while end < len(atoms) and (end == start or size + sizes[end] <= tokens):
            if (
                not whole
                and _turns(atoms, start, end)
                and sum(sizes[start:end]) >= tokens // _PAGE_SHARE
            ):
                break
            size += sizes[end]
            end += 1
        body = "".join(atom for atom, _ in atoms[start:end])
        while end > start + 1 and count((tail + body).strip()) > tokens:
            end -= 1
            body = "".join(atom for atom, _ in atoms[start:end])
        if tail and count((tail + body).strip()) > tokens:
            tail = ""
        text = (tail + body).strip()
        if text:
            unit = next(u for atom, u in atoms[start:end] if atom.strip() or not body.strip())
            yield Piece(text, unit.page, unit.label, len(tail.lstrip()))
        tail = _tail(tail + body, count, overlap) if end < len(atoms) else ""
        start = end


def _turns(atoms: list[tuple[str, Unit]], start: int, end: int) -> bool:
    """Return whether a new page begins at `end`."""
    return end > start and atoms[end][1].page != atoms[end - 1][1].page


def _atoms(text: str, count: Count, tokens: int) -> Iterator[str]:
    """Yield stretches that fit and add up to the text."""
    for sentence in _cuts(text, _PAUSE):
        if count(sentence) <= tokens:
            yield sentence
            continue
        held, size = "", 0
        for word in _cuts(sentence, _SPACE):
            # Each word is counted once: to count what is held anew with each takes minutes for a
            # line of 100 KB. Together they have no more tokens than each for itself.
            own = count(word)
            if held and size + own > tokens:
                yield from _fitting(held, count, tokens)
                held, size = "", 0
            if own > tokens:
                yield from _letters(held + word, count, tokens)
                held, size = "", 0
            else:
                held += word
                size += own
        if held:
            yield from _fitting(held, count, tokens)


def _fitting(text: str, count: Count, tokens: int) -> Iterator[str]:
    """Yield a stretch that should fit; cut where a tokenizer counts it otherwise."""
    if count(text) <= tokens:
        yield text
    else:
        yield from _letters(text, count, tokens)


def _cuts(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the text cut after each match."""
    start = 0
    for match in pattern.finditer(text):
        if match.end() > start:
            yield text[start : match.end()]
            start = match.end()
    if start < len(text):
        yield text[start:]


def _letters(text: str, count: Count, tokens: int) -> Iterator[str]:
    """Cut a word that is too long; a letter that alone is too much stays alone."""
    start = 0
    while start < len(text):
        low, high = 1, min(len(text) - start, max(16 * tokens, 1))
        while low < high:
            middle = (low + high + 1) // 2
            if count(text[start : start + middle]) <= tokens:
                low = middle
            else:
                high = middle - 1
        yield text[start : start + low]
        start += low


def _tail(text: str, count: Count, overlap: int) -> str:
    """Return the end of a text, of at most `overlap` tokens, from a pause or a word on."""
    if overlap <= 0:
        return ""
    window = text[-12 * overlap :]
    for pattern in (_PAUSE, _SPACE):
        starts = [match.end() for match in pattern.finditer(window)]
        if len(window) == len(text):
            starts.insert(0, 0)
        for start in starts:
            rest = window[start:]
            if rest.strip() and count(rest) <= overlap:
                return rest
    return ""
