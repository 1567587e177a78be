"""Vectors follow behind: what has none is embedded while nothing else waits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from services.retriever.corpus import Corpus
from services.retriever.embedding import AnotherModel, Embedder, Superseded, Vectors
from services.retriever.grouping import Text, distinct, groups
from services.retriever.indexer import Indexer
from services.retriever.memory import give_back
from services.retriever.records import text_to_embed
from services.runtime.errors import Rejected, Retryable, Unavailable

log = logging.getLogger(__name__)

WINDOW = 512
"""Passages among which those of like length are put together."""
AGAIN_S = 3.0
"""Pause after a failure, seconds."""


class Vectorizer:
    """Embeds what has no vector, oldest first, for as long as the service lives.

    One group is embedded while the one before it is kept. Passages that come in go first: before
    each group it waits until the indexer has no batch at work. Where two models are at work, that
    which answers and one that is to take over, the second waits until the first has nothing to do.
    """

    def __init__(
        self,
        corpus: Corpus,
        indexer: Indexer,
        embedder: Embedder,
        on_progress: Callable[[], None] = lambda: None,
        *,
        of: str | None = None,
        after: Vectorizer | None = None,
        on_complete: Callable[[int], Awaitable[object]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            corpus: where the passages are.
            indexer: keeps their vectors.
            embedder: makes them.
            on_progress: told of each group that is kept.
            of: label of the vectors; by default of those that answer when it begins.
            after: goes first.
            on_complete: told up to which passage each has its vector, when none is left to do.
        """
        self._corpus = corpus
        self._indexer = indexer
        self._embedder = embedder
        self._on_progress = on_progress
        self._of = of
        self._after = after
        self._on_complete = on_complete
        self.idle = asyncio.Event()
        """Set while it embeds nothing, be it that it cannot."""
        self.idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vectors")
        self._wake = asyncio.Event()
        self._wake.set()
        self._done = 0
        self._rate = 0.0
        self.kept = 0
        """Passages that got their vectors."""

    def wake(self) -> None:
        """Tell that there are passages without a vector."""
        self._wake.set()

    async def run(self, on_trouble: Callable[[str], None]) -> None:
        """Embed whatever comes until another model has taken over; a failure is tried again.

        Args:
            on_trouble: told what fails, and an empty text when all is well.

        Raises:
            AnotherModel: the server has another model now; its vectors are not kept.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.catch_up()
            except Superseded:
                return
            except AnotherModel:
                raise
            except (Retryable, Rejected) as error:
                on_trouble(str(error))
                self._wake.set()
                await asyncio.sleep(AGAIN_S)
            else:
                on_trouble("")

    async def catch_up(self) -> None:
        """Return when everything has its vector.

        Raises:
            Retryable: the disk or the embedding server fails.
            Rejected: the embedding server refuses whatever it is sent.
            Superseded: another model has taken over.
        """
        self.idle.clear()
        try:
            await self._catch_up()
        finally:
            self.idle.set()

    async def _catch_up(self) -> None:
        of = self._of = self._corpus.embedding if self._of is None else self._of
        count, began = 0, time.monotonic()
        while rows := await self._corpus.without_vector(self._done, WINDOW, of):
            started = time.monotonic()
            await self._window([(label, text_to_embed(title, p)) for label, title, p in rows])
            self._done = rows[-1][0]
            rate = len(rows) / max(1e-3, time.monotonic() - started)
            self._rate = rate if not self._rate else (self._rate + rate) / 2
            count += len(rows)
        if count:
            await self._run(self._embedder.rest)
            await self._run(give_back)
            log.info("%d passages embedded in %.1f s", count, time.monotonic() - began)
        if self._on_complete is not None:
            await self._on_complete(self._done)

    def promote(self, on_complete: Callable[[int], Awaitable[object]]) -> None:
        """Go on as the one whose vectors answer."""
        self._after, self._on_complete = None, on_complete

    async def seconds_left(self, upto: int) -> float | None:
        """Return in how many seconds all up to this passage have vectors; None while unknown."""
        waiting = await self._corpus.count_without_vector(self._done, upto, self._of)
        if not waiting:
            return 0.0
        return round(waiting / self._rate, 1) if self._rate else None

    async def close(self) -> None:
        """End the thread; what it was doing is finished first."""
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    async def _window(self, passages: Sequence[tuple[int, str]]) -> None:
        """Embed some passages, group by group."""
        texts = distinct(passages)
        known = await self._corpus.vectors_by_text([one.digest for one in texts], self._of)
        there = [one for one in texts if one.digest in known]
        if there:
            await self._keep(there, np.stack([known[one.digest] for one in there]))
        at_work: tuple[list[Text], asyncio.Task[Vectors | None]] | None = None
        try:
            for group in groups([one for one in texts if one.digest not in known]):
                if self._after is not None:
                    await self._after.idle.wait()
                await self._indexer.quiet.wait()
                before = at_work
                at_work = group, asyncio.create_task(self._embed(group), name="embed passages")
                if before:
                    await self._finish(*before)
            if at_work:
                await self._finish(*at_work)
        finally:
            if at_work:
                at_work[1].cancel()  # nothing where it has ended; what it raised is taken here
                await asyncio.gather(at_work[1], return_exceptions=True)

    async def _finish(self, group: Sequence[Text], work: asyncio.Task[Vectors | None]) -> None:
        vectors = await work
        if vectors is not None:
            await self._keep(group, vectors)
            return
        for one in group:  # the server refuses one of them, or several
            alone = await self._embed([one])
            if alone is None:
                # Does it refuse this text, or any? In the second case nothing is kept.
                await self._run(self._embedder.embed, ["a"])
                log.warning("the model refuses a passage: it is found by its words alone")
                alone = np.zeros((1, 0), dtype=np.float32)
            await self._keep([one], alone)

    async def _embed(self, group: Sequence[Text]) -> Vectors | None:
        """Return the vectors of a group, None where the model refuses it."""
        try:
            vectors: Vectors = await self._run(self._confirmed, [one.text for one in group])
        except Rejected as error:
            log.debug("refused: %s", error)
            return None
        return vectors

    def _confirmed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts, which are surely of the model that was opened."""
        vectors = self._embedder.embed(texts)
        try:
            self._embedder.confirm()
        except Rejected as error:  # that says nothing about these texts
            raise Retryable(error.operation, error.reason, error.hint) from error
        return vectors

    async def _keep(self, group: Sequence[Text], vectors: Vectors) -> None:
        rows = [row for row, one in enumerate(group) for _ in one.labels]
        await self._indexer.keep(
            [label for one in group for label in one.labels],
            [group[row].digest for row in rows],
            vectors[rows],
            self._of,
        )
        self.kept += len(rows)
        self._on_progress()

    async def _run(self, function: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, function, *arguments
            )
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("embed", "the retriever is stopping", "send it again") from error
            raise
