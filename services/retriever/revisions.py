"""Revisions of documents: put, checked, made to answer, described, removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import aiosqlite

from schemas.retrieval import DocumentRef, Passage
from services.retriever.answering import Answering
from services.retriever.holdings import Change, columns_of, ref_of
from services.retriever.records import (
    WORDS,
    Record,
    content_of,
    head_of,
    passage_of,
    prepare,
    title_tokens,
)
from services.retriever.statements import Q, all_of, ids_of, number_of, scalar
from services.runtime.errors import Rejected

SLICE = 2000
"""Passages read at once where all of them are."""


class Revisions(Answering):
    """The part of the corpus that changes; see `corpus.Corpus`."""

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
