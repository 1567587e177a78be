"""The index that is derived from the corpus: kept in step, saved, and replaced by another model's.

What it holds is told by labels: those of the corpus are numbers of passages, which it never uses
twice, and the vector of a passage never changes while the model stays. So an index of an earlier
generation lacks some labels and has some too many, and nothing else is wrong with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, Vectors
from services.retriever.embedding.model import Model
from services.retriever.following import differences
from services.retriever.saving import Saver
from services.retriever.vectors import VectorIndex
from services.runtime.errors import Rejected, Unavailable

T = TypeVar("T")
log = logging.getLogger(__name__)

SETTLE_S = 10.0
"""The index is written when nothing has changed for so long, seconds."""
FILLED = 256
"""Vectors added to the index under one lock, about 0.2 s."""


class Derived:
    """The index and the lock under which corpus and index change; see `indexer.Indexer`.

    Its heavy work runs on one thread of its own; searches and embedding have theirs.
    """

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self._corpus = corpus
        self._saver = Saver(corpus, folder, self._run)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._changing = asyncio.Lock()
        self._changed_at = 0.0
        self._behind = False
        """The index is not known to hold what the corpus holds."""
        self._spoilt = False
        """Nor can that be found out: a change of it failed half way."""
        self._at_work: set[asyncio.Task[Any]] = set()
        self.index: VectorIndex | None = None
        """What searches ask, None without a model; replaced when it is built anew."""

    async def use(self, embedder: Embedder, model: Model | None = None) -> bool:
        """Work with a model's vectors from now on; those of another do not answer any more.

        Returns False where the index has to be filled, see `fill`.

        Args:
            embedder: the model.
            model: its description with the settings by which it can be opened again.

        Raises:
            Retryable: the disk fails.
        """
        async with self._changing:
            if await self._corpus.use_embedding(model or Model.of(embedder)):
                log.warning("another embedding model: every passage is embedded again")
            held = (self._corpus.generation, (await self._corpus.totals())[1])
            saved = await self._saver.load(embedder.dimension)
            self.index = VectorIndex.empty(embedder.dimension, held[1]) if saved is None else saved
            self._behind = not self._saver.has(held)
            self._spoilt = False
        return not self._behind

    async def fill(self) -> None:
        """Bring the index in step with the corpus where it is not known to be.

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
            if self._spoilt:
                self.index = VectorIndex.empty(self.index.dimension, self._corpus.size)
            self._spoilt = False
            index, of = self.index, self._corpus.embedding
        try:
            added, removed = await self._follow(index, of)
        except BaseException:
            self._behind = self._spoilt = True
            raise
        if added or removed:
            took = time.monotonic() - began
            log.info("%d vectors indexed, %d let go of in %.1f s", added, removed, took)

    async def take_over(
        self, index: VectorIndex, of: str, done: int, on_switch: Callable[[], None]
    ) -> bool:
        """Let the coming vectors answer in place of the others; returns whether they do.

        They do not where a passage lacks one meanwhile: ask again when it has it.

        Args:
            index: theirs; it is filled here, and need not be empty.
            of: their label.
            done: up to this passage each has one.
            on_switch: called when they answer, in the same step as the index is replaced.

        Raises:
            Retryable: the disk fails.
            Superseded: another model takes over.
        """
        await self._follow(index, of)
        # Who gives up waiting must not stop it between the commit and what is known of it: the
        # vectors of one model would go under the name of the other.
        return await asyncio.shield(self._spawn(self._switch(index, of, done, on_switch)))

    async def _switch(
        self, index: VectorIndex, of: str, done: int, on_switch: Callable[[], None]
    ) -> bool:
        async with self._changing:
            if await self._corpus.without_vector(done, 1, of):
                return False
            gone, missing = await differences(self._corpus, index, of)
            await self._run(index.remove, gone)
            for begin in range(0, len(missing), FILLED):
                await self._fetch(index, missing[begin : begin + FILLED], of)
            await self._corpus.switch()
            # Without a pause between: a question's vector and the index are of one model.
            self.index = index
            on_switch()
            self._saver.forget()
            self._behind = self._spoilt = False
            self._changed_at = time.monotonic()
        return True

    async def _follow(self, index: VectorIndex, of: str) -> tuple[int, int]:
        """Give an index what it lacks and take what it has too many; changes go between.

        Returns how many of each.
        """
        async with self._changing:
            gone, missing = await differences(self._corpus, index, of)
            await self._run(index.remove, gone)
        for begin in range(0, len(missing), FILLED):
            # Read and added under one lock, so that none is added after its removal.
            async with self._changing:
                await self._fetch(index, missing[begin : begin + FILLED], of)
                self._changed_at = time.monotonic()
        return len(missing), len(gone)

    async def _fetch(self, index: VectorIndex, labels: Sequence[int], of: str) -> None:
        found, vectors = await self._corpus.vectors_at(labels, of)
        if len(found):
            await self._run(index.add, found, vectors)

    async def _add(self, number: int) -> None:
        """Add the vectors of a revision, slice by slice."""
        after = 0
        while self.index is not None:
            async with self._changing:
                labels, vectors = await self._corpus.vectors(number, after, FILLED)
                if not len(labels):
                    return
                await self._run(self.index.add, labels, vectors)
                after = int(labels[-1])
                self._changed_at = time.monotonic()

    async def keep(
        self,
        labels: Sequence[int],
        digests: Sequence[int],
        vectors: Vectors,
        of: str | None = None,
    ) -> None:
        """Keep vectors [len(labels), dimension], and add those that answer to the index.

        Args:
            labels: passages that had none; what was removed meanwhile is passed over.
            digests: name the text of each.
            vectors: [n, 0] for texts that the model refuses.
            of: label of the model that made them; the one that answers when None.

        Raises:
            Superseded: neither does that model answer nor is it to take over.
        """
        await self._whole(self._keep(labels, digests, vectors, of))

    async def settle(self) -> None:
        """Bring what is derived in step: lengths, the index if a failure left it behind.

        The index is written a while after changes.

        Raises:
            OSError, Retryable: as `save` and `fill`.
        """
        await self._corpus.measure()
        await self.fill()
        if time.monotonic() - self._changed_at >= SETTLE_S:
            await self.save()
            await self._corpus.tidy()

    async def save(self) -> None:
        """Write the index if it is complete and has changed.

        Raises:
            OSError: the disk is full, read-only, failing or hanging.
        """
        # As a whole: another one begun meanwhile would delete what this one writes.
        await asyncio.shield(self._spawn(self._save()))

    async def _save(self) -> None:
        async with self._saver.one:
            async with self._changing:
                index = self.index
                if index is None or self._behind:
                    return
                held = (self._corpus.generation, (await self._corpus.totals())[1])
                if self._saver.has(held) or len(index) != held[1]:  # while it is filled
                    return
                finish = await self._saver.begin(index, held)
            await finish()  # changes go on

    async def close(self) -> None:
        """End the thread; what it was doing is finished first, but for the index's file."""
        self._saver.end()
        while self._at_work:
            await asyncio.wait(self._at_work)
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

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

    def _spawn(self, change: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
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
        """Change both under the lock that is held."""
        try:
            await change
        except Rejected:  # before anything was written
            raise
        except BaseException:
            # It may be committed all the same: what the index holds is no longer known.
            self._behind = self._spoilt = True
            raise

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._at_work.discard(task)
        if not task.cancelled() and (error := task.exception()) and self._behind:
            log.warning("the index is behind the corpus and will be built again: %s", error)

    async def _add_all(self, number: int) -> None:
        try:
            await self._add(number)
        except BaseException:
            self._behind = self._spoilt = True
            raise

    async def _keep(
        self, labels: Sequence[int], digests: Sequence[int], vectors: Vectors, of: str | None
    ) -> None:
        answering = await self._corpus.put_vectors(labels, digests, vectors, of)
        if of is not None and of != self._corpus.embedding:
            return  # one that comes has its index when all are there
        rows = [row for row, label in enumerate(labels) if label in answering]
        if self.index is not None and rows and vectors.shape[1]:
            await self._run(self.index.add, [labels[row] for row in rows], vectors[rows])
        self._changed_at = time.monotonic()

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, function, *arguments
            )
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("index", "the retriever is stopping", "send it again") from error
            raise
