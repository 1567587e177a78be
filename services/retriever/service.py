"""The retriever's door: passages in, questions in, passages out."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar

import msgspec

from schemas.channels import (
    ACTIVATE,
    CORPUS,
    DESCRIBE,
    FORGET,
    INDEX,
    PASSAGES,
    PRUNE,
    SEARCH,
    UNITS,
)
from schemas.retrieval import (
    Activate,
    CorpusDocument,
    CorpusQuery,
    CorpusState,
    Describe,
    Found,
    Indexed,
    IndexPassages,
    PassageList,
    PassageQuery,
    Prune,
    RemovePassages,
    Search,
    UnitList,
    UnitQuery,
)
from services.retriever import sharing
from services.retriever.corpus import PLAN, Corpus
from services.retriever.embedding import open_embedder
from services.retriever.finder import Finder
from services.retriever.indexer import Indexer
from services.retriever.lexicon import SHIPPED, Lexicon
from services.retriever.listed import with_lists
from services.retriever.pauses import keep_short
from services.retriever.scope import nobodys
from services.retriever.succession import Succession
from services.retriever.units import units
from services.runtime.config import Config
from services.runtime.errors import AndonError, Retryable, Unavailable
from services.runtime.paging import fitting
from services.runtime.process import Context
from services.runtime.salvage import mend, watch

if TYPE_CHECKING:
    from services.retriever.rerank import Reranker

log = logging.getLogger(__name__)

_AGAIN_S = 3.0
"""Pause after a failure of the disk, seconds."""
_SETTLE_EVERY_S = 5.0
"""Pause between two looks at whether the index has to be written, seconds."""
_SCRUB_AFTER_S = 3.0


class RetrieverService:
    """Owner of the corpus.

    In:  retriever/search    Search -> Found
         retriever/index     IndexPassages -> Indexed, the same batch may come twice
         retriever/activate  Activate -> Indexed
         retriever/describe  Describe -> Indexed
         retriever/prune     Prune -> Indexed
         retriever/remove    RemovePassages -> Indexed
         retriever/corpus    CorpusQuery -> CorpusState
         retriever/units     UnitQuery -> UnitList
         retriever/passages  PassageQuery -> PassageList
    Keeps: corpus.db, the truth; vectors/, derived.

    Passages are found by codes and words as soon as they are activated; their vectors follow.
    While the embedding server is away, searches go by codes and words, and the state is
    `degraded`.
    """

    name: ClassVar[str] = "retriever"
    keeps_session: ClassVar[bool] = False

    def __init__(self, config: Config) -> None:
        self._settings = config.retriever
        self._folder = config.data_dir
        self._lexicon_file = config.lexicon_file
        self._corpus: Corpus | None = None
        self._indexer: Indexer | None = None
        self._succession: Succession | None = None
        self._finder: Finder | None = None
        self._deleted = asyncio.Event()
        self._deleted.set()  # the last stop may have come between
        self._missing: int | None = 0
        """Documents that should answer and do not; None after a loss, until ingest has said."""
        self._reading = 0

    async def start(self, context: Context) -> None:
        """Open the corpus, load model and index, then take requests."""
        self._health = context.health
        opening = asyncio.create_task(asyncio.to_thread(open_embedder, self._settings.embedding))
        try:
            path = self._folder / "corpus.db"
            if await mend(path, PLAN, context.health):
                await Corpus.begin_anew(path)
                self._missing = None
            self._corpus = await Corpus.open(path, cache_mb=self._settings.cache_mb)
        finally:
            await asyncio.wait({opening})
        self._indexer = Indexer(self._corpus, self._folder / "vectors")
        finder = self._finder = Finder(
            self._corpus,
            self._settings.threshold,
            self._question_trouble,
            await self._terms(),
            self._settings.sure,
            reranker=self._reranker(),
        )
        self._succession = Succession(
            self._settings,
            self._corpus,
            indexer=self._indexer,
            finder=finder,
            context=context,
            on_change=self._count,
        )
        await self._succession.start(opening)
        serve = context.server.serve
        await serve(SEARCH, self.search)
        await serve(INDEX, self.index, at_once=2)
        await serve(ACTIVATE, self.activate)
        await serve(DESCRIBE, self.describe)
        await serve(PRUNE, self.prune)
        await serve(FORGET, self.remove)
        await serve(CORPUS, self.corpus)
        await serve(UNITS, self.units)
        await serve(PASSAGES, self.passages)
        context.spawn(watch(self._corpus.database), "watch the corpus")
        context.spawn(self._scrub(self._corpus), "take deleted words off the disk")
        context.spawn(self._remake(self._indexer), "find words and codes anew")
        context.spawn(self._keep_index(self._indexer), "keep the index")
        self._count()
        keep_short()

    async def drain(self) -> None:
        """Write the index, so that the next start need not build it."""
        if self._indexer is not None:
            try:
                await self._indexer.save()
            except (OSError, Retryable) as error:
                log.warning("the index is not written, the next start builds it: %s", error)

    async def close(self) -> None:
        """Close the files."""
        if self._succession is not None:
            await self._succession.close()
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
        corpus = self._open()
        lacking, known = nobodys(corpus.active, request)
        return msgspec.structs.replace(
            found,
            hits=await with_lists(corpus, found.hits),
            incomplete=self._missing != 0,
            reading=self._reading,
            nobody=lacking,
            known=known,
        )

    async def index(self, request: IndexPassages) -> Indexed:
        """Keep a batch of passages."""
        indexed = await self._writer().take(request)
        self._embedding().wake()
        return indexed

    async def activate(self, request: Activate) -> Indexed:
        """Let a revision answer, or tell how far it is from that."""
        embedding = self._embedding()
        indexed = await self._writer().activate(request, at_once=embedding.tired)
        self._count()
        embedding.wake()
        *_, last = await self._open().progress(request.doc_id, request.revision)
        return msgspec.structs.replace(
            indexed,
            seconds_left=await embedding.seconds_left(last),
            waits_for=embedding.waits_for if not indexed.answers else "",
        )

    async def remove(self, request: RemovePassages) -> Indexed:
        """Forget a document."""
        indexed = await self._writer().remove(request.doc_id, request.revision)
        self._count()
        self._deleted.set()
        return indexed

    async def describe(self, request: Describe) -> Indexed:
        """Change what is said about a revision."""
        indexed = await self._writer().describe(request.document)
        self._count()
        return indexed

    async def prune(self, request: Prune) -> Indexed:
        """Forget revisions that do not answer."""
        indexed = await self._writer().prune(request.doc_id, request.keep)
        self._deleted.set()
        return indexed

    async def corpus(self, request: CorpusQuery) -> CorpusState:
        """Say what the corpus holds."""
        corpus = self._open()
        if request.reading is not None:
            self._reading = request.reading
        if request.missing is not None:
            self._missing = request.missing
            if not self._missing:
                self._health.well("salvage corpus.db")
            self._count()
        # Before the documents: who reads page by page sees by it that the corpus changed meanwhile.
        generation = corpus.generation
        totals = await corpus.totals(request.doc_id) if request.totals else (0, 0)
        if request.doc_id:
            held, more = [await corpus.held(request.doc_id)], False
        else:
            held = await corpus.held_after(request.after, request.limit + 1)
            count = fitting(held, request.limit)
            held, more = held[:count], count < len(held)
        return CorpusState(
            documents=[
                CorpusDocument(document=h.document, passages=h.passages, active=h.active)
                for revisions in held
                for h in revisions
            ],
            passages=totals[0],
            vectors=totals[1],
            generation=generation,
            embedding=corpus.embedding,
            next=held[-1][-1].document.doc_id if more else "",
        )

    async def units(self, request: UnitQuery) -> UnitList:
        """Say which fault codes the manuals of an asset define."""
        return await units(self._open(), request)

    async def passages(self, request: PassageQuery) -> PassageList:
        """Return the passages of a revision with their vectors."""
        return await sharing.passages(self._open(), request)

    async def _terms(self) -> Lexicon:
        """Return the list of the trade's words: ours, and the plant's own on top of it."""
        own = self._lexicon_file
        lexicon = await asyncio.to_thread(Lexicon.load, [SHIPPED, *([own] if own else [])])
        for trouble in lexicon.troubles:
            log.warning("a line of the list of terms is left out: %s", trouble)
        if lexicon.troubles:
            self._health.trouble("lexicon", f"{lexicon.troubles[0]}; the other lines hold")
        return lexicon

    async def _keep_index(self, indexer: Indexer) -> None:
        """Build the index where it must be, and write it a while after each change."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                await indexer.settle()
            except (OSError, Retryable) as error:
                # The corpus is the truth: without this file the next start is slower, no more.
                self._health.trouble("index", f"{error}; trying again")
                pause = _AGAIN_S
            else:
                self._health.well("index")
                self._count()
                pause = _SETTLE_EVERY_S

    async def _remake(self, indexer: Indexer) -> None:
        """Find words and codes anew that an older Andon found another way, a revision at a time."""
        remade = 0
        while True:
            try:
                if not await indexer.remake_words():
                    break
                remade += 1
            except Retryable as error:
                log.warning("words and codes are still those of an older Andon: %s", error)
                await asyncio.sleep(_AGAIN_S)
        if remade:
            log.info("words and codes of %d revisions were found anew", remade)
            self._count()

    async def _scrub(self, corpus: Corpus) -> None:
        """Take deleted words off the disk, soon after each removal."""
        while True:
            await self._deleted.wait()
            await asyncio.sleep(_SCRUB_AFTER_S)  # several removals, one scrub
            self._deleted.clear()
            try:
                if not await corpus.scrub():
                    self._deleted.set()
            except Retryable as error:
                log.warning("deleted words are still on the disk: %s", error)
                self._deleted.set()

    def _question_trouble(self, error: AndonError | None) -> None:
        """Take note of how embedding questions goes."""
        self._embedding().question_trouble(error)

    def _reranker(self) -> Reranker | None:
        """Return what puts passages in order, where one is configured."""
        if not self._settings.rerank_url:
            return None
        from services.retriever.rerank import Reranker  # noqa: PLC0415  only where it is used

        return Reranker(self._settings, self._rerank_trouble)

    def _rerank_trouble(self, error: AndonError | None) -> None:
        """Take note of how putting passages in order goes."""
        if error is None:
            self._health.well("rerank")
        else:
            self._health.trouble("rerank", f"{error}; passages stay in Andon's own order")

    def _writer(self) -> Indexer:
        if self._indexer is None:
            raise Unavailable("retriever", "the corpus is not open yet")
        return self._indexer

    def _embedding(self) -> Succession:
        if self._succession is None:
            raise Unavailable("retriever", "the corpus is not open yet")
        return self._succession

    def _open(self) -> Corpus:
        if self._corpus is None:
            raise Unavailable("retriever", "the corpus is not open yet")
        return self._corpus

    def _count(self) -> None:
        corpus = self._open()
        index = self._indexer.index if self._indexer else None
        self._health.facts.update(
            documents=len(corpus.active),
            passages=corpus.size,
            vectors=len(index) if index is not None else 0,
            incomplete=self._missing != 0,
            generation=corpus.generation,
            embedding_change=self._succession.progress if self._succession else "",
        )
        self._health.changed.set()  # answers that stand may be out of date
