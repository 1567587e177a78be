"""Changes of the corpus and of the index derived from it, one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from schemas.retrieval import Activate, Indexed, IndexPassages, Passage
from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, Vectors
from services.retriever.holdings import Change
from services.retriever.memory import give_back
from services.retriever.records import Record, prepare, text_to_embed
from services.retriever.vectors import VectorIndex
from services.runtime.errors import Unavailable

log = logging.getLogger(__name__)

GROUP = 16
"""Passages embedded between two looks at whether someone wants to stop, about half a second."""
SETTLE_S = 10.0
"""The index is written when nothing has changed for so long, seconds."""


class Indexer:
    """The one writer: takes batches, activates, removes, keeps the index in step.

    Its heavy work runs on one thread of its own; searches have theirs.
    """

    def __init__(self, corpus: Corpus, embedder: Embedder, folder: Path) -> None:
        self._corpus = corpus
        self._embedder = embedder
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._changing = asyncio.Lock()
        self._changed_at = 0.0
        self._saved = -1
        self._complete = False
        self.index = VectorIndex.empty(embedder.dimension)
        """What searches ask; replaced when it was rebuilt."""

    @property
    def complete(self) -> bool:
        """Whether everything that answers is in the index."""
        return self._complete

    async def open(self) -> bool:
        """Load the saved index; returns False where it must be rebuilt, see `rebuild`."""
        if await self._corpus.use_embedding(self._embedder.name):
            log.warning("another embedding model: every passage is embedded again")
        saved = await self._run(self._load)
        if saved is not None and not await self._corpus.without_vector(0, 1):
            self.index = saved
            self._saved = self._corpus.generation
            self._complete = True
        return self._complete

    async def rebuild(self) -> None:
        """Embed what has no vector, then fill the index; searches use what is there so far."""
        began = time.monotonic()
        after = 0
        while rows := await self._corpus.without_vector(after, GROUP):
            after = rows[-1][0]
            texts = [text_to_embed(title, passage) for _, title, passage in rows]
            vectors = await self._run(self._embedder.embed, texts)
            await self._corpus.put_vectors([label for label, _, _ in rows], vectors)
        async with self._changing:
            index = VectorIndex.empty(self._embedder.dimension, self._corpus.size)
            self.index = index
            async for labels, vectors in self._corpus.active_vectors():
                await self._run(index.add, labels, vectors)
            self._complete = True
            self._changed_at = time.monotonic()
        await self._run(give_back)
        if len(index):
            log.info("%s vectors indexed in %.1f s", len(index), time.monotonic() - began)

    async def take(self, batch: IndexPassages) -> Indexed:
        """Keep a batch; what is there already is not embedded again.

        Raises:
            Rejected: the revision answers already, with other words.
            Retryable: the disk or the embedding server fails.
        """
        document = batch.document
        async with self._changing:
            new = await self._corpus.missing(document, batch.passages)
            count = 0
            for begin in range(0, max(1, len(new)), GROUP):
                records, vectors = await self._run(
                    self._work_out, batch, new[begin : begin + GROUP]
                )
                count = await self._corpus.put(document, records, vectors)
        await self._run(give_back)
        return Indexed(passages=count, generation=self._corpus.generation)

    async def activate(self, request: Activate) -> Indexed:
        """Let a revision answer; its vectors are in the index when this returns.

        Raises:
            Rejected: unknown, or some of its passages are missing.
        """
        async with self._changing:
            change = await self._corpus.activate(request.doc_id, request.revision, request.passages)
            await self._apply(change)
        await self._run(give_back)
        return Indexed(passages=request.passages, generation=self._corpus.generation)

    async def remove(self, doc_id: str) -> Indexed:
        """Forget a document; its vectors are gone when this returns."""
        async with self._changing:
            await self._apply(await self._corpus.remove(doc_id))
        return Indexed(passages=0, generation=self._corpus.generation)

    async def keep_saved(self) -> None:
        """Write the index a while after each change, for as long as the service lives."""
        while True:
            await asyncio.sleep(SETTLE_S / 2)
            if time.monotonic() - self._changed_at >= SETTLE_S:
                await self.save()

    async def save(self) -> None:
        """Write the index if it holds more than the file does.

        Raises:
            OSError: the disk is full or read-only.
        """
        async with self._changing:
            generation = self._corpus.generation
            if not self._complete or self._saved == generation:
                return
            await self._run(self._write, generation)
            self._saved = generation

    async def close(self) -> None:
        """End the thread; what it was doing is finished first."""
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    async def _apply(self, change: Change) -> None:
        await self._run(self.index.remove, change.removed)
        for number in change.added:
            labels, vectors = await self._corpus.vectors_of(number)
            await self._run(self.index.add, labels, vectors)
        self._changed_at = time.monotonic()

    def _work_out(
        self, batch: IndexPassages, passages: Sequence[Passage]
    ) -> tuple[list[Record], Vectors]:
        title = batch.document.title
        records = prepare(batch.document, passages)
        return records, self._embedder.embed([text_to_embed(title, p) for p in passages])

    def _load(self) -> VectorIndex | None:
        return VectorIndex.load(
            self._folder,
            generation=self._corpus.generation,
            embedding=self._embedder.name,
            dimension=self._embedder.dimension,
        )

    def _write(self, generation: int) -> None:
        self.index.save(self._folder, generation=generation, embedding=self._embedder.name)

    async def _run(self, function: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, function, *arguments
            )
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("index", "the retriever is stopping", "send it again") from error
            raise
