"""What a search of words keeps from one time to the next, against the word index itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.retrieval import DocumentRef
from services.retriever.bm25 import HEAD_WEIGHT
from services.retriever.corpus import Corpus
from services.retriever.records import prepare
from services.retriever.statements import Q, quoted
from tests.bench.corpus import passages

pytestmark = pytest.mark.integration

BM25 = (
    "SELECT f.rowid, -bm25(fts, ?, 1.0) AS score FROM fts f JOIN passages p ON p.id = f.rowid"
    " WHERE f.fts MATCH ? AND p.document IN ({}) ORDER BY score DESC, f.rowid LIMIT ?"
)
WORDS = ["encoder", "brak chopper", "check", "直流", "nowhere", "suppli"]


def manual(name: str) -> DocumentRef:
    return DocumentRef(doc_id=name, revision=1, title=f"Manual {name}", file=f"{name}.pdf")


async def add(corpus: Corpus, name: str, first: int, last: int) -> int:
    """Let some passages answer as a manual; return its number."""
    some = list(passages(last))[first:]
    await corpus.put(manual(name), prepare(manual(name), some))
    await corpus.activate(name, 1, len(some))
    return next(n for n, one in corpus.active.items() if one.doc_id == name)


async def by_the_index(corpus: Corpus, limit: int, scope: Sequence[int]) -> list[int]:
    match = " OR ".join(map(quoted, WORDS))
    sql = BM25.format(",".join(map(str, scope)))
    rows = await corpus.database.fetch(sql, (HEAD_WEIGHT, match, limit))
    return [row[0] for row in rows]


async def found(corpus: Corpus, limit: int, scope: Sequence[int] | None = None) -> list[int]:
    return [number for number, _ in await corpus.search_words(WORDS, limit, scope)]


@pytest.fixture
async def corpus(tmp_path: Path) -> AsyncIterator[Corpus]:
    opened = await Corpus.open(tmp_path / "corpus.db")
    yield opened
    await opened.close()


async def test_words_are_found_as_the_index_ranks_them(corpus: Corpus) -> None:
    a, b = await add(corpus, "a", 0, 300), await add(corpus, "b", 300, 600)
    for _ in range(2):  # the second time from what was kept
        assert await found(corpus, 20) == await by_the_index(corpus, 20, [a, b])
        assert await found(corpus, 20, [b]) == await by_the_index(corpus, 20, [b])
        assert await found(corpus, 20, []) == []


async def test_what_is_kept_ends_with_what_answers(corpus: Corpus) -> None:
    a = await add(corpus, "a", 0, 200)
    before = await found(corpus, 500), await corpus.frequency(["encod", "check"])
    b = await add(corpus, "b", 200, 400)
    assert await found(corpus, 500) == await by_the_index(corpus, 500, [a, b])
    grown = await corpus.frequency(["encod", "check"])
    assert grown["check"] > before[1]["check"]
    await corpus.remove("b")
    assert (await found(corpus, 500), await corpus.frequency(["encod", "check"])) == before


async def test_counts_are_the_indexs(corpus: Corpus) -> None:
    await add(corpus, "a", 0, 200)
    asked = ["check", "encod", "nowhere", "直流"]
    for _ in range(2):
        there = await corpus.frequency(asked)
        assert "nowhere" not in there
        for word, count in there.items():
            (row,) = await corpus.database.fetch(
                "SELECT count(*) FROM fts WHERE fts MATCH ?", (quoted(word),)
            )
            assert row[0] == count > 0, word


async def test_the_words_are_put_together_and_found_as_before(corpus: Corpus) -> None:
    numbers = [await add(corpus, f"m{n}", 40 * n, 40 * (n + 1)) for n in range(6)]
    assert (await corpus.database.fetch(Q["parts"]))[0][0] > 1
    await corpus.tidy()
    assert (await corpus.database.fetch(Q["parts"]))[0][0] == 1
    assert await found(corpus, 30) == await by_the_index(corpus, 30, numbers)


async def test_vectors_that_come_later_are_compared_too(corpus: Corpus) -> None:
    number = await add(corpus, "a", 0, 6)
    waiting = [label for label, _, _ in await corpus.without_vector(0, 10)]
    eye = np.eye(6, 8, dtype=np.float32)
    await corpus.put_vectors(waiting[:4], waiting[:4], eye[:4])
    assert (await corpus.compared(number))[0].tolist() == waiting[:4]
    await corpus.put_vectors(waiting[4:], waiting[4:], eye[4:])
    labels, vectors = await corpus.compared(number)
    assert labels.tolist() == waiting
    assert np.array_equal(vectors, eye)
    assert (await corpus.compared(number))[1] is vectors
