"""Which embedding model answers, and how another one takes over from it.

When another model is configured, or is behind the same address, its vectors are made beside those
that answer, and then take their place at once. Until then the former model embeds the questions,
where it still can be had. Where it cannot, the new one answers from the beginning, by the vectors
it has so far, beside codes and words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from services.retriever.changeover import Changeover
from services.retriever.condition import Condition
from services.retriever.corpus import Corpus
from services.retriever.embedding import AnotherModel, Embedder
from services.retriever.embedding.model import Model
from services.retriever.finder import Finder
from services.retriever.former import Room, open_former
from services.retriever.identity import Identity
from services.retriever.indexer import Indexer
from services.retriever.opening import Opening
from services.retriever.vectorizer import Vectorizer
from services.retriever.vectors import VectorIndex
from services.retriever.worker import Retired, Worker
from services.runtime.config import Retriever
from services.runtime.errors import AndonError, Rejected, Retryable
from services.runtime.process import Context

log = logging.getLogger(__name__)

AGAIN_S = 3.0
"""Pause after a failure of the disk, seconds."""


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
        self._condition = Condition(context.health)
        self._change = Changeover(corpus)
        self._spawn = context.spawn
        self._on_change = on_change
        self._arriving = asyncio.Lock()
        self._identity = Identity(corpus, self._condition.damaged)
        self._serving: Worker | None = None
        self._coming: Worker | None = None
        self._retired = Retired()
        self._opening = Opening(
            self._settings, self._spawn, arrive=self._arrive, without=self._go_without
        )

    async def start(self, opening: asyncio.Task[Embedder]) -> None:
        """Work with the configured model, or without it until it is there."""
        await self._opening.begin(opening)
        self._spawn(self._clear(), "delete vectors of former models")
        watching = self._identity.watch(lambda: self._serving, self._lost)
        self._spawn(watching, "watch the embedding model")

    @property
    def embedder(self) -> Embedder | None:
        """Return the model that embeds questions."""
        return self._serving.embedder if self._serving else None

    @property
    def waits_for(self) -> str:
        """Return why passages get no vectors now, empty while they do."""
        return self._condition.waits_for

    @property
    def tired(self) -> bool:
        """Return whether words that are right go before meaning: nobody knows when that comes."""
        return self._condition.tired

    @property
    def progress(self) -> str:
        """Return how far a change of the model is, `4,200 of 10,000`; empty when there is none."""
        worker = self._coming or self._serving
        return self._change.told(worker.vectorizer.kept) if worker else ""

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
        self._condition.question(error)
        if isinstance(error, AnotherModel):
            self._identity.doubt.set()

    async def close(self) -> None:
        """Let go of the models."""
        workers = [
            worker
            for worker in (self._serving, self._coming, *self._retired.workers)
            if worker is not None
        ]
        for worker in workers:
            worker.embedder.close()  # first: the others may be waiting for it
        for worker in workers:
            await worker.vectorizer.close()

    async def _arrive(self, embedder: Embedder) -> None:
        """Take in the model that is configured: it answers, or is to take over."""
        async with self._arriving:
            try:
                await self._identity.ensure(embedder)
            except Rejected:
                embedder.close()
                raise
            new = Model.of(embedder, self._settings)
            kept = self._corpus.model
            if kept is None or kept.compares(new):
                await self._corpus.announce(None)
                self._spawn(self._clear(), "delete vectors of former models")
                await self._serve(embedder, new)
                return
            former, why = await self._former(kept, embedder)
            if former is None:
                self._condition.without_former(kept.name, why)
                await self._change.begin(new)
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
        former, self._serving = self._serving, Worker(embedder, vectorizer)
        self._finder.use(embedder, self._index)
        self._condition.serves()
        self._begin(self._serving)
        if former is not None:  # the same model, which was elsewhere
            self._spawn(self._retired.take(former), "let go of the former model")

    async def _prepare(self, embedder: Embedder) -> None:
        """Make the vectors of a model that is to take over."""
        coming = self._corpus.coming
        if coming is None or self._serving is None:
            return
        index = VectorIndex.empty(embedder.dimension)

        async def take_over(done: int) -> None:
            if not await self._indexer.take_over(index, coming.label, done, self._switched):
                worker.vectorizer.wake()

        worker = self._coming = Worker(
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
        await self._change.begin(coming)
        log.info("%s takes over from %s when all vectors are made", coming.name, self._name())
        self._begin(worker)

    def _begin(self, worker: Worker) -> None:
        worker.task = self._spawn(self._embed(worker), "embed passages")
        self._spawn(self._identity.verify(worker.embedder), "check the model")
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
            self._spawn(self._retired.take(former), "let go of the former model")
        self._spawn(self._clear(), "delete vectors of former models")

    async def _go_without(self, error: AndonError) -> None:
        """Have the former model answer, if that can, while the configured one cannot be had."""
        await self._stand_in()
        self._unopened(error)

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

    def _unopened(self, error: AndonError) -> None:
        """Take note that the configured model cannot be had now."""
        self._condition.unopened(error, None if self._serving is None else self._name())

    async def _embed(self, worker: Worker) -> None:
        """Make a model's vectors for as long as it is that model."""
        try:
            await worker.vectorizer.run(lambda reason: self._not_embedded(worker, reason))
        except AnotherModel as error:
            await self._lost(worker, error)

    async def _lost(self, worker: Worker, error: AnotherModel) -> None:
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
                one.stop()
                await one.close()
        self._opening.again()

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

    async def _complete(self, _: int) -> None:
        """Take note that every passage has a vector of the model that answers."""
        if self._change.under_way and self._coming is None:
            self._done()

    def _done(self) -> None:
        self._change.end()
        self._condition.changed()
        self._on_change()

    def _kept(self) -> None:
        """Take note of passages that got their vectors."""
        self._condition.kept()
        self._on_change()

    def _not_embedded(self, worker: Worker, reason: str) -> None:
        """Take note of how embedding passages goes."""
        if worker is self._coming:
            self._condition.coming(reason, self._name())
        elif worker is self._serving:  # else its time is over
            self._condition.passages(reason)

    def _index(self) -> VectorIndex | None:
        return self._indexer.index if self._serving else None

    def _name(self) -> str:
        return self._corpus.model.name if self._corpus.model else ""
