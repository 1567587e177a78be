"""What of the corpus answers now, and the moments at which that changes.

What answers is decided by `documents.active` alone. Words are in `fts` only for the active
revisions, so a batch being indexed slows no search and changes no ranking.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby

import aiosqlite

from schemas.retrieval import DocumentRef
from services.retriever.holdings import Held, held_of
from services.retriever.names import Names
from services.retriever.postings import Postings
from services.retriever.records import title_tokens
from services.retriever.statements import Q
from services.runtime.sqlite import Database


class Answering:
    """The part of the corpus that all others stand on; see `corpus.Corpus`."""

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

    @property
    def database(self) -> Database:
        """Return the file."""
        return self._db

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

    def answers(self, doc_id: str, revision: int) -> bool:
        """Return whether a revision answers."""
        return any((d.doc_id, d.revision) == (doc_id, revision) for d in self.active.values())

    async def progress(self, doc_id: str, revision: int) -> tuple[int, int, int]:
        """Return how many passages a revision has, how many vectors, and its last passage."""
        rows = await self._db.fetch(Q["progress"], (doc_id, revision))
        return int(rows[0][0]), int(rows[0][1]), int(rows[0][2])
