"""More documents than one message can tell of: listing, comparing and following them goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from schemas.channels import CORPUS, DOCUMENTS
from schemas.knowledge import DocumentList, ListDocuments
from schemas.paging import PAGE
from schemas.retrieval import CorpusQuery, CorpusState
from services.client import connected
from services.runtime.config import load
from services.runtime.rpc import Caller
from tests.support.andon import Andon, listening
from tests.support.many import One, index, shelve

pytestmark = pytest.mark.integration

MANY = 12_000
RPC_S = 60.0
SOON_S = 120.0


def in_order() -> list[One]:
    """All of them, by id: the order in which they are compared."""
    return sorted((One(number) for number in range(MANY)), key=lambda one: one.doc_id)


async def first_pages(config: Path) -> tuple[CorpusState, DocumentList]:
    """What those are told who know nothing of pages."""
    loaded = load(config)
    async with connected(loaded) as bus:
        caller = Caller(bus, loaded.prefix)
        return (
            await caller.call(CORPUS, CorpusQuery(), deadline_s=RPC_S),
            await caller.call(DOCUMENTS, ListDocuments(), deadline_s=RPC_S),
        )


@pytest.mark.timeout(400)
async def test_a_library_of_many_thousands_is_listed_and_mended(tmp_path: Path) -> None:
    ids = in_order()
    # One of each difference, at the ends and about the bounds of pages.
    renamed, lost, unknown, leftover = ids[0], ids[PAGE - 1], ids[PAGE], ids[-1]
    andon = Andon(tmp_path)
    await shelve(andon.data, (one for one in ids if one not in {unknown, leftover}))
    await index(
        andon.data,
        (
            (one.ref("Another title" if one is renamed else ""), one is not leftover)
            for one in ids
            if one is not lost
        ),
    )
    with andon, listening(andon.port, "andon/document/#") as broker:
        told: dict[str, dict[str, object]] = {}

        def until(doc_id: str, state: str) -> None:
            while told.get(doc_id, {}).get("state") != state:
                message = broker.next(within_s=SOON_S)
                told[message.topic.rpartition("/")[2]] = json.loads(message.payload or b"{}")

        until(lost.doc_id, "failed")  # it was to be read again, and its original is not there
        until(unknown.doc_id, "ready")
        deadline = time.monotonic() + SOON_S
        while len(told) < MANY - 1 and time.monotonic() < deadline:
            message = broker.next(within_s=SOON_S)
            told[message.topic.rpartition("/")[2]] = json.loads(message.payload or b"{}")
        assert set(told) == {one.doc_id for one in ids if one is not leftover}

        listed = andon.json("documents")
        assert [one["file"] for one in listed] == sorted(
            one.file for one in ids if one is not leftover
        )
        assert andon.cli("documents").stdout.splitlines()[-1].startswith(f"{MANY - 1} documents, ")
        one = andon.json("documents", ids[-2].file.partition("/")[2])
        assert [state["doc_id"] for state in one["documents"]] == [ids[-2].doc_id]

        corpus, documents = await first_pages(andon.running_config)
        assert len(documents.documents) == PAGE
        assert documents.next == documents.documents[-1].file
        assert len({held.document.doc_id for held in corpus.documents}) == PAGE
        assert corpus.next == corpus.documents[-1].document.doc_id
        assert corpus.passages == MANY - 2  # all that answer, not those of the page
        titles = {held.document.doc_id: held.document.title for held in corpus.documents}
        assert titles[renamed.doc_id] == renamed.ref().title
        assert andon.json_status()["retriever"]["facts"]["documents"] == MANY - 2
        said = andon.said()
    assert "the broker takes" not in said, said  # how the bus refuses what is too large
    assert "not looked at" not in said, said
