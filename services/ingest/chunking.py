"""Elements to passages (pure): text in pieces of so many tokens, table rows, fault entries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from unstructured.chunking.title import chunk_by_title

from schemas.retrieval import Field, Passage
from services.ingest import faults, language, tables

Count = Callable[[str], int]
"""Tells how many tokens a text has."""

MAX_ROW_TOKENS = 2048
"""A row or an entry is kept whole up to this many tokens; its text, not its fields, ends there."""
MAX_PATH = 6
"""Levels of a section path."""
_SENTENCE = re.compile(r"(?<=[.!?])\\s+|(?<=[。！？；])|\\n")
_HUGE = 1_000_000_000


@dataclass(slots=True, frozen=True)
class Sizes:
    """How large passages are, tokens."""

    tokens: int = 512
    """At most in a passage of running text."""
    overlap: int = 64
    """Of these, repeated from the one before."""


@dataclass(slots=True)
class _Draft:
    """A passage without its place in the document."""

    kind: str
    text: str
    page: int | None
    label: str
    section: str
    fields: list[Field] = field(default_factory=list)


def passages(
    elements: Sequence[Any],
    count: Count,
    sizes: Sizes | None = None,
    labels: dict[int, str] | None = None,
) -> Iterator[Passage]:
    """Yield the passages of a document, ordinals from 0 without gaps, pages never going back.

    Args:
        elements: unstructured's elements in reading order.
        count: Number of tokens in a text, as the embedding model counts them.
        sizes: How large passages are.
        labels: Printed page numbers by physical page.
    """
    sizes = sizes or Sizes()
    labels = labels or {}
    page: int | None = None
    for ordinal, draft in enumerate(_drafts(elements, count, sizes)):
        if draft.page is not None:
            page = max(page or 1, draft.page)
        yield Passage(
            ordinal=ordinal,
            page=page if draft.page is not None else None,
            page_label=draft.label or labels.get(draft.page or 0, ""),
            section=draft.section,
            kind=draft.kind,  # type: ignore[arg-type]
            text=draft.text,
            fields=draft.fields,
            lang=language.of(draft.text),
        )
