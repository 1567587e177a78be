"""The vectors of passages as the corpus keeps them: the truth, from which the index is made."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.retrieval import Passage
from services.retriever.answering import Answering
from services.retriever.embedding import Vectors
from services.retriever.holdings import unpacked
from services.retriever.records import passage_of
from services.retriever.statements import Q


class KeptVectors(Answering):
    """The part of the corpus that holds vectors; see `corpus.Corpus`."""

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
