"""The index after a restart: one that is behind gets what it lacks, a foreign one is not used."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from schemas.retrieval import DocumentRef, Passage
from services.retriever.corpus import Corpus
from services.retriever.vectors import VectorIndex
from tests.support.retriever import Asker, retriever
from tests.support.texts import ENGLISH

pytestmark = pytest.mark.integration

MANY, FEW = ENGLISH[:30], ENGLISH[30:36]


def ref(doc_id: str) -> DocumentRef:
    return DocumentRef(doc_id=doc_id, revision=1, title="T", file=f"{doc_id}.txt")


def passages(texts: list[str]) -> list[Passage]:
    return [Passage(ordinal=n, text=text) for n, text in enumerate(texts)]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Labels that were added to an index."""
    labels: list[int] = []
    add = VectorIndex.add

    def told(index: VectorIndex, some: list[int], vectors: object) -> None:
        labels.extend(int(label) for label in some)
        add(index, some, vectors)  # type: ignore[arg-type]

    monkeypatch.setattr(VectorIndex, "add", told)
    return labels


async def holds(asker: Asker, count: int) -> None:
    async with asyncio.timeout(60):
        while asker.health.facts["vectors"] != count:  # noqa: ASYNC110  a plain dict
            await asyncio.sleep(0.01)


async def test_an_index_that_is_behind_gets_what_it_lacks(tmp_path: Path, added: list[int]) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref("many"), passages(MANY))
        await asker.add(ref("gone"), passages(ENGLISH[36:40]))
    old = shutil.copytree(tmp_path / "vectors", tmp_path / "old")
    async with retriever(tmp_path) as asker:
        await asker.add(ref("few"), passages(FEW))
        await asker.remove("gone")
    shutil.rmtree(tmp_path / "vectors")  # as if it had been killed before it wrote the file
    shutil.move(old, tmp_path / "vectors")
    added.clear()
    async with retriever(tmp_path) as asker:
        await holds(asker, len(MANY) + len(FEW))
        assert len(added) == len(FEW)
        for text in (MANY[3], FEW[2]):
            assert (await asker.search(text)).hits[0].passage.text.startswith(text)
    added.clear()
    async with retriever(tmp_path) as asker:
        assert asker.health.facts["vectors"] == len(MANY) + len(FEW)
    assert added == []


async def test_the_index_of_another_corpus_is_not_used(tmp_path: Path, added: list[int]) -> None:
    """A corpus that was begun anew counts its passages from 1 again."""
    async with retriever(tmp_path) as asker:
        await asker.add(ref("many"), passages(MANY))
    (tmp_path / "corpus.db").unlink()  # closed in good order, it has no other file
    await Corpus.begin_anew(tmp_path / "corpus.db")
    added.clear()
    async with retriever(tmp_path) as asker:
        assert asker.health.facts["vectors"] == 0
        await asker.add(ref("few"), passages(FEW))
        await holds(asker, len(FEW))
        assert len(added) == len(FEW)
        assert (await asker.search(FEW[0])).hits[0].passage.text.startswith(FEW[0])
