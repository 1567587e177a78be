"""Running text: a passage's sentences, the nearest to the question first."""

from __future__ import annotations

from collections import Counter
from math import sqrt

from schemas.retrieval import Hit
from services.orchestrator.items import is_wrapped, unwrapped
from services.orchestrator.sentences import sentences, terms, weight

_WHOLE = 1.25
"""A sentence that ends like one beats a heading or a scrap that has as much in common."""


def sentences_of(hit: Hit) -> list[str]:
    """Return a passage's sentences; a line end counts where it is more than a wrap."""
    lines = hit.passage.text.splitlines()
    widest = max((len(line) for line in lines), default=0)
    blocks: list[str] = []
    for line in lines:
        if blocks and is_wrapped(blocks[-1].rsplit("\n", 1)[-1], line, widest):
            blocks[-1] += f"\n{line}"
        else:
            blocks.append(line)
    found = [sentence for block in blocks for sentence in sentences(unwrapped(block))]
    return found or [" ".join(hit.passage.text.split())]


def nearest(hit: Hit, asked: frozenset[str]) -> list[tuple[str, int]]:
    """Return a passage's sentences and their places, nearest to the question first.

    A term that is in many of the sentences tells them apart less than one that is in few.
    """
    found = sentences_of(hit)
    shared = [asked & terms(sentence) for sentence in found]
    spread = Counter(term for own in shared for term in own)

    def nearness(place: int) -> float:
        whole = _WHOLE if found[place][-1:] in ".。!！?？" else 1.0
        return whole * sum(weight(term) / sqrt(spread[term]) for term in sorted(shared[place]))

    order = sorted(range(len(found)), key=lambda place: (-nearness(place), place))
    return [(found[place], place) for place in order]
