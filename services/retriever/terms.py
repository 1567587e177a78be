"""The terms of a list and the words of a question, in one form (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import msgspec

from services.retriever.codes import fold
from services.retriever.tokens import is_cjk, running_tokens, stem
from services.retriever.traditional import simplified

OFFERED = 6
"""Terms of a concept that are searched for, in each language: the first; all are recognised."""
UNIT = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[^\W_]")
_COMMA = re.compile(r"[,|，、｜]")
_HAN = re.compile(r"[\u4e00-\u9fff]+\Z")
_LATIN = re.compile(r"[A-Za-z][A-Za-z /\-]*\Z")
_WORDS = re.compile(r"[a-z]+")
_MARKS = "~=>@"


class Term(msgspec.Struct, frozen=True, gc=False):
    """A term of a concept."""

    text: str
    key: str
    marks: str
    tokens: tuple[str, ...]
    zh: bool
    short: bool
    """An abbreviation."""


class Unit(msgspec.Struct, frozen=True, gc=False):
    """A word or a Chinese character of a question."""

    key: str
    start: int
    end: int


class Expansion(msgspec.Struct, frozen=True, gc=False):
    """Another way to say some words of a question."""

    start: int
    """Where those words begin in the question, characters."""
    end: int
    """Where they end."""
    words: tuple[str, ...]
    """Those words as tokens of the index."""
    tokens: tuple[str, ...]
    """What to search for instead; several are a phrase."""
    lang: Literal["en", "zh"]
    """Language of the tokens."""
    weight: float
    """How surely it means the same, up to 1."""
    maker: bool = False
    """Both are names of a maker or a product: they say which documents are meant."""


def plain_form(text: str) -> str:
    """Return the text, of the same length, without capitals, full-width and traditional forms."""
    folded = fold(text)
    lower = folded.lower()
    if len(lower) != len(folded):  # a few capitals have two small letters
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in folded)
    return simplified(lower)


def _parts(line: str) -> list[str]:
    return [part.strip() for part in _COMMA.split(line)]


def keyed(line: str) -> Iterator[tuple[str, str]]:
    """Yield the terms of a line in small letters and their keys."""
    for side in line.split("|"):
        # Half of a list is ASCII, for which this need not be done, and the list is long.
        plain = side.lower() if side.isascii() else plain_form(side)
        for part in _COMMA.split(plain):
            text = part.strip().lstrip(_MARKS).lstrip()
            yield text, text if _HAN.match(text) else key_of(text)


def terms_of(line: str) -> list[Term]:
    """Return the terms of a line: the first `OFFERED` of each language with their tokens."""
    terms: list[Term] = []
    offered = {True: 0, False: 0}
    for part in _parts(fold(line)):
        text = part.lstrip(_MARKS)
        marks = part[: len(part) - len(text)]
        text = text.strip()
        zh = is_cjk(text)
        tokens: tuple[str, ...] = ()
        if ">" not in marks and offered[zh] < OFFERED:
            tokens = _tokens(text)
            offered[zh] += 1
        short = text.isupper() and len(text) <= 6 and not zh
        terms.append(Term(text, key_of(plain_form(text)), marks, tokens, zh, short))
    return terms


def _tokens(text: str) -> tuple[str, ...]:
    """Return what `running_tokens` does, ten times as fast for what most terms are."""
    if _HAN.match(text) and len(text) > 1:
        return tuple([text[i : i + 2] for i in range(len(text) - 1)])
    if _LATIN.match(text):
        return tuple([cached_stem(word) for word in _WORDS.findall(text.lower())])
    return tuple(running_tokens(text))


def key_of(plain: str) -> str:
    """Return the letters of a term: stems without spaces and hyphens."""
    return "".join(map(cached_stem, UNIT.findall(plain)))


@lru_cache(maxsize=4096)
def cached_stem(word: str) -> str:
    """Return the stem of a word; whoever read a whole list clears the cache."""
    return stem(word.replace("'", "")) if len(word) > 1 else word


def units_of(plain: str) -> list[Unit]:
    """Return the words and Chinese characters of a text in its plain form."""
    return [
        Unit(cached_stem(match[0]), match.start(), match.end()) for match in UNIT.finditer(plain)
    ]
