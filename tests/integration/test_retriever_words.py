"""What a search of words keeps from one time to the next, against the word index itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.retrieval import DocumentRef
from services.retriever import lookups
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


async def traced(corpus: Corpus) -> list[str]:
    """Return the statements that are read from now on, as they come."""
    seen: list[str] = []
    await corpus.database.read(lambda db: db.set_trace_callback(seen.append))
    return seen


async def test_with_lengths_words_are_found_as_without(corpus: Corpus) -> None:
    a, b = await add(corpus, "a", 0, 300), await add(corpus, "b", 300, 600)
    seen = await traced(corpus)
    without = await corpus.search_words(WORDS, 600)
    slowly = sum("bm25(" in one for one in seen)
    assert slowly == len(WORDS)
    await corpus.refresh()
    await corpus.measure()
    assert await found(corpus, 20, [b]) == await by_the_index(corpus, 20, [b])
    seen.clear()
    await corpus.refresh()
    await corpus.measure()
    quickly = await corpus.search_words(WORDS, 600)
    assert sum("bm25(" in one for one in seen) == sum(" " in word for word in WORDS)
    assert [number for number, _ in quickly] == [number for number, _ in without]
    assert [score for _, score in quickly] == pytest.approx([score for _, score in without])
    assert [number for number, _ in quickly[:20]] == await by_the_index(corpus, 20, [a, b])


async def test_what_changes_while_lengths_are_read_counts(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "SLICE", 7)
    await add(corpus, "a", 0, 200)
    b = await add(corpus, "b", 200, 300)
    _, c = await asyncio.gather(corpus.measure(), add(corpus, "c", 300, 400))
    await asyncio.gather(corpus.measure(), corpus.remove("a"))
    assert await found(corpus, 30) == await by_the_index(corpus, 30, [b, c])
    await corpus.refresh()
    await corpus.measure()
    assert await found(corpus, 30) == await by_the_index(corpus, 30, [b, c])


async def test_a_question_waits_for_one_slice_of_lengths(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "SLICE", 7)
    await add(corpus, "a", 0, 200)
    seen = await traced(corpus)
    reading = asyncio.create_task(corpus.measure())
    await asyncio.sleep(0)  # its first slice is asked for
    await corpus.search_words(["check"], 5)
    before = next(at for at, one in enumerate(seen) if "bm25(" in one)
    assert sum("SELECT id, sz" in one for one in seen[:before]) == 1
    await reading
    slices = [one for one in seen if "SELECT id, sz" in one]
    assert len(slices) == 200 // 7 + 1
    await corpus.measure()
    assert [one for one in seen if "SELECT id, sz" in one] == slices


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
