"""What an index has too many of a corpus, and what it lacks."""

from __future__ import annotations

from services.retriever.corpus import Corpus
from services.retriever.vectors import VectorIndex


async def differences(corpus: Corpus, index: VectorIndex, of: str) -> tuple[list[int], list[int]]:
    """Return the labels an index has too many and those it lacks, in their order.

    Args:
        corpus: the truth.
        index: derived from it, some time ago perhaps.
        of: label of the vectors.
    """
    wanted = set((await corpus.labels(of)).tolist())
    there = index.labels()
    return sorted(there - wanted), sorted(wanted - there)
