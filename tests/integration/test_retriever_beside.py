"""What a search does while its question is being embedded."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from schemas.retrieval import DocumentRef, Passage
from services.retriever.judging import Judge, Judged, Readable
from tests.support.retriever import retriever

pytestmark = pytest.mark.integration

MANUAL = [
    Passage(ordinal=0, page=1, text="Set the acceleration time with parameter P0.17."),
    Passage(ordinal=1, page=2, text="If the drive becomes too hot, clean the fan filter."),
]


async def test_what_words_bring_is_looked_at_before_the_vector_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is near in meaning alone is looked at afterwards, and found."""
    monkeypatch.setattr("services.retriever.meaning.EMBED_S", 60.0)
    looked, waited = threading.Event(), []
    judged: list[set[int]] = []
    judge = Judge.judge

    def told(self: Judge, passages: Mapping[int, Readable]) -> Mapping[int, Judged]:
        seen = judge(self, passages)
        judged.append(set(passages))
        looked.set()
        return seen

    def wait(_: Sequence[str]) -> None:
        waited.append(looked.wait(30))

    async with retriever(tmp_path, sure=0.0, threshold=0.0) as asker:
        document = DocumentRef(doc_id="m", revision=1, title="Manual", file="m.pdf")
        await asker.add(document, MANUAL)
        monkeypatch.setattr(Judge, "judge", told)
        asker.watch_embedding(wait)
        found = await asker.search("acceleration time")
    assert waited == [True]
    assert [len(seen) for seen in judged] == [1, 2]
    assert judged[0] < judged[1]
    assert [hit.passage.ordinal for hit in found.hits] == [0, 1]
