"""Passages with their vectors, as one box gives them to another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from schemas.retrieval import DocumentRef, IndexPassages, Passage, PassageList, PassageQuery
from services.retriever.corpus import Corpus
from services.retriever.embedding import Vectors
from services.retriever.grouping import digest
from services.retriever.records import passage_of, text_to_embed
from services.retriever.statements import Q
from services.runtime.errors import Rejected
from services.runtime.paging import fitting

_OFF = 0.02
"""How far the length of a vector may be from 1: float16 rounds."""


async def passages(corpus: Corpus, query: PassageQuery) -> PassageList:
    """Return a page of them.

    Raises:
        Rejected: there is no such revision.
        Retryable: the disk fails.
    """
    row = await corpus.database.first(Q["document"], (query.doc_id, query.revision))
    if row is None:
        raise Rejected("passages", f"{query.doc_id}: revision {query.revision} is unknown")
    rows = await corpus.database.fetch(Q["shared"], (row["id"], query.after, query.limit + 1))
    pairs = [(passage_of(one["content"]), one["vector"] or b"") for one in rows]
    count = fitting(pairs, query.limit)
    return PassageList(
        passages=[passage for passage, _ in pairs[:count]],
        vectors=[vector for _, vector in pairs[:count]],
        embedding=corpus.embedding,
        next=rows[count]["ordinal"] if count < len(rows) else 0,
    )


def given(batch: IndexPassages, dimension: int) -> dict[int, Vectors]:
    """Return the vectors that came with passages, by ordinal.

    Raises:
        Rejected: they are none of this model.
    """
    if len(batch.vectors) != len(batch.passages):
        reason = f"{len(batch.vectors)} vectors for {len(batch.passages)} passages"
        raise Rejected("index", reason)
    found = {}
    for passage, raw in zip(batch.passages, batch.vectors, strict=True):
        if not raw:
            continue
        vector = np.frombuffer(raw, dtype="<f2").astype(np.float32) if len(raw) % 2 == 0 else None
        length = float(np.linalg.norm(vector)) if vector is not None else math.nan
        if vector is None or len(vector) != dimension or not abs(length - 1) < _OFF:
            raise Rejected(
                "index",
                f"{batch.document.file}: the vector of passage {passage.ordinal} is none of"
                f" {batch.embedding}",
            )
        found[passage.ordinal] = vector
    return found


async def bare(
    corpus: Corpus, document: DocumentRef, passages: Sequence[Passage]
) -> list[tuple[int, int, int]]:
    """Return number, ordinal and digest of the text of those passages that have no vector."""
    row = await corpus.database.first(Q["document"], (document.doc_id, document.revision))
    if row is None or not passages:
        return []
    by_ordinal = {passage.ordinal: passage for passage in passages}
    rows = await corpus.database.fetch(Q["bare"], (row["id"], min(by_ordinal), max(by_ordinal)))
    return [
        (r["id"], r["ordinal"], digest(text_to_embed(document.title, by_ordinal[r["ordinal"]])))
        for r in rows
        if r["ordinal"] in by_ordinal
    ]
