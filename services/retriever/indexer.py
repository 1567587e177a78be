"""Changes of the corpus and of the index derived from it, one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from schemas.retrieval import Activate, DocumentRef, Indexed, IndexPassages
from services.retriever import sharing
from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, Vectors
from services.retriever.memory import give_back
from services.retriever.records import prepare
from services.retriever.vectors import VectorIndex
from services.runtime.errors import Rejected, Unavailable

log = logging.getLogger(__name__)

SETTLE_S = 10.0
"""The index is written when nothing has changed for so long, seconds."""
PREPARED = 64
"""Passages made ready at once: they hold the interpreter, and searches go between."""
FILLED = 256
"""Vectors added to the index under one lock, about 0.2 s."""


class Indexer:
    """The one writer: takes batches, activates, removes, keeps the index in step.

    What it does with passages needs no model; their vectors are brought by the vectorizer. Its
    heavy work runs on one thread of its own; searches and embedding have theirs.
    """

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self._corpus = corpus
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._changing = asyncio.Lock()
        self._changed_at = 0.0
        self._saved = (-1, -1)
        self._embedding = ""
        self._behind = False
        self._waiting = 0
        self._at_work: set[asyncio.Task[Any]] = set()
        self.quiet = asyncio.Event()
        """Set while no batch of passages waits."""
        self.quiet.set()
        self.index: VectorIndex | None = None
        """What searches ask, None without a model; replaced when it is built anew."""

    async def use(self, embedder: Embedder) -> bool:
        """Work with a model's vectors from now on.

        Returns False where the index has to be filled, see `fill`.

        Raises:
            Retryable: the disk fails.
        """
        async with self._changing:
            if await self._corpus.use_embedding(embedder.name):
                log.warning("another embedding model: every passage is embedded again")
            self._embedding = embedder.name
            held = (self._corpus.generation, (await self._corpus.totals())[1])
            saved = await self._run(self._load, *held, embedder.dimension)
            self.index = saved or VectorIndex.empty(embedder.dimension, held[1])
            self._behind = saved is None
            self._saved = (-1, -1) if saved is None else held
        return not self._behind

    async def fill(self) -> None:
        """Build the index from the corpus where it is not known to hold what that holds.

        Searches use what is there so far, and changes go between.

        Raises:
            Retryable: the disk fails.
        """
        if not self._behind or self.index is None:
            return
        began = time.monotonic()
        async with self._changing:
            self._behind = False
            await self._corpus.refresh()
            dimension = self.index.dimension
            self.index = VectorIndex.empty(dimension, self._corpus.size)
        try:
            await self._add()
        except BaseException:
            self._behind = True
            raise
        if len(self.index):
            log.info("%d vectors indexed in %.1f s", len(self.index), time.monotonic() - began)

    async def _add(self, number: int | None = None) -> None:
        """Add the vectors of a revision, or of all that answer, slice by slice.

        Each is read and added under one lock, so that none is added after its removal.
        """
        after = 0
        while self.index is not None:
            async with self._changing:
                labels, vectors = await self._corpus.vectors(after, FILLED, number)
                if not len(labels):
                    return
                await self._run(self.index.add, labels, vectors)
                after = int(labels[-1])
                self._changed_at = time.monotonic()

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
            if batch.vectors and batch.embedding == self._embedding and self.index is not None:
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

    async def keep(self, labels: Sequence[int], digests: Sequence[int], vectors: Vectors) -> None:
        """Keep vectors [len(labels), dimension], and add those that answer to the index.

        Args:
            labels: passages that had none; what was removed meanwhile is passed over.
            digests: name the text of each.
            vectors: [n, 0] for texts that the model refuses.
        """
        await self._whole(self._keep(labels, digests, vectors))

    async def settle(self) -> None:
        """Build the index anew if a failure left it behind, and write it a while after changes.

        Raises:
            OSError, Retryable: as `save` and `fill`.
        """
        await self.fill()
        if time.monotonic() - self._changed_at >= SETTLE_S:
            await self.save()
            await self._corpus.tidy()

    async def save(self) -> None:
        """Write the index if it is complete and has changed.

        Raises:
            OSError: the disk is full, read-only or failing.
        """
        async with self._changing:
            index = self.index
            if index is None or self._behind:
                return
            held = (self._corpus.generation, (await self._corpus.totals())[1])
            if self._saved == held or len(index) != held[1]:  # while it is filled
                return
            save = partial(index.save, generation=held[0], embedding=self._embedding)
            await self._run(save, self._folder)
            self._saved = held

    async def close(self) -> None:
        """End the thread; what it was doing is finished first."""
        while self._at_work:
            await asyncio.wait(self._at_work)
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

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

    async def _whole(self, change: Coroutine[Any, Any, None]) -> None:
        """Change the corpus, then the index, as one: who gives up waiting stops neither.

        The commit cannot be taken back. Were the index left out because the asker's deadline ran
        out, the next try would see "already active" and nobody would ever add the vectors.
        """
        try:
            await self._changing.acquire()
        except BaseException:
            change.close()
            raise
        await asyncio.shield(self._spawn(self._change(change)))

    def _spawn(self, change: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(change, name="change the index")
        self._at_work.add(task)
        task.add_done_callback(self._done)
        return task

    async def _change(self, change: Coroutine[Any, Any, None]) -> None:
        try:
            await self._change_now(change)
        finally:
            self._changing.release()

    async def _change_now(self, change: Coroutine[Any, Any, None]) -> None:
        try:
            await change
        except Rejected:  # before anything was written
            raise
        except BaseException:
            # It may be committed all the same: what the index holds is no longer known.
            self._behind = True
            raise

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._at_work.discard(task)
        if self._behind and not task.cancelled() and (error := task.exception()):
            log.warning("the index is behind the corpus and will be built again: %s", error)

    async def _activate(self, asked: tuple[str, int, int], at_once: bool) -> None:
        change = await self._corpus.activate(*asked, at_once=at_once)
        if self.index is None:
            return
        await self._run(self.index.remove, change.removed)
        for number in change.added:  # those that were made before it answered
            self._spawn(self._add_all(number))
        self._changed_at = time.monotonic()

    async def _add_all(self, number: int) -> None:
        try:
            await self._add(number)
        except BaseException:
            self._behind = True
            raise

    async def _remove(self, doc_id: str, revision: int) -> None:
        change = await self._corpus.remove(doc_id, revision)
        if self.index is not None:
            await self._run(self.index.remove, change.removed)
        self._changed_at = time.monotonic()

    async def _keep(self, labels: Sequence[int], digests: Sequence[int], vectors: Vectors) -> None:
        answering = await self._corpus.put_vectors(labels, digests, vectors)
        rows = [row for row, label in enumerate(labels) if label in answering]
        if self.index is not None and rows and vectors.shape[1]:
            await self._run(self.index.add, [labels[row] for row in rows], vectors[rows])
        self._changed_at = time.monotonic()

    async def _indexed(self, doc_id: str, revision: int) -> Indexed:
        passages, vectors, _ = await self._corpus.progress(doc_id, revision)
        return Indexed(
            passages=passages,
            vectors=vectors,
            answers=self._corpus.answers(doc_id, revision),
            generation=self._corpus.generation,
        )

    def _load(self, generation: int, count: int, dimension: int) -> VectorIndex | None:
        return VectorIndex.load(
            self._folder,
            generation=generation,
            count=count,
            embedding=self._embedding,
            dimension=dimension,
        )

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, function, *arguments
            )
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("index", "the retriever is stopping", "send it again") from error
            raise
