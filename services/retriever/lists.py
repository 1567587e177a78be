"""Lists of numbers that one manual keeps side by side: alarms from 1, and errors from 1."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.holdings import CodeHit
from services.retriever.kinds import separate, tell
from services.retriever.near import likeliest, neighbours
from services.retriever.normal import shown
from services.retriever.records import DEFINES, LEADS

PROBES = tuple(f"#{number}" for number in range(1, 10))
"""Numbers by which lists that count from 1 are told from one another."""
MOST = 1000
"""Passages that are looked at for them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a question's number is in manuals that list alarms and errors apart."""

    hits: list[CodeHit]
    """Those that may be meant."""
    manuals: frozenset[int]
    """Numbers of the revisions that list what is said apart from what else has the number."""


async def listed(corpus: Corpus, kinds: frozenset[str], hits: Sequence[CodeHit]) -> Listed:
    """Return the hits of a number without those of another list of the same manual.

    Args:
        corpus: where to look.
        kinds: what the question says that it is, from `kinds.said`.
        hits: passages that have the number.
    """
    defining = [hit for hit in hits if hit.strength >= LEADS]
    if not kinds or not defining:
        return Listed([*hits], frozenset())
    told = await _told(corpus, defining)
    others = {h.document for h in defining if (there := told.get(h.passage)) and not there & kinds}
    if not others:
        return Listed([*hits], frozenset())
    family = corpus.names.family
    beside = family(others)
    probed = await _defined(corpus, PROBES, beside)
    kept = await _told(corpus, probed)
    apart: set[int] = set()
    for document in others:
        whole = family([document])
        mine = [(h.loose, kept.get(h.passage, frozenset())) for h in probed if h.document in whole]
        if document not in apart and separate(kinds, mine):
            apart |= whole
    return Listed(
        [
            hit
            for hit in hits
            if hit.document not in apart or told.get(hit.passage, frozenset()) & kinds
        ],
        frozenset(apart),
    )


async def near_in_list(
    corpus: Corpus, code: Code, kinds: frozenset[str], manuals: Collection[int]
) -> list[str]:
    """Return numbers of the list that is said, those that may have been meant, the likeliest first.

    Args:
        corpus: where to look.
        code: as asked.
        kinds: what the question says that it is.
        manuals: numbers of the revisions that list alarms and errors apart.
    """
    hits = await _defined(corpus, neighbours(code.loose), manuals)
    told = await _told(corpus, hits)
    there = {hit.loose for hit in hits if told.get(hit.passage, frozenset()) & kinds}
    return [shown(Code(loose, loose, 0)) for loose in likeliest(code.loose, there)]


async def _defined(
    corpus: Corpus, loose: Sequence[str], documents: Collection[int]
) -> list[CodeHit]:
    """Return passages of some revisions that define one of these codes."""
    hits = await corpus.lookup_loose(loose, MOST, first=documents)
    return [hit for hit in hits if hit.document in documents and hit.strength == DEFINES]


async def _told(corpus: Corpus, hits: Sequence[CodeHit]) -> dict[int, frozenset[str]]:
    """Return what each passage lists, by its number."""
    found = await corpus.fetch([hit.passage for hit in hits])
    return {
        label: tell(one.passage, corpus.active[one.document].title)
        for label, one in found.items()
        if one.document in corpus.active
    }
