"""Which embedding model answers, and how another one takes over from it.

When another model is configured, or is behind the same address, its vectors are made beside those
that answer, and then take their place at once. Until then the former model embeds the questions,
where it still can be had. Where it cannot, the new one answers from the beginning, by the vectors
it has so far, beside codes and words.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.retriever.corpus import Corpus
from services.retriever.embedding import AnotherModel, Embedder, open_embedder
from services.retriever.embedding.model import Model
from services.retriever.finder import Finder
from services.retriever.former import Room, open_former
from services.retriever.indexer import Indexer
from services.retriever.memory import give_back
from services.retriever.vectorizer import Vectorizer
from services.retriever.vectors import VectorIndex
from services.runtime.config import Retriever
from services.runtime.errors import AndonError, Fatal, Rejected, Retryable
from services.runtime.process import Context

log = logging.getLogger(__name__)

AGAIN_S = 3.0
"""Pause between two tries to reach an embedding server."""
PATIENCE_S = 300.0
"""After so long without the embedding model a new revision answers by codes and words alone."""
VERIFY_AFTER_S = 5.0
"""The model's hash is taken when all have started: it takes as much processor as starting."""
CONFIRM_S = 20.0
"""Pause between two looks at whether the server still has the model that answers, seconds."""
LAST_S = 2.0
"""So long after the change the former model still takes questions that were on their way."""
LAST = 2**63 - 1
"""No passage has a higher number."""


@dataclass(eq=False, slots=True)
class _Worker:
    """A model at work."""

    embedder: Embedder
    vectorizer: Vectorizer
    task: asyncio.Task[None] | None = None


class Succession:
    """The model that answers, and the one that is to take over, with what makes their vectors."""

    def __init__(
        self,
        settings: Retriever,
        corpus: Corpus,
        *,
        indexer: Indexer,
        finder: Finder,
        context: Context,
        on_change: Callable[[], None],
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            settings: the configured model.
            corpus: the truth.
            indexer: keeps vectors.
            finder: is told which model embeds questions.
            context: for tasks and troubles.
            on_change: told when there are more vectors, or others.
        """
        self._settings = settings.embedding
        self._budget_mb = settings.budget_mb
        self._corpus = corpus
        self._indexer = indexer
        self._finder = finder
        self._health = context.health
        self._spawn = context.spawn
        self._on_change = on_change
        self._arriving = asyncio.Lock()
        self._look = asyncio.Event()
        self._serving: _Worker | None = None
        self._coming: _Worker | None = None
        self._former_ones: list[_Worker] = []
        """Those that answered before, and take the last questions."""
        self._opening: asyncio.Task[None] | None = None
        """Tries to open the configured model; one at a time, or it would be opened twice."""
        self._begun = 0
        """Passages that had their new vectors when the present process went on with the change."""
        self._all = 0
        self.waits_for = ""
        """Why passages get no vectors now, empty while they do."""
        self._embedding_at = time.monotonic()
        """When that last went well, or began to be tried."""

    async def start(self, opening: asyncio.Task[Embedder]) -> None:
        """Work with the configured model, or without it until it is there."""
        if not await self._try(opening):
            self._open_later()
        self._spawn(self._clear(), "delete vectors of former models")
        self._spawn(self._watch(), "watch the embedding model")

    @property
    def embedder(self) -> Embedder | None:
        """Return the model that embeds questions."""
        return self._serving.embedder if self._serving else None

    @property
    def tired(self) -> bool:
        """Return whether words that are right go before meaning: nobody knows when that comes."""
        return bool(self.waits_for) and time.monotonic() - self._embedding_at > PATIENCE_S

    @property
    def progress(self) -> str:
        """Return how far a change of the model is, `4,200 of 10,000`; empty when there is none."""
        if not self._all or (worker := self._coming or self._serving) is None:
            return ""
        done = self._begun + worker.vectorizer.kept
        return f"{done:,} of {max(done, self._all):,}"

    def wake(self) -> None:
        """Tell that there are passages without a vector."""
        for worker in (self._serving, self._coming):
            if worker is not None:
                worker.vectorizer.wake()

    async def seconds_left(self, upto: int) -> float | None:
        """Return in how many seconds all up to this passage have vectors; None while unknown."""
        return await self._serving.vectorizer.seconds_left(upto) if self._serving else None

    def question_trouble(self, error: AndonError | None) -> None:
        """Take note of how embedding questions goes."""
        if error is None:
            self._health.well("embedding")
            return
        self._health.trouble("embedding", f"{error}; searching by codes and words alone")
        if isinstance(error, AnotherModel):
            self._look.set()

    async def close(self) -> None:
        """Let go of the models."""
        workers = [
            worker
            for worker in (self._serving, self._coming, *self._former_ones)
            if worker is not None
        ]
        for worker in workers:
            worker.embedder.close()  # first: the others may be waiting for it
        for worker in workers:
            await worker.vectorizer.close()

    async def _arrive(self, embedder: Embedder) -> None:
        """Take in the model that is configured: it answers, or is to take over."""
        async with self._arriving:
            new = Model.of(embedder, self._settings)
            kept = self._corpus.model
            if kept is None or kept.compares(new):
                await self._corpus.announce(None)
                self._spawn(self._clear(), "delete vectors of former models")
                await self._serve(embedder, new)
                return
            former, why = await self._former(kept, embedder)
            if former is None:
                self._health.trouble(
                    "model change",
                    f"the embedding model changes, and {kept.name} is gone: {why}; meanwhile "
                    f"searching by codes, words and the vectors that are made already",
                )
                await self._count_change(new)
                await self._serve(embedder, new)
                return
            await self._corpus.announce(new)
            if self._serving is None:
                await self._serve(former, kept)
            await self._prepare(embedder)

    async def _serve(self, embedder: Embedder, model: Model) -> None:
        """Answer with a model from now on."""
        await self._indexer.use(embedder, model)
        vectorizer = Vectorizer(
            self._corpus,
            self._indexer,
            embedder,
            self._kept,
            of=self._corpus.embedding,
            on_complete=self._complete,
        )
        former, self._serving = self._serving, _Worker(embedder, vectorizer)
        self.waits_for = ""
        self._finder.use(embedder, self._index)
        self._health.well("embedding")
        self._begin(self._serving)
        if former is not None:  # the same model, which was elsewhere
            self._spawn(self._retire(former), "let go of the former model")

    async def _prepare(self, embedder: Embedder) -> None:
        """Make the vectors of a model that is to take over."""
        coming = self._corpus.coming
        if coming is None or self._serving is None:
            return
        index = VectorIndex.empty(embedder.dimension)

        async def take_over(done: int) -> None:
            if not await self._indexer.take_over(index, coming.label, done, self._switched):
                worker.vectorizer.wake()

        worker = self._coming = _Worker(
            embedder,
            Vectorizer(
                self._corpus,
                self._indexer,
                embedder,
                self._kept,
                of=coming.label,
                after=self._serving.vectorizer,
                on_complete=take_over,
            ),
        )
        await self._count_change(coming)
        log.info("%s takes over from %s when all vectors are made", coming.name, self._name())
        self._begin(worker)

    def _begin(self, worker: _Worker) -> None:
        worker.task = self._spawn(self._embed(worker), "embed passages")
        self._spawn(self._verify(worker.embedder), "check the model")
        self._on_change()

    def _switched(self) -> None:
        """Let the new model answer; called in the step in which its index does."""
        former, self._serving, self._coming = self._serving, self._coming, None
        if self._serving is None:
            return
        self._serving.vectorizer.promote(self._complete)
        self._finder.use(self._serving.embedder, self._index)
        log.info("%s has taken over", self._name())
        self._done()
        if former is not None:
            self._spawn(self._retire(former), "let go of the former model")
        self._spawn(self._clear(), "delete vectors of former models")

    async def _retire(self, former: _Worker) -> None:
        self._former_ones.append(former)
        if former.task is not None:
            former.task.cancel()  # its vectors are wanted no more
        await asyncio.sleep(LAST_S)
        former.embedder.close()
        await former.vectorizer.close()
        self._former_ones.remove(former)
        del former
        await asyncio.to_thread(give_back)

    async def _try(self, opening: Awaitable[Embedder]) -> bool:
        """Take in the configured model; where it cannot be had the former answers, if that can."""
        try:
            await self._arrive(await opening)
        except (Retryable, Rejected) as error:
            await self._stand_in()
            self._unopened(error)
            return False
        return True

    async def _stand_in(self) -> None:
        kept = self._corpus.model
        if kept is None or self._serving is not None:
            return
        former, _ = await self._former(kept)
        if former is None:
            return
        try:
            await self._serve(former, kept)
        except Retryable as error:
            self.question_trouble(error)

    async def _former(
        self, kept: Model, beside: Embedder | None = None
    ) -> tuple[Embedder | None, str]:
        """Return the model whose vectors answer, or why it cannot be had."""
        if self._serving is not None:
            return self._serving.embedder, ""
        room = Room(self._budget_mb, self._corpus.size)
        return await asyncio.to_thread(open_former, kept, self._settings, beside, room)

    def _open_later(self) -> None:
        """Open the configured model when it can be had."""
        if self._opening is None or self._opening.done():
            self._opening = self._spawn(self._keep_opening(), "open the embedding model")

    async def _keep_opening(self) -> None:
        done = False
        while not done:
            await asyncio.sleep(AGAIN_S)
            try:
                done = await self._try(asyncio.to_thread(open_embedder, self._settings))
            except (
                Fatal
            ) as error:  # at the start that is the configuration's; now it comes and goes
                self._unopened(error)

    def _unopened(self, error: AndonError) -> None:
        """Take note that the configured model cannot be had now."""
        if self._serving is None:
            self.waits_for = error.reason
            self.question_trouble(error)
        else:
            self._health.trouble("model change", f"{error}; {self._name()} answers meanwhile")

    async def _embed(self, worker: _Worker) -> None:
        """Make a model's vectors for as long as it is that model."""
        try:
            await worker.vectorizer.run(lambda reason: self._not_embedded(worker, reason))
        except AnotherModel as error:
            await self._lost(worker, error)

    async def _watch(self) -> None:
        """Find out that the server of the model that answers has another one now."""
        while True:
            try:
                async with asyncio.timeout(CONFIRM_S):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            worker = self._serving
            if worker is None or worker.embedder.sample is None:
                continue
            try:
                await asyncio.to_thread(worker.embedder.confirm)
            except AnotherModel as error:
                await self._lost(worker, error)
            except (Retryable, Rejected) as error:
                log.debug("not confirmed: %s", error)  # who needs it tells

    async def _lost(self, worker: _Worker, error: AnotherModel) -> None:
        """Go on after a model is gone from its address: open what is configured."""
        async with self._arriving:
            if worker not in (self._serving, self._coming):
                return  # found out twice
            lost = [one for one in (self._coming, worker) if one is not None]
            if worker is self._serving:
                self._serving = None  # from here on questions are not compared with its vectors
            self._coming = None
            self._unopened(error)
            for one in {id(one): one for one in lost}.values():
                if one.task is not None and one.task is not asyncio.current_task():
                    one.task.cancel()
                one.embedder.close()
                await one.vectorizer.close()
        self._open_later()

    async def _verify(self, embedder: Embedder) -> None:
        await asyncio.sleep(VERIFY_AFTER_S)
        try:
            await asyncio.to_thread(embedder.verify)
        except Fatal as error:
            # Codes and words still answer, and what meaning finds is shown as what it is.
            self._health.trouble("model", str(error))

    async def _clear(self) -> None:
        """Delete the vectors of former models, slice by slice."""
        while True:
            try:
                await self._corpus.clear_coming()
            except Retryable as error:
                log.warning("vectors of a former model are still on the disk: %s", error)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _count_change(self, model: Model) -> None:
        """Find out how much a change has to do."""
        self._all = await self._corpus.count_passages()
        coming = self._corpus.coming
        self._begun = 0
        if coming is not None and coming.compares(model):
            left = await self._corpus.count_without_vector(0, LAST, coming.label)
            self._begun = self._all - left

    async def _complete(self, _: int) -> None:
        """Take note that every passage has a vector of the model that answers."""
        if self._all and self._coming is None:
            self._done()

    def _done(self) -> None:
        self._all = self._begun = 0
        self._health.well("model change")
        self._on_change()

    def _kept(self) -> None:
        """Take note of passages that got their vectors."""
        self._embedding_at = time.monotonic()
        self._on_change()

    def _not_embedded(self, worker: _Worker, reason: str) -> None:
        """Take note of how embedding passages goes."""
        if worker is self._coming:
            if reason:
                self._health.trouble("model change", f"{reason}; {self._name()} answers meanwhile")
            else:
                self._health.well("model change")
            return
        if worker is not self._serving:
            return  # its time is over
        if not self.waits_for:
            self._embedding_at = time.monotonic()
        self.waits_for = reason
        if reason:
            self._health.trouble("vectors", f"{reason}; passages are found by codes and words")
        else:
            self._health.well("vectors")

    def _index(self) -> VectorIndex | None:
        return self._indexer.index if self._serving else None

    def _name(self) -> str:
        return self._corpus.model.name if self._corpus.model else ""
