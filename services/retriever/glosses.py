"""What the cells of a row are called in the other language, by the list of the trade's terms."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from schemas.retrieval import Hit, Passage
from services.retriever.lexicon import Lexicon

_LONGEST = 80
"""Characters of a cell that may be a name."""
_HAN = re.compile(r"[\u3400-\u9fff]")
_LETTER = re.compile(r"[A-Za-z]{2}")
_BEFORE = re.compile(r".*[:：]\s*", re.DOTALL)


def glossed(hits: Sequence[Hit], lang: str, lexicon: Lexicon) -> list[Hit]:
    """Return the hits, each with what its short cells are called in a language.

    Only what is a term of the list as a whole, or behind a colon: names put together word by word
    would be wrong too often.
    """
    if lang not in ("en", "zh"):
        return list(hits)
    return [
        msgspec.structs.replace(hit, called=called)
        if (called := _called(hit.passage, lang, lexicon))
        else hit
        for hit in hits
    ]


def _called(passage: Passage, lang: str, lexicon: Lexicon) -> dict[str, str]:
    cells = (" ".join(field.value.split()) for field in passage.fields)
    named = {cell: _name(cell, lang, lexicon) for cell in cells if len(cell) <= _LONGEST}
    return {cell: name for cell, name in named.items() if name}


def _name(cell: str, lang: str, lexicon: Lexicon) -> str:
    other = _HAN if lang == "en" else _LETTER
    mine = _LETTER if lang == "en" else _HAN
    if not other.search(cell) or mine.search(cell):
        return ""
    return lexicon.in_other(cell) or lexicon.in_other(_BEFORE.sub("", cell, count=1))
