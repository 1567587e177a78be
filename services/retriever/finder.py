"""The way of one search: codes, words and vectors side by side, then ranked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from schemas.answers import Scope
from schemas.retrieval import Found, Hit, Passage, Search
from services.retriever import neighbours, ranking
from services.retriever.asked import without
from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder
from services.retriever.glosses import glossed
from services.retriever.holdings import Found as Candidate
from services.retriever.inquiry import Inquirer, Inquiry
from services.retriever.judging import Judge
from services.retriever.kinds import explaining, of_kind
from services.retriever.known import unanswered
from services.retriever.lexicon import Lexicon
from services.retriever.meaning import NOTHING, Look, Meaning
from services.retriever.records import text_to_embed
from services.retriever.scope import limited, of_asset
from services.retriever.tokens import tells, tokens
from services.retriever.vectors import VectorIndex
from services.retriever.verdict import Verdict, defines
from services.runtime.errors import AndonError

if TYPE_CHECKING:
    from services.retriever.rerank import Reranker

Pairs = list[tuple[int, float]]
"""Passages by number with a score, best first."""
CANDIDATES = 32
"""Passages that words bring."""
INSIDE = 16
"""Passages by words that are looked for besides in the documents the question names."""
REPORTED = 48
"""The same where what is wrong is reported: threshold, delay and message have one name."""
QUOTED = 8
"""Passages at most that hold the question word for word."""
KIN = 2.0
"""How much a document is named that is about the kind of machine which the question speaks of."""
SWAPS = 10
"""Tries at most where what answers is swapped under a search."""
WHOLE = 3
"""Passages of a result, the first, that are joined with what goes on after them."""


class Finder:
    """Answers searches from a corpus, an index, a model and a list of the trade's words."""

    def __init__(
        self,
        corpus: Corpus,
        threshold: float,
        on_embedding: Callable[[AndonError | None], None],
        lexicon: Lexicon | None = None,
        sure: float = 0.0,
        *,
        reranker: Reranker | None = None,
    ) -> None:
        """Prepare; without a model until `use`, searches go by codes and words.

        Args:
            corpus: the truth.
            threshold: passages less relevant than this are not found, 0 to 1.
            on_embedding: told after each question whether it could be embedded.
            lexicon: what else words are called; none by default.
            sure: how likely the manuals must answer for anything to be found, 0 to 1.
            reranker: puts the best in order; by default they stay as they are ranked.
        """
        self._corpus = corpus
        self._threshold = threshold
        self._meaning = Meaning(corpus, on_embedding)
        self._lexicon = lexicon or Lexicon()
        self._inquirer = Inquirer(corpus, self._lexicon)
        self._verdict = Verdict(corpus, self._meaning, sure)
        self._reranker = reranker

    def use(self, embedder: Embedder, index: Callable[[], VectorIndex | None]) -> None:
        """Search by meaning too; see `Meaning.use`."""
        self._meaning.use(embedder, index)

    def close(self) -> None:
        """Let the threads go, without waiting for a server that hangs."""
        self._meaning.close()
        if self._reranker is not None:
            self._reranker.close()

    async def find(self, search: Search) -> Found:
        """Return the passages that answer, best first; the asset's documents before others.

        Where the search is limited to some documents, none of others.
        """
        for _ in range(SWAPS):
            epoch = self._corpus.epoch
            found = await self._find(search, _Clock())
            if epoch == self._corpus.epoch and epoch % 2 == 0:
                break
            # A revision took the place of another one meanwhile: what was found of the one may
            # have been looked up in the other.
            await self._corpus.settled()
        return found

    async def _find(self, search: Search, clock: _Clock) -> Found:
        among = limited(self._corpus.active, search)
        everywhere = None if among is None else list(among)
        inside = of_asset(self._corpus.active if among is None else among, search.asset)
        scoped = inside or everywhere
        look = self._meaning.begin(search.question, limited=scoped is not None)
        try:
            scope: Scope = "asset" if inside else "all"
            asked, hits = await self._in_scope(search, scoped, inside, look, clock)
            if not hits and asked.known.foreign and (home := asked.subject.meant or inside):
                # What the machine says beside its number may be told there.
                hits = await self._by_text(search, asked, list(home), clock)
            elif inside and not hits:
                scope = "widened"
                asked, hits = await self._in_scope(search, everywhere, inside, look, clock)
        finally:
            look.cancel()
        if not hits:
            only = _narrowed(search)
            await unanswered(self._corpus, asked.known, inside or everywhere or (), only=only)
        return Found(
            hits=glossed(hits, search.lang, self._lexicon),
            codes=asked.known.codes,
            unknown_codes=asked.known.unknown,
            near=asked.known.near,
            scope=scope,
            generation=self._corpus.generation,
            took_ms=clock.took,
        )

    async def _in_scope(
        self,
        search: Search,
        scope: list[int] | None,
        own: list[int],
        look: asyncio.Task[Look],
        clock: _Clock,
    ) -> tuple[Inquiry, list[Hit]]:
        """Return what is asked of some revisions, or of all of them, and what they answer."""
        corpus, limit = self._corpus, search.limit
        asked = await self._inquirer.inquire(search, scope, only=_narrowed(search), own=own)
        clock.lap("codes")
        word_hits = await self._by_words(asked, scope)
        clock.lap("words")
        code_hits = {
            label: hit
            for label, hit in asked.known.hits.items()
            if scope is None or hit.document in scope
        }
        labels = {*code_hits, *(label for label, _ in word_hits)}
        judge = Judge(asked.words, asked.symptom)
        # While the question is being embedded, what codes and words bring is looked at. Where it
        # is embedded already, all is fetched in one step.
        embedded = look.done()
        if not embedded:
            found, quoted = await corpus.gather(list(labels), asked.run, QUOTED, scope)
            labels.update(quoted)
            clock.lap("fetch")
            judge.judge(found)
            clock.lap("rank")
        surely = any(hit.certain for hit in code_hits.values())
        # A code by itself means nothing that another passage could be near to.
        near = await look if not surely or any(asked.readings) else NOTHING
        clock.lap("embed")
        vector_hits = await self._meaning.nearest(near, scope, limit)
        clock.lap("vectors")
        others = [label for label, _ in vector_hits if label not in labels]
        if embedded:
            found, quoted = await corpus.gather([*labels, *others], asked.run, QUOTED, scope)
        else:
            found |= await corpus.fetch(others)
        clock.lap("fetch")
        most = max([corpus.names.sure, *asked.subject.named.values()])
        ranked = ranking.rank(
            found,
            asked.words,
            codes_asked=bool(asked.known.hits) + len(asked.known.unknown),
            code_hits=code_hits,
            word_hits=word_hits,
            vector_hits=vector_hits,
            named=dict.fromkeys(asked.subject.kin, KIN)
            | {number: weight / most for number, weight in asked.subject.named.items()},
            meant=frozenset(asked.subject.meant),
            quoted=frozenset(quoted),
            in_language=self._in_language(asked, found),
            of_kind=of_kind(asked.codes, code_hits, found, corpus.active),
            explaining=explaining(code_hits, found),
            judge=judge,
        )
        # Another code's entry is no answer.
        astray = (asked.known.unknown or asked.known.certain) and not (surely or quoted)
        if (
            asked.known.stranger
            or astray
            or not self._verdict.answers(asked, ranked, found, quoted)
        ):
            return asked, []
        ranked = ranking.each_first(ranked, {n: hit.place for n, hit in code_hits.items()})
        good = [one for one in ranked if one.score >= self._threshold]
        more = self._reranker.passages if self._reranker is not None else 0
        best = ranking.distinct(good, found, max(limit, more))
        clock.lap("rank")
        if self._reranker is not None:
            best = await self._reranker.order(
                asked.search.question,
                best,
                text=lambda one: self._told(found[one.id]),
                stays=lambda one: defines(asked, one, found[one.id]),
            )
            clock.lap("rerank")
        hits = [
            Hit(
                document=self._corpus.active[found[one.id].document],
                passage=await self._whole(found[one.id], place),
                score=round(one.score, 4),
                by=one.by,
            )
            for place, one in enumerate(best[:limit])
            if found[one.id].document in self._corpus.active
        ]
        clock.lap("join")
        return asked, hits

    async def _by_text(
        self, search: Search, asked: Inquiry, own: list[int], clock: _Clock
    ) -> list[Hit]:
        """Return what a machine's own manuals tell of a report without the numbers in it."""
        text = without(search.question, asked.codes)
        if all(word in self._corpus.names or not tells(word) for word in tokens(text)):
            return []
        told = msgspec.structs.replace(search, question=text, code="")
        look = self._meaning.begin(text, limited=True)
        try:
            return (await self._in_scope(told, own, own, look, clock))[1]
        finally:
            look.cancel()

    async def _by_words(self, asked: Inquiry, scope: list[int] | None) -> Pairs:
        """Return passages by words, of the documents that are meant some more."""
        words = asked.words.searched
        hits = await self._corpus.search_words(words, CANDIDATES, scope)
        # Those that only speak of a name: a manual's title may not have its product's.
        subject = asked.subject
        named = subject.meant or [*{*self._corpus.names.meant(subject.named), *subject.kin}]
        if named and len(named) < len(self._corpus.active):
            most = REPORTED if asked.words.reports else INSIDE
            more = await self._corpus.search_words(words, most, named)
            there = {label for label, _ in hits}
            hits += [pair for pair in more if pair[0] not in there]
        return hits

    def _told(self, found: Candidate) -> str:
        """Return the words of a passage with those of its headings."""
        held = self._corpus.active.get(found.document)
        return text_to_embed(held.title if held is not None else "", found.passage)

    async def _whole(self, found: Candidate, place: int) -> Passage:
        """Return a passage, one of the first with those after it that go on with it."""
        passage = found.passage
        if place >= WHOLE or not neighbours.runs_on(passage):
            return passage
        first = passage.ordinal + 1
        after = await self._corpus.following(found.document, first, first + neighbours.MOST - 1)
        return neighbours.joined(passage, after)

    def _in_language(self, asked: Inquiry, found: Mapping[int, Candidate]) -> set[int]:
        if not asked.lang:
            return set()
        return {label for label, one in found.items() if one.lang == asked.lang}


def _narrowed(search: Search) -> bool:
    return bool(search.collection or search.kind or search.tags)


class _Clock:
    """Where the time of a search goes."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.took: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Put the time since the last lap down under a name, milliseconds."""
        now = time.perf_counter()
        self.took[name] = round(self.took.get(name, 0.0) + (now - self._began) * 1e3, 2)
        self._began = now
