"""The retriever's door: passages in, questions in, passages out."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

from msgspec import structs

from schemas.channels import ACTIVATE, CORPUS, FORGET, INDEX, SEARCH
from schemas.retrieval import (
    Activate,
    CorpusDocument,
    CorpusQuery,
    CorpusState,
    Found,
    Indexed,
    IndexPassages,
    RemovePassages,
    Search,
)
from services.retriever.corpus import PLAN, Corpus
from services.retriever.embedding import Embedder, open_embedder
from services.retriever.finder import Finder
from services.retriever.indexer import Indexer
from services.runtime.config import Config
from services.runtime.errors import AndonError, Fatal, Rejected, Retryable, Unavailable
from services.runtime.process import Context
from services.runtime.salvage import mend, watch

log = logging.getLogger(__name__)

_AGAIN_S = 3.0
"""Pause between two tries to reach an embedding server."""
_VERIFY_AFTER_S = 5.0
"""The model's hash is taken when all have started: it takes as much processor as starting."""


class RetrieverService:
    """Owner of the corpus.

    In:  retriever/search    Search -> Found
         retriever/index     IndexPassages -> Indexed, the same batch may come twice
         retriever/activate  Activate -> Indexed
         retriever/remove    RemovePassages -> Indexed
         retriever/corpus    CorpusQuery -> CorpusState
    Keeps: corpus.db, the truth; vectors/, derived.

    While the embedding server is away, searches go by codes and words, and the state is
    `degraded`.
    """

    name: ClassVar[str] = "retriever"
    keeps_session: ClassVar[bool] = False

    def __init__(self, config: Config) -> None:
        self._settings = config.retriever
        self._folder = config.data_dir
        self._corpus: Corpus | None = None
        self._embedder: Embedder | None = None
        self._indexer: Indexer | None = None
        self._finder: Finder | None = None
        self._missing: int | None = 0
        """Documents that should answer and do not; None after a loss, until ingest has said."""

    async def start(self, context: Context) -> None:
        """Open the corpus, load model and index, then take requests."""
        self._health = context.health
        opening = asyncio.create_task(asyncio.to_thread(open_embedder, self._settings.embedding))
        try:
            path = self._folder / "corpus.db"
            if await mend(path, PLAN, context.health):
                await Corpus.begin_anew(path)
                self._missing = None
            self._corpus = await Corpus.open(path)
        finally:
            await asyncio.wait({opening})
        finder = Finder(self._corpus, self._settings.threshold, self._vector_trouble)
        self._finder = finder
        try:
            await self._use(opening.result(), context, finder)
        except (Retryable, Rejected) as error:
            self._vector_trouble(error)
            context.spawn(self._keep_opening(context, finder), "open the embedding model")
        serve = context.server.serve
        await serve(SEARCH, self.search)
        await serve(INDEX, self.index, at_once=2)
        await serve(ACTIVATE, self.activate)
        await serve(FORGET, self.remove)
        await serve(CORPUS, self.corpus)
        context.spawn(watch(self._corpus.database), "watch the corpus")
        self._count()

    async def drain(self) -> None:
        """Write the index, so that the next start need not build it."""
        if self._indexer is not None:
            try:
                await self._indexer.save()
            except OSError as error:
                log.warning("the index is not written, the next start builds it: %s", error)

    async def close(self) -> None:
        """Close the files."""
        if self._embedder is not None:
            self._embedder.close()  # first: the others may be waiting for it
        if self._finder is not None:
            self._finder.close()
        if self._indexer is not None:
            await self._indexer.close()
        if self._corpus is not None:
            await self._corpus.close()

    async def search(self, request: Search) -> Found:
        """Return the passages that answer."""
        if self._finder is None:
            raise Unavailable("retriever", "the corpus is not open yet")
        found = await self._finder.find(request)
        return structs.replace(found, incomplete=True) if self._missing != 0 else found

    async def index(self, request: IndexPassages) -> Indexed:
        """Keep a batch of passages."""
        return await self._writer().take(request)

    async def activate(self, request: Activate) -> Indexed:
        """Let a revision answer."""
        indexed = await self._writer().activate(request)
        self._count()
        return indexed

    async def remove(self, request: RemovePassages) -> Indexed:
        """Forget a document."""
        indexed = await self._writer().remove(request.doc_id)
        self._count()
        return indexed

    async def corpus(self, request: CorpusQuery) -> CorpusState:
        """Say what the corpus holds."""
        corpus = self._open()
        if request.missing is not None:
            self._missing = request.missing
            if not self._missing:
                self._health.well("salvage corpus.db")
            self._count()
        passages, vectors = await corpus.totals()
        return CorpusState(
            documents=[
                CorpusDocument(document=h.document, passages=h.passages, active=h.active)
                for h in await corpus.held()
                if request.doc_id in ("", h.document.doc_id)
            ],
            passages=passages,
            vectors=vectors,
            generation=corpus.generation,
            embedding=await corpus.embedding(),
        )

    async def _use(self, embedder: Embedder, context: Context, finder: Finder) -> None:
        """Work with a model from now on."""
        self._embedder = embedder
        indexer = Indexer(self._open(), embedder, self._folder / "vectors")
        try:
            loaded = await indexer.open()
        except BaseException:
            await indexer.close()
            raise
        self._indexer = indexer
        finder.use(embedder, lambda: indexer.index)
        self._health.well("embedding")
        if not loaded:
            context.spawn(self._rebuild(indexer), "rebuild the index")
        context.spawn(self._save(indexer), "save the index")
        context.spawn(self._verify(embedder), "check the model")

    async def _keep_opening(self, context: Context, finder: Finder) -> None:
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                embedder = await asyncio.to_thread(open_embedder, self._settings.embedding)
                await self._use(embedder, context, finder)
            except (Retryable, Rejected) as error:
                self._vector_trouble(error)
            else:
                return

    async def _verify(self, embedder: Embedder) -> None:
        await asyncio.sleep(_VERIFY_AFTER_S)
        try:
            await asyncio.to_thread(embedder.verify)
        except Fatal as error:
            # Codes and words still answer, and what meaning finds is shown as what it is.
            self._health.trouble("model", str(error))

    async def _rebuild(self, indexer: Indexer) -> None:
        while True:
            try:
                await indexer.rebuild()
            except (Retryable, Rejected) as error:
                self._health.trouble("index", f"not rebuilt: {error}; trying again")
                await asyncio.sleep(_AGAIN_S)
            else:
                self._health.well("index")
                self._count()
                return

    async def _save(self, indexer: Indexer) -> None:
        while True:
            try:
                await indexer.keep_saved()
            except (OSError, Retryable, Rejected) as error:
                # The corpus is the truth: without this file the next start is slower, no more.
                self._health.trouble("index", f"not written: {error}")
                await asyncio.sleep(_AGAIN_S)

    def _vector_trouble(self, error: AndonError | None) -> None:
        """Take note of how embedding questions goes."""
        if error is None:
            self._health.well("embedding")
        else:
            self._health.trouble("embedding", f"{error}; searching by codes and words alone")

    def _writer(self) -> Indexer:
        if self._indexer is None:
            raise Unavailable(
                "index", "the embedding model is not there", "look at retriever.embedding"
            )
        return self._indexer

    def _open(self) -> Corpus:
        if self._corpus is None:
            raise Unavailable("retriever", "the corpus is not open yet")
        return self._corpus

    def _count(self) -> None:
        corpus = self._open()
        self._health.facts.update(
            documents=len(corpus.active),
            passages=corpus.size,
            vectors=len(self._indexer.index) if self._indexer else 0,
            incomplete=self._missing != 0,
            generation=corpus.generation,
        )
        self._health.changed.set()  # whoever answers alarms anew waits for it
