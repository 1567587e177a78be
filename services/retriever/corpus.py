"""The corpus: documents, passages, words, codes and vectors. The truth, in one SQLite file.

What answers is decided by `documents.active` alone. Words are in `fts` only for the active
revisions, so a batch being indexed slows no search and changes no ranking.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Self

import aiosqlite
import numpy as np
from numpy.typing import NDArray

from schemas.retrieval import DocumentRef, Passage
from services.retriever.embedding import Vectors
from services.retriever.holdings import (
    Change,
    CodeHit,
    Found,
    Held,
    columns_of,
    held_of,
    ref_of,
    unpacked,
)
from services.retriever.names import Names
from services.retriever.postings import COUNTED, NONE, Numbers, Posting, Postings, best, posting
from services.retriever.records import (
    WORDS,
    Record,
    content_of,
    head_of,
    passage_of,
    prepare,
    title_tokens,
)
from services.retriever.statements import (
    MIGRATIONS,
    Q,
    all_of,
    ids_of,
    number_of,
    plain,
    quoted,
    scalar,
)
from services.runtime.errors import Rejected
from services.runtime.salvage import Plan
from services.runtime.sqlite import Database, open_database

PLAN = Plan(
    migrations=MIGRATIONS,
    recover=False,
    consequence="the documents are read again from their originals, and answer as they come back",
)
"""What becomes of a damaged corpus: all of it can be made again."""

HEAD_WEIGHT = 0.6
"""Weight of a word in title or section against one in the text, for BM25."""
SLICE = 2000
"""Passages read at once where all of them are."""
MERGED = 64
"""Pages of the word index put together in one transaction: searches and changes go between."""


class Corpus:
    """The open file. One process has it open; its methods may be called concurrently."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.generation = 0
        """Grows with every change of what answers."""
        self.active: dict[int, DocumentRef] = {}
        """Revisions that answer, by number."""
        self.size = 0
        """Passages that answer."""
        self.sizes: dict[int, int] = {}
        """Of these, how many each revision has."""
        self.names = Names({})
        """What their documents go by."""
        self.titles: dict[int, int] = {}
        """How long the tokens of each one's title are, at the beginning of a passage's head."""
        self.epoch = 0
        """Odd while what answers is being swapped: what was read then is of two times."""
        self._postings = Postings()
        self._together = -1
        self._settled = asyncio.Event()
        self._settled.set()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the file.

        Raises:
            Fatal: it cannot be opened, is damaged, or a newer Andon wrote it.
        """
        corpus = cls(await open_database(path, MIGRATIONS, synchronous="NORMAL"))
        await corpus.refresh()
        return corpus

    @classmethod
    async def begin_anew(cls, path: Path) -> None:
        """Make an empty file in place of one that was lost.

        Its generations go on from the seconds since 1970: a saved index, or an answer that is
        kept for a while, must not be taken for one of the new corpus.
        """
        corpus = await cls.open(path)
        try:
            async with corpus.database.transaction() as db:
                await db.execute(Q["set_meta"], ("generation", str(int(time.time()))))
        finally:
            await corpus.close()

    @property
    def database(self) -> Database:
        """Return the file."""
        return self._db

    async def close(self) -> None:
        """Close the file."""
        await self._db.close()

    # -- changes ------------------------------------------------------------------------------

    @asynccontextmanager
    async def _swap(self) -> AsyncIterator[aiosqlite.Connection]:
        """Change what answers in one transaction; `epoch` tells of the moment it is committed."""
        epoch = self.epoch
        try:
            async with self._db.transaction() as db:
                yield db
                self.epoch = epoch + 1
                self._settled.clear()
            await self.refresh()
        finally:
            self.epoch = epoch + 2
            self._settled.set()

    async def settled(self) -> None:
        """Wait until nothing is being swapped."""
        await self._settled.wait()

    async def missing(self, document: DocumentRef, passages: Sequence[Passage]) -> list[Passage]:
        """Return those of a batch that are not in the corpus as they are.

        Raises:
            Rejected: the revision answers already, and with other words.
        """
        row = await self._db.first(Q["document"], (document.doc_id, document.revision))
        if row is None or not passages:
            return list(passages)
        ordinals = [p.ordinal for p in passages]
        rows = await self._db.fetch(Q["contents"], (row["id"], min(ordinals), max(ordinals)))
        there = {r["ordinal"]: r["content"] for r in rows}
        new = [p for p in passages if there.get(p.ordinal) != content_of(p)]
        if new and row["active"]:
            raise Rejected(
                "index",
                f"{document.file}: revision {document.revision} answers already",
                "send changed passages under a new revision",
            )
        return new

    async def put(self, document: DocumentRef, records: Sequence[Record]) -> int:
        """Keep a batch in one transaction; returns how many passages the revision has now.

        Args:
            document: whose they are.
            records: the passages; those that are there already are replaced.
        """
        async with self._db.transaction() as db:
            await db.execute(Q["put_document"], (*columns_of(document), WORDS))
            number = await number_of(db, document.doc_id, document.revision)
            if records:
                await self._put_all(db, number, records)
            count = await scalar(db, Q["count"], (number,))
        if number in self.active:
            await self.refresh()
        return count

    async def _put_all(
        self, db: aiosqlite.Connection, number: int, records: Sequence[Record]
    ) -> None:
        # Statement by statement, not passage by passage: each is a step of another thread.
        first = 1 + await scalar(db, Q["last_passage"], ())
        labelled = list(enumerate(records, first))
        await db.executemany(
            Q["drop_passage"], [(number, record.passage.ordinal) for record in records]
        )
        await db.executemany(
            Q["put_passage"],
            [
                (
                    label,
                    number,
                    r.passage.ordinal,
                    r.passage.kind,
                    r.content,
                    r.head,
                    r.body,
                    r.name,
                )
                for label, r in labelled
            ],
        )
        await db.executemany(
            Q["put_code"],
            [
                (canonical, label, loose, strength)
                for label, record in labelled
                for canonical, loose, strength in record.codes
            ],
        )

    async def check(
        self, doc_id: str, revision: int, passages: int, *, at_once: bool = False
    ) -> int | None:
        """See whether a revision may answer, and drop passages it has beyond its last.

        Those are left where it was read twice, with fewer the second time. Returns its number
        where it would replace another one and is ready to, None where it replaces none. It is
        ready when it has all its vectors, or `at_once`.

        Raises:
            Rejected: the revision is unknown, or some of its `passages` are missing.
        """
        row = await self._db.first(Q["document"], (doc_id, revision))
        if row is None and passages:
            raise Rejected(
                "activate", f"{doc_id}: revision {revision} is unknown", "index it first"
            )
        if row is None:
            raise Rejected("activate", f"{doc_id}: revision {revision} has no passages")
        held, vectors, _ = await self.progress(doc_id, revision)
        if held > passages and not row["active"]:
            async with self._db.transaction() as db:
                await db.execute(Q["drop_beyond"], (row["id"], passages))
            held, vectors, _ = await self.progress(doc_id, revision)
        if held != passages:
            raise Rejected(
                "activate",
                f"{doc_id}: revision {revision} has {held} of {passages} passages",
                "send the missing ones again",
            )
        replaces = any(
            one.doc_id == doc_id and one.revision != revision for one in self.active.values()
        )
        return int(row["id"]) if replaces and (at_once or vectors == held) else None

    def answers(self, doc_id: str, revision: int) -> bool:
        """Return whether a revision answers."""
        return any((d.doc_id, d.revision) == (doc_id, revision) for d in self.active.values())

    async def progress(self, doc_id: str, revision: int) -> tuple[int, int, int]:
        """Return how many passages a revision has, how many vectors, and its last passage."""
        rows = await self._db.fetch(Q["progress"], (doc_id, revision))
        return int(rows[0][0]), int(rows[0][1]), int(rows[0][2])

    async def activate(
        self, doc_id: str, revision: int, passages: int, *, at_once: bool = False
    ) -> Change:
        """Let a revision answer in place of the older one, in one transaction.

        Not yet where that would replace one that answers, and vectors are missing, unless
        `at_once`. The revision
        that answered before is kept, so that it can be brought back; see `prune`.

        Raises:
            Rejected: the revision is unknown, or some of its `passages` are missing.
        """
        replaces = await self.check(doc_id, revision, passages, at_once=at_once)
        removed: tuple[int, ...] = ()
        async with self._swap() as db:
            number = await number_of(db, doc_id, revision)
            before = await all_of(db, Q["active_revision"], (doc_id,))
            if before and (before[0]["id"] == number or replaces is None):
                return Change(self.generation)
            if before:
                old = before[0]["id"]
                removed = await ids_of(db, old)
                await db.execute(Q["fts_drop"], (old,))
                await db.execute(Q["set_active"], (0, old))
            await db.execute(Q["set_active"], (1, number))
            await db.execute(Q["fts_add"], (number,))
            await db.execute(Q["next_generation"])
        return Change(self.generation, (number,), removed)

    async def remove(self, doc_id: str, revision: int = 0) -> Change:
        """Forget a document: all its revisions, words, codes and vectors. Unknown ones are fine.

        Args:
            doc_id: which.
            revision: only this one; 0 for all.
        """
        async with self._swap() as db:
            rows = await all_of(db, Q["revisions"], (doc_id, revision))
            if not rows:
                return Change(self.generation)
            removed: tuple[int, ...] = ()
            for row in rows:
                # Also those of one that is just about to answer.
                removed += await ids_of(db, row["id"])
                if row["active"]:
                    await db.execute(Q["fts_drop"], (row["id"],))
            await db.execute(Q["drop_document"], (doc_id, revision))
            await db.execute(Q["set_meta"], ("scrub", "1"))
            if any(row["active"] for row in rows):
                await db.execute(Q["next_generation"])
        return Change(self.generation, (), removed)

    async def prune(self, doc_id: str, keep: Sequence[int]) -> bool:
        """Delete revisions of a document that do not answer, but those to keep.

        Returns whether there were any.
        """
        async with self._db.transaction() as db:
            async with db.execute(Q["prune"], (doc_id, json.dumps(list(keep)))) as cursor:
                pruned = cursor.rowcount > 0
            if pruned:
                await db.execute(Q["set_meta"], ("scrub", "1"))
        return pruned

    async def describe(self, document: DocumentRef) -> bool:
        """Change what is said about a revision; returns whether anything was different.

        Title and file name are in the words of each passage; those are changed with them. The
        vectors stay those of the former title: it is a small part of what they were made of.

        Raises:
            Rejected: the revision is unknown.
        """
        row = await self._db.first(Q["document"], (document.doc_id, document.revision))
        if row is None:
            raise Rejected(
                "describe", f"{document.doc_id}: revision {document.revision} is unknown"
            )
        before = ref_of(row)
        if before == document:
            return False
        title = title_tokens(document)
        async with self._swap() as db:
            await db.execute(Q["put_document"], (*columns_of(document), WORDS))
            if title != title_tokens(before):
                await _change_heads(db, row["id"], " ".join(title), active=bool(row["active"]))
            if row["active"]:
                await db.execute(Q["next_generation"])
        return True

    async def remake_words(self) -> bool:
        """Find tokens and codes of one revision anew that were found by an older Andon.

        Returns whether there was one.
        """
        if await self._db.first(Q["stale"], (WORDS,)) is None:
            return False
        async with self._swap() as db:
            # Looked up again: what answers may have changed before the transaction began.
            rows = await all_of(db, Q["stale"], (WORDS,))
            if not rows:
                return True
            number, answers = int(rows[0]["id"]), bool(rows[0]["active"])
            document = ref_of(rows[0])
            if answers:
                await db.execute(Q["fts_drop"], (number,))
            await db.execute(Q["drop_codes"], (number,))
            after = 0
            while rows := await all_of(db, Q["heads"], (number, after, SLICE)):
                after = rows[-1]["id"]
                passages = [passage_of(row["content"]) for row in rows]
                records = await asyncio.to_thread(prepare, document, passages)
                labelled = [(row["id"], one) for row, one in zip(rows, records, strict=True)]
                await db.executemany(
                    Q["set_words"], [(one.head, one.body, one.name, id_) for id_, one in labelled]
                )
                await db.executemany(
                    Q["put_code"],
                    [
                        (canonical, id_, loose, strength)
                        for id_, one in labelled
                        for canonical, loose, strength in one.codes
                    ],
                )
            if answers:
                await db.execute(Q["fts_add"], (number,))
                await db.execute(Q["next_generation"])
            await db.execute(Q["remade"], (WORDS, number))
        return True

    async def tidy(self) -> None:
        """Put the parts of the word index together, once after changes.

        Each batch leaves parts of its own, and a word is looked for in each of them: with a dozen
        it takes half as long again to find where a word is, and twice as long to count it.
        """
        generation = self.generation
        if self._together == generation:
            return
        rows = await self._db.fetch(Q["parts"])
        if rows[0][0] > 1:
            await self._put_together()
        self._together = generation

    async def _put_together(self) -> None:
        changes = 2
        while changes >= 2:  # so FTS5's documentation tells that there was nothing left to do
            async with self._db.transaction() as db:
                before = db.total_changes
                await db.execute(Q["merge"], (-MERGED,))
                changes = db.total_changes - before

    async def scrub(self) -> bool:
        """Have deleted words gone from the disk; returns False where that must be tried again.

        SQLite overwrites deleted rows, but the word index keeps words until its parts are put
        together, and the WAL keeps them until it is emptied.
        """
        row = await self._db.first(Q["meta"], ("scrub",))
        if row is None or row["value"] == "0":
            return True
        await self._put_together()
        async with self._db.transaction() as db:
            await db.execute(Q["optimize"])  # what the steps left, little or nothing
        await self._db.checkpoint("TRUNCATE")
        if self._db.wal_bytes():
            return False  # somebody was reading
        async with self._db.transaction() as db:
            await db.execute(Q["set_meta"], ("scrub", "0"))
        return True

    # -- vectors ------------------------------------------------------------------------------

    async def embedding(self) -> str:
        """Return the name of the model the vectors are of; empty before the first."""
        row = await self._db.first(Q["meta"], ("embedding",))
        return str(row["value"]) if row else ""

    async def use_embedding(self, name: str) -> bool:
        """Say which model vectors are of; drops those of another. Returns whether it did."""
        before = await self.embedding()
        if before == name:
            return False
        async with self._db.transaction() as db:
            await db.execute(Q["drop_vectors"])
            await db.execute(Q["set_meta"], ("embedding", name))
            await db.execute(Q["next_generation"])
        await self.refresh()
        return bool(before)

    async def without_vector(self, after: int, limit: int) -> list[tuple[int, str, Passage]]:
        """Return number, title and passage of those that have no vector, by number."""
        rows = await self._db.fetch(Q["without_vector"], (after, limit))
        return [(r["id"], r["title"], passage_of(r["content"])) for r in rows]

    async def count_without_vector(self, after: int, upto: int) -> int:
        """Return how many passages between two numbers have no vector, the second included."""
        rows = await self._db.fetch(Q["count_without_vector"], (after, upto))
        return int(rows[0][0])

    async def vectors_by_text(self, digests: Sequence[int]) -> dict[int, Vectors]:
        """Return vectors [dimension] of texts that were embedded before, by their digest."""
        rows = await self._db.fetch(Q["vectors_by_text"], (json.dumps(list(digests)),))
        return {
            row["text"]: np.frombuffer(row["vector"], dtype=np.float16).astype(np.float32)
            for row in rows
        }

    async def put_vectors(
        self, labels: Sequence[int], digests: Sequence[int], vectors: Vectors
    ) -> set[int]:
        """Keep vectors [len(labels), dimension] of passages that had none.

        A passage that was removed while its vector was made is passed over. Returns those of the
        passages that answer.
        """
        half = vectors.astype(np.float16)
        rows = [
            {"passage": label, "vector": row.tobytes(), "text": text if half.shape[1] else None}
            for label, text, row in zip(labels, digests, half, strict=True)
        ]
        async with self._db.transaction() as db:
            await db.executemany(Q["put_vector"], rows)
        self._postings.vectors = {}
        found = await self._db.fetch(Q["answering"], (json.dumps(list(labels)),))
        return {row["id"] for row in found}

    async def vectors(
        self, after: int = 0, limit: int = -1, number: int | None = None
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Return labels [n] and vectors [n, dimension] of a revision, of all that answer when None.

        Args:
            after: label of the last one before these.
            limit: how many at most, -1 for all.
            number: the revision's inside the corpus.
        """
        if number is None:
            return unpacked(await self._db.fetch(Q["active_vectors"], (after, limit)))
        return unpacked(await self._db.fetch(Q["vectors_of"], (number, after, limit)))

    async def compared(self, number: int) -> tuple[NDArray[np.int64], Vectors]:
        """Return labels [n] and vectors [n, dimension] of a revision that is asked again soon."""
        kept = self._postings.vectors
        if number in kept:
            return kept[number]
        read = await self.vectors(number=number)
        if kept is self._postings.vectors:  # else there are others meanwhile
            self._postings.compare(number, *read)
        return read

    # -- questions ----------------------------------------------------------------------------

    async def held(self, doc_id: str = "") -> list[Held]:
        """Return every revision in the corpus, or those of one document."""
        if doc_id:
            return [held_of(row) for row in await self._db.fetch(Q["documents_of"], (doc_id,))]
        return [held_of(row) for row in await self._db.fetch(Q["documents"])]

    async def held_after(self, after: str, limit: int) -> list[list[Held]]:
        """Return documents in the order of their ids, each with every revision.

        Args:
            after: id of the last one before these; empty for the first.
            limit: how many documents at most.
        """
        held = [held_of(r) for r in await self._db.fetch(Q["documents_after"], (after, limit))]
        return [list(some) for _, some in groupby(held, key=lambda one: one.document.doc_id)]

    async def totals(self, doc_id: str = "") -> tuple[int, int]:
        """Return how many passages answer, and how many of them have a vector; or of a document."""
        row = await (
            self._db.first(Q["totals_of"], (doc_id,)) if doc_id else self._db.first(Q["totals"])
        )
        return (int(row[0]), int(row[1])) if row else (0, 0)

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
        there = {word: kept.lists[word] for word in words if word in kept.lists}
        if new := [word for word in words if word not in there]:
            for word, one in zip(new, await self._db.read(partial(_postings, new)), strict=True):
                kept.keep(word, one)
                there[word] = one
        inside = None if scope is None else await self._members(scope)
        return best(list(there.values()), limit, inside)

    async def search_quote(
        self, run: Sequence[str], limit: int, scope: Sequence[int] | None = None
    ) -> list[int]:
        """Return passages that hold these tokens one after the other, in no order.

        Args:
            run: tokens as tokens.py makes them, in the order of the text.
            limit: how many at most.
            scope: numbers of the revisions to search; all that answer when None.
        """
        if not run:
            return []
        match = quoted(" ".join(run))
        if scope is None:
            rows = await self._db.fetch(Q["quoted"], (match, limit))
        else:
            rows = await self._db.fetch(Q["quoted_in"], (match, json.dumps(list(scope)), limit))
        return [row["id"] for row in rows]

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
        rows = await self._db.read(
            partial(plain, sql=Q["passages"], parameters=(json.dumps(list(labels)),))
        )
        titles = self.titles
        return {
            number: Found(
                number, document, kind, content, head, head[titles.get(document, 0) :], body, name
            )
            for number, document, kind, content, head, body, name in rows
        }

    async def following(self, number: int, first: int, last: int) -> list[Passage]:
        """Return a revision's passages between two ordinals, both included, in order."""
        rows = await self._db.fetch(Q["contents"], (number, first, last))
        return sorted((passage_of(r["content"]) for r in rows), key=lambda p: p.ordinal)

    async def holders(self, word: str, limit: int) -> list[int]:
        """Return the revisions that answer with this token in them, at most so many."""
        kept = self._postings.holders
        if word not in kept:
            rows = await self._db.fetch(Q["holders"], (quoted(word), limit))
            if len(kept) >= COUNTED:
                kept.clear()
            kept[word] = [row["document"] for row in rows]
        return kept[word]

    async def refresh(self) -> None:
        """Read again what answers, after a change."""
        self._postings = Postings()
        row = await self._db.first(Q["meta"], ("generation",))
        self.generation = int(row["value"]) if row else 0
        held = [held for held in await self.held() if held.active]
        before, titles = self.active, self.titles
        self.active = {one.id: one.document for one in held}
        self.sizes = {one.id: one.passages for one in held}
        self.size = sum(self.sizes.values())
        self.names = Names(self.active, self.names)
        # Of thousands of documents a change concerns one.
        self.titles = {
            number: titles[number]
            if before.get(number) == document
            else len(" ".join(title_tokens(document)))
            for number, document in self.active.items()
        }


async def _change_heads(db: aiosqlite.Connection, number: int, title: str, *, active: bool) -> None:
    """Put other tokens of the title into the head of each passage of a revision."""
    if active:
        await db.execute(Q["fts_drop"], (number,))
    after = 0
    while rows := await all_of(db, Q["heads"], (number, after, SLICE)):
        after = rows[-1]["id"]
        changed = [(head_of(title, passage_of(row["content"])), row["id"]) for row in rows]
        await db.executemany(Q["set_head"], changed)
    if active:
        await db.execute(Q["fts_add"], (number,))


def _postings(words: Sequence[str], db: sqlite3.Connection) -> list[Posting]:
    """Return where words are, and what each counts there."""
    return [posting(plain(db, Q["word"], (HEAD_WEIGHT, quoted(word)))) for word in words]


def _numbers(revisions: Sequence[int], db: sqlite3.Connection) -> list[Numbers]:
    """Return the passages of each revision."""
    return [posting(plain(db, Q["numbers"], (number,)))[0] for number in revisions]
