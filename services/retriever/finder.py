"""The way of one search: codes, words and vectors side by side, then ranked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas.answers import Scope
from schemas.retrieval import Found, Hit, Search
from services.retriever import asked as asked_for
from services.retriever import corpus as store
from services.retriever import ranking
from services.retriever.codes import Code
from services.retriever.embedding import Embedder, Vectors
from services.retriever.holdings import Found as Candidate
from services.retriever.known import look_up
from services.retriever.scope import limited, of_asset
from services.retriever.tokens import language, query_tokens, running_tokens
from services.retriever.vectors import VectorIndex, nearest
from services.runtime.errors import AndonError, DeadlineExceeded, Rejected, Retryable

Pairs = list[tuple[int, float]]
"""Passages by number with a score, best first."""
CANDIDATES = 32
"""Passages each of the ways brings."""
QUOTED = 8
"""Passages at most that hold the question word for word."""
EMBED_S = 1.5
"""A question whose vector takes longer is searched by codes and words, seconds."""
SWAPS = 10
"""Tries at most where what answers is swapped under a search."""
NARROW = 4000
"""Passages of a scope that are compared one by one when the index brings too few of it."""


@dataclass(slots=True)
class _Asked:
    """A question taken apart."""

    search: Search
    codes: list[Code]
    weights: dict[str, float] = field(default_factory=dict)
    near: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    quoted: list[int] = field(default_factory=list)
    hits: dict[int, ranking.CodeHit] = field(default_factory=dict)
    documents: dict[int, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    near_codes: dict[str, list[str]] = field(default_factory=dict)
    vector: NDArray[np.float32] | None = None
    took: dict[str, float] = field(default_factory=dict)

    def lap(self, name: str, began: float) -> None:
        spent = (time.perf_counter() - began) * 1e3
        self.took[name] = round(self.took.get(name, 0.0) + spent, 2)


class Finder:
    """Answers searches from a corpus, an index and a model."""

    def __init__(
        self,
        corpus: store.Corpus,
        threshold: float,
        on_embedding: Callable[[AndonError | None], None],
    ) -> None:
        """Prepare; without a model until `use`, searches go by codes and words.

        Args:
            corpus: the truth.
            threshold: passages less relevant than this are not found, 0 to 1.
            on_embedding: told after each question whether it could be embedded.
        """
        self._corpus = corpus
        self._threshold = threshold
        self._on_embedding = on_embedding
        self._embedder: Embedder | None = None
        self._index: Callable[[], VectorIndex | None] | None = None
        # Its own: an embedding server that hangs must not hold the threads of everyone else.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="question")
        self._hanging: set[asyncio.Future[Vectors]] = set()

    def use(self, embedder: Embedder, index: Callable[[], VectorIndex | None]) -> None:
        """Search by meaning too.

        Args:
            embedder: turns the question into a vector.
            index: gives the index as it is now; it is replaced when it is rebuilt.
        """
        self._embedder = embedder
        self._index = index

    async def find(self, search: Search) -> Found:
        """Return the passages that answer, best first; the asset's documents before others.

        Where the search is limited to some documents, none of others.
        """
        for _ in range(SWAPS):
            epoch = self._corpus.epoch
            found = await self._find(search)
            if epoch == self._corpus.epoch and epoch % 2 == 0:
                break
            # A revision took the place of another one meanwhile: what was found of the one may
            # have been looked up in the other.
            await self._corpus.settled()
        return found

    async def _find(self, search: Search) -> Found:
        asked = _Asked(search, asked_for.codes_asked(search, self._corpus.names))
        among = limited(self._corpus.active, search)
        everywhere = None if among is None else list(among)
        inside = of_asset(self._corpus.active if among is None else among, search.asset)
        embedding = asyncio.create_task(self._embed(asked), name="embed question")
        try:
            await self._read(asked, inside or everywhere or ())
            words = await self._words(asked, inside or everywhere)
            asked.vector = await embedding
        finally:
            embedding.cancel()
        hits = await self._in_scope(asked, inside or everywhere, words)
        scope: Scope = "asset" if inside else "all"
        if inside and not hits:
            words = await self._words(asked, everywhere)
            hits, scope = await self._in_scope(asked, everywhere, words), "widened"
        return Found(
            hits=hits,
            codes=asked.names,
            unknown_codes=asked.unknown,
            near=asked.near_codes,
            scope=scope,
            generation=self._corpus.generation,
            took_ms=asked.took,
        )

    async def _embed(self, asked: _Asked) -> NDArray[np.float32] | None:
        if self._embedder is None or self._hanging:
            return None
        began = time.perf_counter()
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._embedder.embed, [asked.search.question]
        )
        try:
            done, _ = await asyncio.wait([work], timeout=EMBED_S)
            if not done:
                # Until it is back the others do not wait as well.
                self._hanging.add(work)
                work.add_done_callback(self._back)
                raise DeadlineExceeded("embed the question", f"no vector within {EMBED_S} s")
            vectors = work.result()
        except (Retryable, Rejected) as error:
            self._on_embedding(error)
            return None
        self._on_embedding(None)
        asked.lap("embed", began)
        vector: NDArray[np.float32] = vectors[0]
        return vector

    def _back(self, work: asyncio.Future[Vectors]) -> None:
        """See that what hung has ended; how it ended, the next question finds out."""
        self._hanging.discard(work)
        if not work.cancelled():
            work.exception()

    def close(self) -> None:
        """Let the threads go, without waiting for a server that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _read(self, asked: _Asked, scope: Sequence[int]) -> None:
        """Find out what the question's words tell and which of its codes are known."""
        began = time.perf_counter()
        known = await look_up(self._corpus, asked.codes, scope)
        certain = any(code.certain for code in asked.codes)
        for passage, (hit, exact) in known.hits.items():
            asked.documents[passage] = hit.document
            asked.hits[passage] = ranking.CodeHit(hit.strength, exact)
        asked.names, asked.unknown, asked.near_codes = known.codes, known.unknown, known.near
        words = query_tokens(f"{asked.search.question} {asked.search.code}".strip())
        run = running_tokens(asked.search.question)
        frequency = await self._corpus.frequency(list({*words, *run}))
        if len(run) > 1 and all(word in frequency for word in run):
            asked.run = run  # else no passage holds it
        spelt = {form.lower() for code in asked.codes for form in (code.canonical, code.loose)}
        asked.weights = ranking.weigh(
            [word for word in words if word not in spelt or not certain],
            frequency,
            self._corpus.size,
        )
        asked.near = ranking.worth_searching(words, frequency, self._corpus.size)
        asked.lap("codes", began)

    async def _words(self, asked: _Asked, scope: list[int] | None) -> Pairs:
        began = time.perf_counter()
        hits = await self._corpus.search_words(asked.near, CANDIDATES, scope)
        asked.quoted = await self._corpus.search_quote(asked.run, QUOTED, scope)
        asked.lap("words", began)
        return hits

    async def _in_scope(
        self, asked: _Asked, scope: list[int] | None, word_hits: Pairs
    ) -> list[Hit]:
        """Rank what codes, words and vectors found in some revisions, or in all of them."""
        began = time.perf_counter()
        vector_hits = await self._nearest(asked, scope)
        asked.lap("vectors", began)
        began = time.perf_counter()
        code_hits = {
            label: hit
            for label, hit in asked.hits.items()
            if scope is None or asked.documents[label] in scope
        }
        labels = dict.fromkeys(
            [
                *code_hits,
                *asked.quoted,
                *(i for i, _ in word_hits),
                *(i for i, _ in vector_hits),
            ]
        )
        found = await self._corpus.fetch(list(labels))
        ranked = ranking.rank(
            found,
            weights=asked.weights,
            codes_asked=bool(asked.hits) + len(asked.unknown),
            code_hits=code_hits,
            word_hits=word_hits,
            vector_hits=vector_hits,
            quoted=frozenset(asked.quoted),
            in_language=self._in_language(asked, found),
        )
        good = [one for one in ranked if one.score >= self._threshold]
        best = ranking.distinct(good, found, asked.search.limit)
        hits = [
            Hit(
                document=self._corpus.active[found[one.id].document],
                passage=found[one.id].passage,
                score=round(one.score, 4),
                by=one.by,
            )
            for one in best
            if found[one.id].document in self._corpus.active
        ]
        asked.lap("rank", began)
        return hits

    def _in_language(self, asked: _Asked, found: Mapping[int, Candidate]) -> set[int]:
        wanted = asked.search.lang
        if not wanted:
            return set()
        return {
            label
            for label, one in found.items()
            if wanted == (one.passage.lang or language(one.passage.text))
        }

    async def _nearest(self, asked: _Asked, scope: list[int] | None) -> Pairs:
        vector = asked.vector
        if vector is None or self._index is None:
            return []
        index = self._index()
        if index is None:
            return []
        if scope is None:
            return await asyncio.to_thread(index.search, vector, CANDIDATES)
        wide = await asyncio.to_thread(index.search, vector, 4 * CANDIDATES)
        inside = await self._corpus.inside([label for label, _ in wide], scope)
        hits = [(label, cosine) for label, cosine in wide if label in inside]
        if len(hits) >= asked.search.limit:
            return hits[:CANDIDATES]
        if sum(self._corpus.sizes.get(number, 0) for number in scope) > NARROW:
            return hits
        pairs: list[tuple[int, float]] = []
        for number in scope:
            labels, vectors = await self._corpus.vectors(number=number)
            pairs += nearest(vector, labels, vectors, CANDIDATES)
        return sorted(pairs, key=lambda pair: -pair[1])[:CANDIDATES]
