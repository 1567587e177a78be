"""How far a change of the embedding model is."""

from __future__ import annotations

from services.retriever.corpus import Corpus
from services.retriever.embedding.model import Model

LAST = 2**63 - 1
"""No passage has a higher number."""


class Changeover:
    """Counts what a change has to do; there is none until `begin`, nor after `end`."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._begun = 0
        """Passages that had their new vectors when the present process went on with the change."""
        self._all = 0

    @property
    def under_way(self) -> bool:
        """Return whether there is one."""
        return bool(self._all)

    async def begin(self, model: Model) -> None:
        """Find out how much a change to a model has to do."""
        self._all = await self._corpus.count_passages()
        coming = self._corpus.coming
        self._begun = 0
        if coming is not None and coming.compares(model):
            left = await self._corpus.count_without_vector(0, LAST, coming.label)
            self._begun = self._all - left

    def end(self) -> None:
        """It is over."""
        self._all = self._begun = 0

    def told(self, kept: int) -> str:
        """Return how far it is, `4,200 of 10,000`; empty when there is none.

        Args:
            kept: passages that got their vectors in this process.
        """
        if not self._all:
            return ""
        done = self._begun + kept
        return f"{done:,} of {max(done, self._all):,}"
