"""The corpus: documents, passages, words, codes and vectors. The truth, in one SQLite file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

from services.retriever.kept_vectors import KeptVectors
from services.retriever.lookups import Lookups
from services.retriever.revisions import Revisions
from services.retriever.statements import MIGRATIONS, Q
from services.runtime.salvage import Plan
from services.runtime.sqlite import open_database

PLAN = Plan(
    migrations=MIGRATIONS,
    recover=False,
    consequence="the documents are read again from their originals, and answer as they come back",
)
"""What becomes of a damaged corpus: all of it can be made again."""

MERGED = 64
"""Pages of the word index put together in one transaction: searches and changes go between."""


class Corpus(Revisions, KeptVectors, Lookups):
    """The open file. One process has it open; its methods may be called concurrently."""

    @classmethod
    async def open(cls, path: Path, *, cache_mb: int = 2) -> Self:
        """Open or create the file, of which so much is kept in memory, twice: MiB.

        Raises:
            Fatal: it cannot be opened, is damaged, or a newer Andon wrote it.
        """
        corpus = cls(
            await open_database(path, MIGRATIONS, synchronous="NORMAL", cache_kb=cache_mb * 1024)
        )
        await corpus.refresh()
        await corpus.read_models()
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

    async def close(self) -> None:
        """Close the file."""
        await self._db.close()

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
