"""Changes of the corpus and of the index derived from it, one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from schemas.retrieval import Activate, DocumentRef, Indexed, IndexPassages, Passage
from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, Vectors
from services.retriever.holdings import Change
from services.retriever.memory import give_back
from services.retriever.records import Record, prepare, text_to_embed
from services.retriever.vectors import VectorIndex
from services.runtime.errors import Rejected, Retryable, Unavailable

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
        self._filled = False
        self._behind = False
        self._at_work: set[asyncio.Task[None]] = set()
        self.index = VectorIndex.empty(embedder.dimension)
        """What searches ask; replaced when it was rebuilt."""

    async def open(self) -> bool:
        """Load the saved index; returns False where it must be rebuilt, see `rebuild`."""
        if await self._corpus.use_embedding(self._embedder.name):
            log.warning("another embedding model: every passage is embedded again")
        saved = await self._run(self._load)
        if saved is not None and not await self._corpus.without_vector(0, 1):
            self.index = saved
            self._saved = self._corpus.generation
            self._complete = self._filled = True
        return self._complete

    async def rebuild(self) -> None:
        """Embed what has no vector, then fill the index; searches use what is there so far.

        Raises:
            Retryable: the disk or the embedding server fails; what has a vector is in the index.
            Rejected: the embedding server refuses some passages; as above.
        """
        began = time.monotonic()
        after = 0
        failure: Retryable | Rejected | None = None
        while rows := await self._corpus.without_vector(after, GROUP):
            after = rows[-1][0]
            texts = [text_to_embed(title, passage) for _, title, passage in rows]
            try:
                vectors = await self._run(self._embedder.embed, texts)
            except Retryable as error:
                failure = error
                break
            except Rejected as error:  # of these; the others may pass
                failure = error
                continue
            # Not under the lock: a change need not wait for a server that is slow.
            await self._corpus.put_vectors([label for label, _, _ in rows], vectors)
            self._filled = False
        async with self._changing:
            if not self._filled or self._behind:
                await self._fill()
            self._complete = failure is None
        await self._run(give_back)
        if failure is not None:
            raise failure
        if len(self.index):
            log.info("%s vectors indexed in %.1f s", len(self.index), time.monotonic() - began)

    async def _fill(self) -> None:
        await self._corpus.refresh()
        self.index = VectorIndex.empty(self._embedder.dimension, self._corpus.size)
        async for labels, vectors in self._corpus.active_vectors():
            await self._run(self.index.add, labels, vectors)
        self._filled, self._behind = True, False
        self._changed_at = time.monotonic()

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
        await self._whole(self._corpus.activate, request.doc_id, request.revision, request.passages)
        await self._run(give_back)
        return Indexed(passages=request.passages, generation=self._corpus.generation)

    async def remove(self, doc_id: str) -> Indexed:
        """Forget a document; its vectors are gone when this returns."""
        await self._whole(self._corpus.remove, doc_id)
        return Indexed(passages=0, generation=self._corpus.generation)

    async def describe(self, document: DocumentRef) -> Indexed:
        """Change what is said about a revision.

        Raises:
            Rejected: it is unknown.
        """
        async with self._changing:
            await self._corpus.describe(document)
            return Indexed(passages=0, generation=self._corpus.generation)

    async def prune(self, doc_id: str, keep: Sequence[int]) -> Indexed:
        """Forget revisions of a document that do not answer, but those to keep."""
        async with self._changing:
            await self._corpus.prune(doc_id, keep)
            return Indexed(passages=0, generation=self._corpus.generation)

    async def keep_saved(self) -> None:
        """Write the index a while after each change, for as long as the service lives.

        An index that a failure left behind the corpus is built again.

        Raises:
            OSError, Retryable, Rejected: as `save` and `rebuild`.
        """
        while True:
            await asyncio.sleep(SETTLE_S / 2)
            if self._behind:
                await self.rebuild()
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
        if self._at_work:
            await asyncio.wait(self._at_work)
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    async def _whole(self, change: Callable[..., Awaitable[Change]], *arguments: Any) -> None:
        """Change the corpus, then the index, as one: who gives up waiting stops neither.

        The commit cannot be taken back. Were the index left out because the asker's deadline ran
        out, the next try would see "already active" and nobody would ever add the vectors.
        """
        await self._changing.acquire()
        task = asyncio.create_task(self._change(change, arguments), name="change the index")
        self._at_work.add(task)
        task.add_done_callback(self._done)
        await asyncio.shield(task)

    async def _change(
        self, change: Callable[..., Awaitable[Change]], arguments: Sequence[Any]
    ) -> None:
        try:
            await self._apply(await change(*arguments))
        except Rejected:  # before anything was written
            raise
        except BaseException:
            # It may be committed all the same: what the index holds is no longer known.
            self._behind, self._complete = True, False
            raise
        finally:
            self._changing.release()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if self._behind and not task.cancelled() and (error := task.exception()):
            log.warning("the index is behind the corpus and will be built again: %s", error)

    async def _apply(self, change: Change) -> None:
        # Added first: what did not change between two revisions has the same vector, and the
        # graph is left as it is.
        for number in change.added:
            labels, vectors = await self._corpus.vectors_of(number)
            await self._run(self.index.add, labels, vectors)
        await self._run(self.index.remove, change.removed)
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
