"""The way of one search: codes, words and vectors side by side, then ranked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas.answers import Scope
from schemas.retrieval import Found, Hit, Passage, Search
from services.retriever import answerable, names, neighbours, question, ranking, spelling
from services.retriever import corpus as store
from services.retriever.asked import codes_asked
from services.retriever.codes import Code
from services.retriever.embedding import Embedder
from services.retriever.holdings import Found as Candidate
from services.retriever.known import Known, look_up
from services.retriever.lexicon import Lexicon
from services.retriever.meaning import Meaning
from services.retriever.records import DEFINES
from services.retriever.scope import limited, of_asset
from services.retriever.tokens import language, query_tokens, running_tokens
from services.retriever.vectors import VectorIndex
from services.runtime.errors import AndonError

Pairs = list[tuple[int, float]]
"""Passages by number with a score, best first."""
CANDIDATES = 32
"""Passages each of the ways brings."""
INSIDE = 16
"""Passages by words that are looked for besides in the documents the question names."""
QUOTED = 8
"""Passages at most that hold the question word for word."""
SWAPS = 10
"""Tries at most where what answers is swapped under a search."""
RARE = 1000
"""A name is looked for in the texts where no more passages have it."""
WHOLE = 3
"""Passages of a result, the first, that are joined with what goes on after them."""
MISTYPED = 4
"""Words of a question that are put right at most."""
HOLDERS = 200
"""Documents that are looked at for having such a name."""


@dataclass(slots=True)
class _Asked:
    """A question taken apart."""

    search: Search
    codes: list[Code]
    lang: str
    words: question.Question
    run: list[str]
    named: dict[int, float]
    meant: list[int]
    known: Known
    salient: frozenset[str]
    vector: NDArray[np.float32] | None = None
    quoted: list[int] = field(default_factory=list)


class Finder:
    """Answers searches from a corpus, an index, a model and a list of the trade's words."""

    def __init__(
        self,
        corpus: store.Corpus,
        threshold: float,
        on_embedding: Callable[[AndonError | None], None],
        lexicon: Lexicon | None = None,
        sure: float = 0.0,
    ) -> None:
        """Prepare; without a model until `use`, searches go by codes and words.

        Args:
            corpus: the truth.
            threshold: passages less relevant than this are not found, 0 to 1.
            on_embedding: told after each question whether it could be embedded.
            lexicon: what else words are called; none by default.
            sure: how likely the manuals must answer for anything to be found, 0 to 1.
        """
        self._corpus = corpus
        self._threshold = threshold
        self._meaning = Meaning(corpus, on_embedding)
        self._lexicon = lexicon or Lexicon()
        self._sure = sure

    def use(self, embedder: Embedder, index: Callable[[], VectorIndex | None]) -> None:
        """Search by meaning too; see `Meaning.use`."""
        self._meaning.use(embedder, index)

    def close(self) -> None:
        """Let the threads go, without waiting for a server that hangs."""
        self._meaning.close()

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
        embedding = asyncio.create_task(self._meaning.embed(search.question), name="embed")
        try:
            asked = await self._read(search, inside or everywhere)
            clock.lap("codes")
            words = await self._words(asked, inside or everywhere)
            clock.lap("words")
            asked.vector = await embedding
            clock.lap("embed")
        finally:
            embedding.cancel()
        hits = await self._in_scope(asked, inside or everywhere, words, clock)
        scope: Scope = "asset" if inside else "all"
        if inside and not hits:
            asked = await self._read(search, everywhere)
            words = await self._words(asked, everywhere)
            clock.lap("words")
            hits, scope = await self._in_scope(asked, everywhere, words, clock), "widened"
        return Found(
            hits=hits,
            codes=asked.known.codes,
            unknown_codes=asked.known.unknown,
            near=asked.known.near,
            scope=scope,
            generation=self._corpus.generation,
            took_ms=clock.took,
        )

    async def _read(self, search: Search, scope: list[int] | None) -> _Asked:
        """Take a question apart: its codes, what its words tell, which documents it names."""
        corpus = self._corpus
        codes = codes_asked(search, corpus.names)
        words = query_tokens(f"{search.question} {search.code}".strip())
        run = running_tokens(search.question)
        expansions = self._lexicon.expand(search.question)
        messages = question.messages(search.question)
        salient = question.name_like(search.question)
        alike = question.name_like(search.question, self._lexicon.is_term)
        makers = [one for one in expansions if one.maker]
        alike |= {word for maker in makers for word in maker.words}
        frequency = await corpus.frequency(
            list(
                {
                    *words,
                    *run,
                    *(t for m in messages for t in m),
                    *(t for o in expansions for t in o.tokens),
                }
            )
        )
        others: list[question.Alternative] = [*expansions]
        others += await self._respelt([w for w in words if w not in frequency], alike, frequency)
        spelt = _spelt(codes)
        called = {token for maker in makers for token in maker.tokens}
        naming = [word for word in dict.fromkeys([*words, *called]) if word not in spelt]
        texts = await self._holders([word for word in naming if word in alike], frequency)
        named = corpus.names.named(naming, texts)
        # Only what looks like a name says that no others are meant.
        about = corpus.names.named([w for w in naming if w in alike or w in called], texts)
        meant = names.meant(about)
        family = corpus.names.family(meant)
        if scope is not None:
            named = {number: weight for number, weight in named.items() if number in scope}
            family &= set(scope)
        known = await look_up(corpus, codes, family or scope or (), only=bool(family))
        taken = question.read(
            words,
            run,
            others,
            frequency,
            corpus.size,
            names=alike,
            codes=spelt if any(code.certain for code in codes) else (),
            messages=messages,
        )
        whole = len(run) > 1 and all(word in frequency for word in run)
        return _Asked(
            search=search,
            codes=codes,
            lang=search.lang or language(search.question),
            words=taken,
            run=run if whole else [],  # else no passage holds it
            named=named,
            meant=sorted(family),
            known=known,
            salient=salient | alike,
        )

    async def _respelt(
        self, unknown: Sequence[str], alike: Collection[str], frequency: dict[str, int]
    ) -> list[question.Respelt]:
        """Return what words may have been meant to be that no passage has.

        In how many passages those are is put down in `frequency`.
        """
        found: list[question.Respelt] = []
        for word in [w for w in unknown if spelling.correctable(w) and not self._lexicon.knows(w)][
            :MISTYPED
        ]:
            known = await self._corpus.frequency(spelling.slips(word))
            if word not in alike:
                known |= await self._corpus.beginning(spelling.beginnings(word))
            for term, weight in spelling.corrections(word, known):
                found.append(question.Respelt((word,), (term,), weight))
                frequency[term] = known[term]
        return found

    async def _holders(
        self, alike: Sequence[str], frequency: Mapping[str, int]
    ) -> dict[str, list[int]]:
        """Return which documents have these names in their text."""
        return {
            word: await self._corpus.holders(word, HOLDERS)
            for word in alike
            if 0 < frequency.get(word, 0) <= RARE
        }

    async def _words(self, asked: _Asked, scope: list[int] | None) -> Pairs:
        corpus, words = self._corpus, asked.words.searched
        hits = await corpus.search_words(words, CANDIDATES, scope)
        if asked.meant and len(asked.meant) < len(corpus.active):
            more = await corpus.search_words(words, INSIDE, asked.meant)
            there = {label for label, _ in hits}
            hits += [pair for pair in more if pair[0] not in there]
        asked.quoted = await corpus.search_quote(asked.run, QUOTED, scope)
        return hits

    async def _in_scope(
        self, asked: _Asked, scope: list[int] | None, word_hits: Pairs, clock: _Clock
    ) -> list[Hit]:
        """Rank what codes, words and vectors found in some revisions, or in all of them."""
        limit = asked.search.limit
        vector_hits = await self._meaning.nearest(asked.vector, CANDIDATES, scope, limit)
        clock.lap("vectors")
        code_hits = {
            label: hit
            for label, hit in asked.known.hits.items()
            if scope is None or hit.document in scope
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
        clock.lap("fetch")
        most = max(asked.named.values(), default=1.0)
        ranked = ranking.rank(
            found,
            asked.words,
            codes_asked=bool(asked.known.hits) + len(asked.known.unknown),
            code_hits=code_hits,
            word_hits=word_hits,
            vector_hits=vector_hits,
            named={n: w / max(most, names.SURE) for n, w in asked.named.items()},
            quoted=frozenset(asked.quoted),
            in_language=self._in_language(asked, found),
        )
        if not self._answers(asked, ranked, found):
            return []
        good = [one for one in ranked if one.score >= self._threshold]
        best = ranking.distinct(good, found, limit)
        clock.lap("rank")
        hits = [
            Hit(
                document=self._corpus.active[found[one.id].document],
                passage=await self._whole(found[one.id], place),
                score=round(one.score, 4),
                by=one.by,
            )
            for place, one in enumerate(best)
            if found[one.id].document in self._corpus.active
        ]
        clock.lap("join")
        return hits

    async def _whole(self, found: Candidate, place: int) -> Passage:
        """Return a passage, one of the first with those after it that go on with it."""
        passage = found.passage
        if place >= WHOLE or not neighbours.runs_on(passage):
            return passage
        first = passage.ordinal + 1
        after = await self._corpus.following(found.document, first, first + neighbours.MOST - 1)
        return neighbours.joined(passage, after)

    def _answers(
        self, asked: _Asked, ranked: Sequence[ranking.Ranked], found: Mapping[int, Candidate]
    ) -> bool:
        """Return whether what was found answers the question."""
        documents = {found[one.id].document for one in ranked[: answerable.LOOKED_AT]}
        own = frozenset().union(*(self._corpus.names.of(number) for number in documents))
        seen = answerable.evidence(
            ranked,
            asked.words.weights,
            asked.salient,
            asked.salient & own,
            rarest=question.idf(1, self._corpus.size),
            meaning=self._meaning.speaks(asked.lang),
            named=bool(asked.meant),
            defines=any(
                self._defines(asked, found[one.id]) for one in ranked[: answerable.LOOKED_AT]
            ),
        )
        certain = {code for code in asked.codes if code.certain}
        if certain and asked.known.unknown and not asked.known.hits:
            return False  # another code's entry is no answer
        return seen.probability >= self._sure

    def _defines(self, asked: _Asked, one: Candidate) -> bool:
        """Return whether a passage defines a code that is surely asked for, or a message."""
        hit = asked.known.hits.get(one.id)
        if hit and hit.certain and hit.strength == DEFINES:
            return True
        return any(phrase in f" {one.name} " for phrase in asked.words.phrases)

    def _in_language(self, asked: _Asked, found: Mapping[int, Candidate]) -> set[int]:
        if not asked.lang:
            return set()
        return {
            label
            for label, one in found.items()
            if asked.lang == (one.passage.lang or language(one.passage.text))
        }


def _spelt(codes: Sequence[Code]) -> set[str]:
    """Return the tokens that are codes, or parts of one: they are found by the code index."""
    spelt = {form.lower() for code in codes for form in (code.canonical, code.loose)}
    return spelt.union(*(query_tokens(code.raw) for code in codes if code.certain))


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
