"""What a search reads from the corpus: words, codes, and the passages themselves."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from schemas.retrieval import Passage
from services.retriever import bm25
from services.retriever.answering import Answering
from services.retriever.holdings import CodeHit, Found
from services.retriever.postings import HELD, NONE, Numbers, Posting, added, best
from services.retriever.records import passage_of
from services.retriever.statements import Q, plain, quoted

AGAIN = 0.08
"""Share of a manual's passages that speak of what it is about, at least."""
SLICE = 5000
"""Passages whose lengths are read at once."""
FRONT, BACK = 16, 8
"""Passages of a manual, the first and the last, in which its maker says who they are."""


class Lookups(Answering):
    """The part of the corpus that searches ask; see `corpus.Corpus`."""

    async def frequency(self, words: Sequence[str]) -> dict[str, int]:
        """Return in how many passages each token is; those in none are left out."""
        kept = self._postings
        found = {word: kept.counts[word] for word in words if word in kept.counts}
        new = [word for word in words if word not in found and word not in kept.nowhere]
        if new:
            rows = await self._db.fetch(Q["frequency"], (json.dumps(new),))
            there = {row["term"]: row["doc"] for row in rows}
            kept.count(new, there)
            found |= there
        return found

    async def beginning(self, beginnings: Sequence[str], limit: int = 2000) -> dict[str, int]:
        """Return the tokens that begin with one of these, and in how many passages each is."""
        found: dict[str, int] = {}
        for begin in beginnings:
            after = begin[:-1] + chr(ord(begin[-1]) + 1)
            rows = await self._db.fetch(Q["beginning"], (begin, after, limit))
            found |= {row["term"]: row["doc"] for row in rows}
        return found

    async def search_words(
        self, words: Sequence[str], limit: int, scope: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return passages with any of these tokens and their BM25 score, best first.

        Args:
            words: tokens as tokens.py makes them.
            limit: how many at most.
            scope: numbers of the revisions to search; all that answer when None.
        """
        kept = self._postings
        inside = None if scope is None else await self._members(scope)
        if kept.last is None or kept.last[0] != words:
            kept.last = words, added(await self._lists(words))
        return best(kept.last[1], limit, inside)

    async def _lists(self, words: Sequence[str]) -> list[Posting]:
        """Return where words are and what each counts there, without repeats."""
        kept = self._postings
        there = {word: kept.lists[word] for word in words if word in kept.lists}
        if new := [word for word in words if word not in there]:
            postings = await self._db.read(partial(weigh, new, kept.lengths))
            for word, one in zip(new, postings, strict=True):
                kept.keep(word, one)
                there[word] = one
        return list(there.values())

    async def measure(self) -> None:
        """Read how long the passages are, once after a change, by which words are weighed sooner.

        A slice at a time: a question that comes between waits for one, 2 ms.
        """
        kept, slices, last = self._postings, [], 0
        while kept.lengths is None and kept is self._postings:
            one = await self._db.read(partial(measured, last, SLICE))
            slices.append(one)
            if len(one.passages) < SLICE:
                kept.lengths = bm25.joined(slices)
            else:
                last = int(one.passages[-1])

    async def lookup_loose(
        self, loose: Sequence[str], limit: int = 120, *, first: Collection[int] = ()
    ) -> list[CodeHit]:
        """Return passages that have one of these codes in the forgiving form, defining ones first.

        Args:
            loose: forgiving forms of the codes.
            limit: how many at most.
            first: numbers of revisions whose passages go before all others.
        """
        if not loose:
            return []
        rows = await self._db.fetch(
            Q["codes_loose"], (json.dumps(list(loose)), json.dumps(list(first)), limit)
        )
        return [
            CodeHit(r["id"], r["document"], r["canonical"], r["loose"], r["strength"]) for r in rows
        ]

    async def lookup_near(
        self, loose: Sequence[str], *, first: Collection[int] = (), only: bool = False
    ) -> dict[str, str]:
        """Return those of these codes that a passage defines: forgiving form and canonical one.

        Args:
            loose: forgiving forms, hundreds of them.
            first: numbers of revisions; where they define any, those of others are left out.
            only: those of others are left out in any case.
        """
        rows = await self._db.fetch(
            Q["codes_near"], (json.dumps(list(loose)), json.dumps(list(first)))
        )
        inside = [row for row in rows if row["inside"]]
        chosen = inside if only else inside or rows
        return {row["loose"]: row["canonical"] for row in chosen}

    async def inside(self, labels: Sequence[int], scope: Sequence[int]) -> set[int]:
        """Return those of these passages that are of the given revisions."""
        numbers = np.array(labels, dtype=np.int32)
        return set(numbers[np.isin(numbers, await self._members(scope))].tolist())

    async def _members(self, scope: Sequence[int]) -> Numbers:
        """Return the numbers of the passages of some revisions."""
        kept = self._postings.members
        if new := [number for number in scope if number not in kept]:
            there = await self._db.read(partial(_numbers, new))
            kept.update(zip(new, there, strict=True))
        return np.concatenate([NONE[0], *(kept[number] for number in scope)])

    async def fetch(self, labels: Sequence[int]) -> dict[int, Found]:
        """Return those of these passages that answer, by number."""
        return (await self.gather(labels))[0]

    async def gather(
        self,
        labels: Sequence[int],
        run: Sequence[str] = (),
        limit: int = 0,
        scope: Sequence[int] | None = None,
    ) -> tuple[dict[int, Found], list[int]]:
        """Return passages by number, with those that hold some tokens one after the other.

        Both in one step: to hand over to the reader's thread costs more than either.

        Args:
            labels: numbers of passages; those that do not answer are left out.
            run: tokens as tokens.py makes them, in the order of the text.
            limit: how many passages with all of `run` at most.
            scope: numbers of the revisions to search for those; all that answer when None.

        Returns:
            The passages, and the numbers of those that hold `run`, in no order.
        """
        if not (labels or run):
            return {}, []
        asked = partial(_gathered, labels, quoted(" ".join(run)) if run else "", limit, scope)
        rows, holding = await self._db.read(asked)
        titles = self.titles
        found = {
            number: Found(
                number, document, kind, content, head, head[titles.get(document, 0) :], body, name
            )
            for number, document, kind, content, head, body, name in rows
        }
        return found, holding

    async def following(self, number: int, first: int, last: int) -> list[Passage]:
        """Return a revision's passages between two ordinals, both included, in order."""
        rows = await self._db.fetch(Q["contents"], (number, first, last))
        return sorted((passage_of(r["content"]) for r in rows), key=lambda p: p.ordinal)

    async def holders(self, word: str, limit: int) -> list[int]:
        """Return the revisions that answer with this token in them, at most so many."""
        kept = self._postings
        if word not in kept.holders:
            rows = await self._db.fetch(Q["holders"], (quoted(word), limit))
            kept.hold(word, [row["document"] for row in rows])
        return kept.holders[word]

    async def about(self, name: str) -> frozenset[int]:
        """Return the revisions that speak of something again and again.

        Args:
            name: tokens of what it is called, in order, with spaces between.
        """
        return frozenset(
            number
            for number, (passages, _, _) in (await self._speaking(name)).items()
            if passages > 1 and passages >= AGAIN * self.sizes.get(number, passages)
        )

    async def made_by(self, name: str) -> set[int]:
        """Return the revisions of manuals by a maker: its first or last pages name it, or most do.

        In the midst of a manual it is another's part or protocol; a leaflet has no first pages, and
        neither has a small file of a manual of many.

        Args:
            name: tokens of the maker's name, in order, with spaces between.
        """
        sizes, made = self.sizes, set[int]()
        there = await self._speaking(name)
        for number, (_, first, last) in there.items():
            whole = self.names.family([number])
            said = sum(there[one][0] for one in whole & there.keys())
            size, of_all = sizes.get(number, 0), sum(sizes.get(one, 0) for one in whole)
            edges = size > FRONT and (first < FRONT or last >= size - BACK)
            if (edges and 2 * size >= of_all) or said > max(1.0, AGAIN * of_all):
                made.add(number)
        return made

    async def _speaking(self, name: str) -> Mapping[int, tuple[int, int, int]]:
        """Return how many passages of each revision have a name, and the first and the last."""
        kept = self._postings.speaking
        if name not in kept:
            rows = await self._db.fetch(Q["speaking"], (quoted(name),))
            if len(kept) >= HELD:
                kept.clear()
            kept[name] = {r["document"]: (r["passages"], r["first"], r["last"]) for r in rows}
        return kept[name]


def weigh(
    words: Sequence[str], lengths: bm25.Lengths | None, db: sqlite3.Connection
) -> list[Posting]:
    """Return where words are and what each counts there; the same without lengths, but slower."""
    return [_posting(word, lengths, db) for word in words]


def _posting(word: str, lengths: bm25.Lengths | None, db: sqlite3.Connection) -> Posting:
    if lengths is not None and " " not in word:
        ((text,),) = plain(db, Q["places"], (word,))
        return bm25.weighed(bm25.numbers(text), lengths)
    # Words that follow one another, too: FTS5 sees where they do without what each weighs apart.
    rows = plain(db, Q["weighed"], (bm25.HEAD_WEIGHT, quoted(word)))
    found = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return found[:, 0].astype(np.int32), found[:, 1].astype(np.float32)


def measured(after: int, limit: int, db: sqlite3.Connection) -> bm25.Lengths:
    """Return the lengths of the first so many passages behind one."""
    return bm25.lengths(*plain(db, Q["lengths"], (after, limit))[0])


def _gathered(
    labels: Sequence[int],
    match: str,
    limit: int,
    scope: Sequence[int] | None,
    db: sqlite3.Connection,
) -> tuple[list[Any], list[int]]:
    """Return the rows of passages and of those that match, and the numbers of the latter."""
    rows: list[tuple[int]] = []
    if match and scope is None:
        rows = plain(db, Q["quoted"], (match, limit))
    elif match:
        rows = plain(db, Q["quoted_in"], (match, json.dumps(list(scope or ())), limit))
    holding = [number for (number,) in rows]
    return plain(db, Q["passages"], (json.dumps([*labels, *holding]),)), holding


def _numbers(revisions: Sequence[int], db: sqlite3.Connection) -> list[Numbers]:
    """Return the passages of each revision."""
    rows = [plain(db, Q["numbers"], (number,))[0] for number in revisions]
    return [bm25.numbers(text).astype(np.int32) for (text,) in rows]
