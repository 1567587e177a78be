"""Changes of the corpus and of the index derived from it, one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from schemas.retrieval import Activate, DocumentRef, Indexed, IndexPassages
from services.retriever import sharing
from services.retriever.corpus import Corpus
from services.retriever.derived import Derived
from services.retriever.memory import give_back
from services.retriever.records import prepare

PREPARED = 64
"""Passages made ready at once: they hold the interpreter, and searches go between."""


class Indexer(Derived):
    """The one writer: takes batches, activates, removes, keeps the index in step.

    What it does with passages needs no model; their vectors are brought by the vectorizer.
    """

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        super().__init__(corpus, folder)
        self._waiting = 0
        self.quiet = asyncio.Event()
        """Set while no batch of passages waits."""
        self.quiet.set()

    async def take(self, batch: IndexPassages) -> Indexed:
        """Keep a batch; what is there already stays as it is.

        Raises:
            Rejected: the revision answers already, with other words.
            Retryable: the disk fails.
        """
        document = batch.document
        async with self._first():
            new = await self._corpus.missing(document, batch.passages)
            count = 0
            for begin in range(0, max(1, len(new)), PREPARED):
                records = await self._run(prepare, document, new[begin : begin + PREPARED])
                count = await self._corpus.put(document, records)
            if (
                batch.vectors
                and batch.embedding == self._corpus.embedding
                and self.index is not None
            ):
                await self._take_vectors(batch, self.index.dimension)
        await self._run(give_back)
        return Indexed(passages=count, generation=self._corpus.generation)

    async def _take_vectors(self, batch: IndexPassages, dimension: int) -> None:
        """Keep what another box made with the same model; before any are made here."""
        vectors = sharing.given(batch, dimension)
        found = await sharing.bare(self._corpus, batch.document, batch.passages)
        found = [one for one in found if one[1] in vectors]
        if found:
            await self._change_now(
                self._keep(
                    [label for label, *_ in found],
                    [digest for *_, digest in found],
                    np.stack([vectors[ordinal] for _, ordinal, _ in found]),
                    self._corpus.embedding,
                )
            )

    async def activate(self, request: Activate, *, at_once: bool = False) -> Indexed:
        """Let a revision answer.

        One that replaces another waits until each of its passages has a vector, unless `at_once`;
        until then nothing changes, and `Indexed.answers` is False. Ask again.

        Raises:
            Rejected: unknown, or some of its passages are missing.
            Retryable: the disk fails.
        """
        asked = (request.doc_id, request.revision, request.passages)
        async with self._first():
            replaces = await self._corpus.check(*asked, at_once=at_once)
        if replaces is not None:
            # First, so that meaning finds the new one from the moment on that it answers.
            await self._add(replaces)
        if replaces is not None or not self._corpus.answers(request.doc_id, request.revision):
            await self._whole(self._activate(asked, at_once))
        return await self._indexed(request.doc_id, request.revision)

    async def remove(self, doc_id: str, revision: int = 0) -> Indexed:
        """Forget a document, or one revision of it; its vectors are gone when this returns."""
        await self._whole(self._remove(doc_id, revision))
        return Indexed(passages=0, generation=self._corpus.generation)

    async def describe(self, document: DocumentRef) -> Indexed:
        """Change what is said about a revision.

        Raises:
            Rejected: it is unknown.
        """
        async with self._changing:
            await self._corpus.describe(document)
            return Indexed(passages=0, generation=self._corpus.generation)

    async def remake_words(self) -> bool:
        """Find tokens and codes of one revision anew; returns whether there was one to do."""
        async with self._changing:
            return await self._corpus.remake_words()

    async def prune(self, doc_id: str, keep: Sequence[int]) -> Indexed:
        """Forget revisions of a document that do not answer, but those to keep."""
        async with self._changing:
            await self._corpus.prune(doc_id, keep)
            return Indexed(passages=0, generation=self._corpus.generation)

    @asynccontextmanager
    async def _first(self) -> AsyncIterator[None]:
        """Change the corpus before any more is embedded."""
        self._waiting += 1
        self.quiet.clear()
        try:
            async with self._changing:
                yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.quiet.set()

    async def _activate(self, asked: tuple[str, int, int], at_once: bool) -> None:
        change = await self._corpus.activate(*asked, at_once=at_once)
        if self.index is None:
            return
        await self._run(self.index.remove, change.removed)
        for number in change.added:  # those that were made before it answered
            self._spawn(self._add_all(number))
        self._changed_at = time.monotonic()

    async def _remove(self, doc_id: str, revision: int) -> None:
        change = await self._corpus.remove(doc_id, revision)
        if self.index is not None:
            await self._run(self.index.remove, change.removed)
        self._changed_at = time.monotonic()

    async def _indexed(self, doc_id: str, revision: int) -> Indexed:
        passages, vectors, _ = await self._corpus.progress(doc_id, revision)
        return Indexed(
            passages=passages,
            vectors=vectors,
            answers=self._corpus.answers(doc_id, revision),
            generation=self._corpus.generation,
        )
