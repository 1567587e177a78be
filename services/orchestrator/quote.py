"""Where an answer stands: citations, and the words of a passage they show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from schemas.answers import Citation
from schemas.retrieval import Hit
from services.orchestrator.choice import identity
from services.orchestrator.items import are_glued, is_wrapped

LONGEST_QUOTE = 300
"""Characters."""

_END = re.compile(r"(?<=[。！？；])|(?<=[.!?;])(?= )|(?= \| )")


def citations(hits: Sequence[Hit], bearing: Mapping[tuple[str, int, int], str]) -> list[Citation]:
    """Return where each passage stands, numbered from 1.

    Args:
        hits: Passages.
        bearing: By `choice.identity`, the words a quote begins with; the beginning where missing.
    """
    return [
        Citation(
            n=n,
            document=hit.document.title,
            file=hit.document.file,
            doc_id=hit.document.doc_id,
            revision=hit.document.revision,
            page=hit.passage.page,
            section=hit.passage.section,
            quote=quote(hit.passage.text, bearing.get(identity(hit), "")),
            score=round(min(1.0, max(0.0, hit.score)), 3),
        )
        for n, hit in enumerate(hits, 1)
    ]


def cited_first(hits: Sequence[Hit], cited: Sequence[Citation]) -> list[Hit]:
    """Return the passages in such an order that those cited have the numbers they are cited by."""
    left = list(hits)
    first: list[Hit] = []
    for citation in cited:
        hit = next((hit for hit in left if _is_of(citation, hit)), None)
        if hit is None:
            break
        left.remove(hit)
        first.append(hit)
    return first + left


def _is_of(citation: Citation, hit: Hit) -> bool:
    document, passage = hit.document, hit.passage
    return (
        (citation.doc_id, citation.revision, citation.page, citation.section)
        == (document.doc_id, document.revision, passage.page, passage.section)
    ) and "".join(citation.quote.split()) in "".join(passage.text.split())


def quote(text: str, bearing: str = "", limit: int = LONGEST_QUOTE) -> str:
    """Return a passage's words from `bearing` on, cut where a sentence or a cell ends.

    Args:
        text: The passage.
        bearing: Words of the passage to begin with; its beginning when they are not in it.
        limit: Characters at most.

    Returns:
        A piece of the passage, the same apart from white space.
    """
    flat = _flat(text)
    flat = flat[_place(flat, bearing) :]
    if len(flat) <= limit:
        return flat
    ends = [
        match.start() for match in _END.finditer(flat, 0, limit + 1) if 0 < match.start() <= limit
    ]
    if ends and ends[-1] >= limit // 3:
        return flat[: ends[-1]].rstrip(" |")
    space = flat.rfind(" ", 0, limit + 1)
    return flat[: space if space >= limit // 2 else limit].rstrip()


def _flat(text: str) -> str:
    """Return a text as one line, without the spaces that wrapped Chinese would get."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    widest = max(map(len, lines), default=0)
    flat = "".join(lines[:1])
    for before, line in pairwise(lines):
        glued = are_glued(before[-1], line[0]) and is_wrapped(before, line, widest)
        flat += line if glued else f" {line}"
    return flat


def _place(flat: str, bearing: str) -> int:
    """Return where `bearing` begins in `flat`, white space put aside; 0 when it does not."""
    if (place := flat.find(" ".join(bearing.split()))) >= 0:
        return place
    # A wrapped line was joined without a space, as Chinese is.
    wanted = "".join(bearing.split())
    places = [place for place, character in enumerate(flat) if not character.isspace()]
    found = "".join(flat.split()).find(wanted)
    return places[found] if found >= 0 else 0
