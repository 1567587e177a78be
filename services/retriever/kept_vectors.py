"""The vectors of passages as the corpus keeps them: the truth, from which the index is made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.retrieval import Passage
from services.retriever.answering import Answering
from services.retriever.embedding import Superseded, Vectors
from services.retriever.embedding.model import Model
from services.retriever.holdings import unpacked
from services.retriever.records import passage_of
from services.retriever.statements import Q, plain
from services.runtime.sqlite import Row

CLEARED = 500
"""Vectors deleted in one transaction, some 0.4 MB: other changes go between."""


class KeptVectors(Answering):
    """The part of the corpus that holds vectors; see `corpus.Corpus`."""

    model: Model | None = None
    """Whose vectors answer; None before the first."""
    coming: Model | None = None
    """Whose vectors are made beside them, to take over when all are there."""

    async def read_models(self) -> None:
        """Read which models the vectors are of."""
        self.model = _model_in(await self._db.first(Q["meta"], ("model",)))
        self.coming = _model_in(await self._db.first(Q["meta"], ("coming",)))

    @property
    def embedding(self) -> str:
        """Return the label of the vectors that answer; empty before the first."""
        return self.model.label if self.model else ""

    async def use_embedding(self, model: Model) -> bool:
        """Say which model vectors are of; no other's answer then. Returns whether some did.

        Those of another are left to `clear_coming`.
        """
        before = self.model
        if before is not None and before.compares(model):
            # It may be opened another way now, or be known better.
            await self._set_model("model", msgspec.structs.replace(model, label=before.label))
            return False
        await self.announce(model)
        await self.switch()
        return before is not None

    async def announce(self, model: Model | None) -> None:
        """Say which model's vectors are made beside those that answer; None: of no other.

        Those made already are kept where they are of that model; those of another one are deleted
        before the first is made, and left to `clear_coming` where none is.
        """
        if self.coming is not None and model is not None and self.coming.compares(model):
            await self._set_model("coming", msgspec.structs.replace(model, label=self.coming.label))
            return
        if self.coming is not None:
            await self._set_model("coming", None)
        if model is not None:
            await self.clear_coming()
            await self._set_model("coming", model)

    async def clear_coming(self) -> None:
        """Delete vectors of a model that does not take over, slice by slice."""
        deleted = 1
        while deleted:
            async with self._db.transaction() as db:
                if self.coming is not None:  # meanwhile: these are wanted
                    return
                async with db.execute(Q["drop_coming"], (CLEARED,)) as cursor:
                    deleted = cursor.rowcount

    async def switch(self) -> None:
        """Let the coming vectors answer in place of the others, in one transaction."""
        model = self.coming
        if model is None:
            raise Superseded("change the embedding model", "none was announced")
        async with self._swap() as db:
            for step in ("switch_1", "switch_2", "switch_3"):
                await db.execute(Q[step])
            await db.execute(Q["set_meta"], ("model", msgspec.json.encode(model).decode()))
            await db.execute(Q["drop_meta"], ("coming",))
            await db.execute(Q["next_generation"])
        self.model, self.coming = model, None

    async def index_marks(self) -> list[str]:
        """Return the marks of the index files that may have been written for this corpus."""
        row = await self._db.first(Q["meta"], ("index",))
        return row["value"].split() if row else []

    async def mark_index(self, mark: str) -> None:
        """Know an index file by its mark from now on; the one before it is known as well.

        A corpus that was restored or begun anew uses numbers of passages again that another file
        has: it does not know the mark of that.
        """
        known = " ".join([mark, *(await self.index_marks())[:1]])
        async with self._db.transaction() as db:
            await db.execute(Q["set_meta"], ("index", known))

    async def without_vector(
        self, after: int, limit: int, of: str | None = None
    ) -> list[tuple[int, str, Passage]]:
        """Return number, title and passage of those that have no vector, by number.

        Args:
            after: number of the last one before these.
            limit: how many at most.
            of: label of the vectors; those that answer when None.
        """
        rows = await self._db.fetch(self._of(of, "without_vector"), (after, limit))
        return [(r["id"], r["title"], passage_of(r["content"])) for r in rows]

    async def count_without_vector(self, after: int, upto: int, of: str | None = None) -> int:
        """Return how many passages between two numbers have no vector, the second included."""
        rows = await self._db.fetch(self._of(of, "count_without_vector"), (after, upto))
        return int(rows[0][0])

    async def count_passages(self) -> int:
        """Return how many passages there are, answering or not."""
        return int((await self._db.fetch(Q["count_passages"]))[0][0])

    async def vectors_by_text(
        self, digests: Sequence[int], of: str | None = None
    ) -> dict[int, Vectors]:
        """Return vectors [dimension] of texts that were embedded before, by their digest."""
        rows = await self._db.fetch(self._of(of, "vectors_by_text"), (json.dumps(list(digests)),))
        return {
            row["text"]: np.frombuffer(row["vector"], dtype=np.float16).astype(np.float32)
            for row in rows
        }

    async def labels(self, of: str | None = None) -> NDArray[np.int64]:
        """Return the numbers [n] of passages that answer and have a vector, in their order."""
        rows = await self._db.read(lambda db: plain(db, self._of(of, "active_labels"), ()))
        return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))

    async def vectors_at(
        self, labels: Sequence[int], of: str | None = None
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Return labels [n] and vectors [n, dimension] of those of these that answer."""
        asked = json.dumps([int(label) for label in labels])
        return unpacked(await self._db.fetch(self._of(of, "vectors_at"), (asked,)))

    async def put_vectors(
        self,
        labels: Sequence[int],
        digests: Sequence[int],
        vectors: Vectors,
        of: str | None = None,
    ) -> set[int]:
        """Keep vectors [len(labels), dimension] of passages that had none.

        A passage that was removed while its vector was made is passed over. Returns those of the
        passages that answer.

        Raises:
            Superseded: they are of neither the model that answers nor the one that takes over.
        """
        statement = self._of(of, "put_vector")
        half = vectors.astype(np.float16)
        rows = [
            {"passage": label, "vector": row.tobytes(), "text": text if half.shape[1] else None}
            for label, text, row in zip(labels, digests, half, strict=True)
        ]
        async with self._db.transaction() as db:
            await db.executemany(statement, rows)
        if of is None or of == self.embedding:
            self._postings.vectors = {}
        found = await self._db.fetch(Q["answering"], (json.dumps(list(labels)),))
        return {row["id"] for row in found}

    async def vectors(
        self, number: int, after: int = 0, limit: int = -1
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Return labels [n] and vectors [n, dimension] of a revision.

        Args:
            number: the revision's inside the corpus.
            after: label of the last one before these.
            limit: how many at most, -1 for all.
        """
        return unpacked(await self._db.fetch(Q["vectors_of"], (number, after, limit)))

    async def compared(self, number: int) -> tuple[NDArray[np.int64], Vectors]:
        """Return labels [n] and vectors [n, dimension] of a revision that is asked again soon."""
        kept = self._postings.vectors
        if number in kept:
            return kept[number]
        read = await self.vectors(number)
        if kept is self._postings.vectors:  # else there are others meanwhile
            self._postings.compare(number, *read)
        return read

    async def _set_model(self, key: Literal["model", "coming"], model: Model | None) -> None:
        if getattr(self, key) == model:
            return
        async with self._db.transaction() as db:
            if model is None:
                await db.execute(Q["drop_meta"], (key,))
            else:
                await db.execute(Q["set_meta"], (key, msgspec.json.encode(model).decode()))
        setattr(self, key, model)

    def _of(self, label: str | None, name: str) -> str:
        """Return a statement about the vectors with a label.

        Raises:
            Superseded: the label is neither of those that answer nor of those that come.
        """
        if label is None or label == self.embedding:
            return Q[name]
        if self.coming is not None and label == self.coming.label:
            return Q[name].replace("vectors", "coming")  # the table, which is like the other
        raise Superseded("keep vectors", f"{label} is not the embedding model any more")


def _model_in(row: Row | None) -> Model | None:
    return msgspec.json.decode(row["value"], type=Model) if row else None
