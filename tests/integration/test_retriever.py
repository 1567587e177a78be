"""The retriever through its door: real SQLite, real hnswlib, the bundled model."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from schemas.retrieval import DocumentRef, Field, Passage
from services.runtime.config import Embedding
from services.runtime.errors import Rejected
from tests.support.llama import llama_process
from tests.support.retriever import Asker, retriever
from tests.support.texts import CHINESE, ENGLISH
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration


def ref(doc_id: str = "ax5", revision: int = 1, assets: tuple[str, ...] = ()) -> DocumentRef:
    return DocumentRef(
        doc_id=doc_id, revision=revision, title=f"{doc_id} manual", file=f"{doc_id}.pdf",
        assets=list(assets),
    )  # fmt: skip


def row(ordinal: int, code: str, name: str, remedy: str) -> Passage:
    fields = [Field("Code", code), Field("Name", name), Field("Remedy", remedy)]
    text = " | ".join(f"{f.name}: {f.value}" for f in fields)
    return Passage(ordinal=ordinal, page=40 + ordinal, kind="row", text=text, fields=fields)


MANUAL = [
    row(0, "E005", "DC bus undervoltage", "check the mains supply"),
    row(1, "E006", "Brake chopper fault", "replace the braking resistor"),
    row(2, "E.OC1", "加速过流", "延长加速时间"),
    Passage(ordinal=3, page=3, text="Set the acceleration time with parameter P0.17, in seconds."),
    Passage(ordinal=6, page=6, text="If the drive becomes too hot, clean the fan filter."),
    Passage(ordinal=4, page=4, text="散热器过热：清洁风扇滤网，并测量环境温度。"),
    Passage(
        ordinal=5, page=5, text="Code E005 is often seen together with E006 after a mains dip."
    ),
]


async def ways(asker: Asker, question: str, page: int) -> set[str]:
    """Return what finds a page; empty where nothing does."""
    hits = (await asker.search(question)).hits
    return {hit.by for hit in hits if hit.passage.page == page}


@contextmanager
def vectors_held(asker: Asker) -> Iterator[None]:
    """Let passages get no vectors for the length of a block; questions do."""
    go_on = threading.Event()
    asker.watch_embedding(lambda texts: len(texts) == 1 or go_on.wait(60))
    try:
        yield
    finally:
        go_on.set()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions wait for their vectors, however busy the machine."""
    monkeypatch.setattr("services.retriever.meaning.EMBED_S", 60.0)


async def test_a_code_brings_its_row_first_in_any_spelling(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        for question, code, ordinal in [
            ("变频器报E005错误怎么办?", "E005", 0),
            ("What does fault e-005 mean?", "E005", 0),
            ("E05", "E005", 0),
            ("drive shows EOC1", "E.OC1", 2),
            ("Ｅ００６", "E006", 1),
        ]:
            found = await asker.search(question)
            assert found.hits[0].passage.ordinal == ordinal, question
            assert found.hits[0].by == "code"
            assert found.codes == [code]
            assert found.unknown_codes == []


async def test_the_payloads_code_counts_as_the_questions(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        found = await asker.search("drive tripped", code="E006")
        assert found.hits[0].passage.ordinal == 1


async def test_words_and_meaning_find_in_both_languages(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        assert (await asker.search("how do I set the acceleration time")).hits[0].passage.page == 3
        assert (await asker.search("散热器温度过高怎么处理")).hits[0].passage.page == 4
        assert "vector" in await ways(asker, "inverter overheats", page=6)


async def test_nonsense_and_unknown_codes_find_nothing(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        assert (await asker.search("best recipe for sourdough bread")).hits == []
        unknown = await asker.search("F77")
        assert (unknown.hits, unknown.codes, unknown.unknown_codes) == ([], ["F77"], ["F77"])


async def test_an_empty_corpus_finds_nothing(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        assert (await asker.search("E005")).hits == []
        assert (await asker.corpus()).documents == []


async def test_the_assets_documents_come_first_and_widen_when_empty(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref("pump", assets=("plant/pump1",)), [row(0, "E005", "Dry run", "fill")])
        await asker.add(ref("drive", assets=("plant/motor+", "plant/motor7")), MANUAL)
        at_pump = await asker.search("fault E005", asset="plant/pump1")
        assert at_pump.hits[0].document.doc_id == "pump"
        assert {h.document.doc_id for h in at_pump.hits} == {"pump"}
        assert at_pump.scope == "asset"
        at_motor = await asker.search("fault E005", asset="plant/motor7")
        assert at_motor.hits[0].document.doc_id == "drive"
        widened = await asker.search("set the acceleration time", asset="plant/pump1")
        assert (widened.scope, widened.hits[0].document.doc_id) == ("widened", "drive")
        assert (await asker.search("E005", asset="plant/none")).scope == "all"


async def test_batches_may_come_twice_and_in_parts(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        assert (await asker.index(ref(), MANUAL[:3])).passages == 3
        assert (await asker.index(ref(), MANUAL[:3])).passages == 3
        with pytest.raises(Rejected, match="3 of 7"):
            await asker.activate(ref(), len(MANUAL))
        assert (await asker.search("E005")).hits == []
        assert (await asker.index(ref(), MANUAL[3:])).passages == 7
        first = await asker.complete(ref(), len(MANUAL))
        again = await asker.activate(ref(), len(MANUAL))
        assert (first.passages, again.generation) == (7, first.generation)
        assert (await asker.index(ref(), MANUAL)).passages == 7
        state = await asker.corpus()
        assert (state.passages, state.vectors) == (7, 7)


async def test_a_new_revision_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        await asker.index(ref(revision=2), [row(0, "E005", "Relay stuck", "replace the relay")])
        assert (await asker.search("E005")).hits[0].document.revision == 1
        await asker.complete(ref(revision=2), 1)
        found = await asker.search("E005")
        assert [h.document.revision for h in found.hits] == [2]
        assert "relay" in found.hits[0].passage.text


async def test_removing_is_complete_over_a_restart(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        await asker.add(ref("other"), [row(0, "F9", "Door open", "close the door")])
        await asker.remove("ax5")
        assert (await asker.search("E005")).hits == []
        assert (await asker.search("acceleration time")).hits == []
    async with retriever(tmp_path) as asker:
        state = await asker.corpus()
        assert [d.document.doc_id for d in state.documents] == ["other"]
        assert (state.passages, state.vectors) == (1, 1)
        assert (await asker.search("E005")).hits == []


async def test_after_a_restart_the_saved_index_answers(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        before = await asker.search("inverter overheats")
    assert (tmp_path / "vectors" / "vectors.json").is_file()
    async with retriever(tmp_path) as asker:
        after = await asker.search("inverter overheats")
        assert after.hits == before.hits


async def test_a_lost_index_is_rebuilt_from_the_corpus(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
    shutil.rmtree(tmp_path / "vectors")
    async with retriever(tmp_path) as asker:
        async with asyncio.timeout(60):
            while not asker.health.facts["vectors"]:  # noqa: ASYNC110  a plain dict
                await asyncio.sleep(0.01)
        assert "vector" in await ways(asker, "inverter overheats", page=6)
    assert (tmp_path / "vectors" / "vectors.json").is_file()


async def test_another_model_embeds_everything_again(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        bundled = (await asker.corpus()).embedding
    with llama_process(write_tiny_gguf(tmp_path / "tiny.gguf"), embedding=True) as server:
        embedding = Embedding(backend="llama-server", url=server.url)
        async with retriever(tmp_path, embedding) as asker:
            async with asyncio.timeout(60):
                # The former model's vectors answer until all of its own are there.
                while (  # noqa: ASYNC110
                    now := await asker.corpus()
                ).embedding == bundled or now.vectors < len(MANUAL):
                    await asyncio.sleep(0.01)
            assert (await asker.search("E005")).hits[0].passage.ordinal == 0


async def test_without_its_embedding_server_it_searches_by_codes_and_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: every connection is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with retriever(tmp_path, Embedding(backend="llama-server", url=url)) as asker:
            assert "embed" in asker.health.reason
            await asker.index(ref(), MANUAL)
            added = await asker.activate(ref(), len(MANUAL))
            assert (added.answers, added.vectors, added.seconds_left) == (True, 0, None)
            assert (await asker.search("E005")).hits[0].passage.ordinal == 0
            assert (await asker.search("acceleration time")).hits[0].passage.page == 3


async def test_searches_are_answered_while_a_batch_is_embedded(tmp_path: Path) -> None:
    many = [Passage(ordinal=n, text=f"{ENGLISH[n % 50]} {CHINESE[n % 49]} {n}") for n in range(200)]
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        answered = 0
        # How many fit into the time of one batch is chance: where each waited for it, one would.
        async with asyncio.timeout(60):
            for number in itertools.count():
                indexing = asyncio.create_task(asker.index(ref(f"big{number}"), many))
                while not indexing.done():
                    found = await asker.search("E005")
                    assert found.hits[0].passage.ordinal == 0
                    answered += 1
                assert (await indexing).passages == 200
                if answered >= 5:
                    break
                answered = 0


async def test_codes_and_words_answer_before_there_are_vectors(tmp_path: Path) -> None:
    many = [Passage(ordinal=n, text=f"{ENGLISH[n % 50]} {n}") for n in range(400)]
    async with retriever(tmp_path) as asker:
        with vectors_held(asker):
            await asker.index(ref("big"), many)
            first = await asker.activate(ref("big"), len(many))
            assert (first.answers, first.passages, first.vectors) == (True, 400, 0)
            # One that comes later is not held up by the vectors of the first.
            await asker.index(ref(), MANUAL)
            second = await asker.activate(ref(), len(MANUAL))
            assert second.answers
            assert (await asker.search("E005")).hits[0].passage.ordinal == 0
            assert (await asker.corpus()).vectors == 0
        done = await asker.complete(ref("big"), len(many))
        assert done.seconds_left == 0.0
        # What answers has not changed meanwhile: an answer that was kept still stands.
        assert done.generation == second.generation


async def test_an_older_revision_answers_until_the_new_one_has_its_vectors(tmp_path: Path) -> None:
    new = [Passage(ordinal=n, text=f"{ENGLISH[n % 50]} {n}") for n in range(300)]
    new[7] = row(7, "E005", "Relay stuck", "replace the relay")
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        with vectors_held(asker):
            await asker.index(ref(revision=2), new)
            state = await asker.activate(ref(revision=2), len(new))
            assert (state.answers, state.passages) == (False, 300)
            assert (await asker.search("E005")).hits[0].document.revision == 1
        done = await asker.complete(ref(revision=2), len(new))
        assert done.answers
        assert {h.document.revision for h in (await asker.search("E005")).hits} == {2}
        assert (await asker.corpus()).vectors == 300


async def test_a_revision_with_few_changes_is_soon_complete(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        moved = [msgspec.structs.replace(p, ordinal=p.ordinal + 1, page=9) for p in MANUAL]
        embedded: list[str] = []
        asker.watch_embedding(embedded.extend)
        await asker.add(ref(revision=2), [row(0, "E099", "New", "read on"), *moved])
        assert len(embedded) == 1
        assert "E099" in embedded[0]
        assert (await asker.search("inverter overheats")).hits[0].document.revision == 2


async def test_passages_beyond_the_last_one_are_dropped(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.index(ref(), MANUAL)
        assert (await asker.activate(ref(), 5)).passages == 5
        assert {p.ordinal for p in MANUAL[:5]} != set(range(5))
        found = await asker.search("Code E005 is often seen together with E006 after a mains dip.")
        assert all(hit.passage.ordinal < 5 for hit in found.hits)


async def test_one_revision_can_be_forgotten_alone(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        before = (await asker.corpus()).generation
        await asker.index(ref(revision=2), MANUAL[:3])
        await asker.remove("ax5", revision=2)
        state = await asker.corpus()
        assert [(d.document.revision, d.passages) for d in state.documents] == [(1, 7)]
        assert state.generation == before
        assert (await asker.search("E005")).hits[0].document.revision == 1


async def test_two_batches_at_once_are_both_kept(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asyncio.gather(asker.index(ref(), MANUAL[:3]), asker.index(ref(), MANUAL[2:]))
        await asker.activate(ref(), len(MANUAL))
        assert (await asker.corpus()).passages == len(MANUAL)


async def test_a_search_while_revisions_are_swapped_always_finds_one(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        for revision in (1, 2):
            await asker.add(ref("m", revision), [row(0, "E005", f"cause {revision}", "")])
        found: set[int] = set()
        swapping = asyncio.create_task(_swap(asker, found))
        while not swapping.done():
            hits = (await asker.search("E005")).hits
            assert hits, "nothing answered for a moment"
            found.add(hits[0].document.revision)
        await swapping


async def _swap(asker: Asker, found: set[int]) -> None:
    """Swap them 30 times, and on until a search has met each."""
    swaps = 0
    async with asyncio.timeout(60):
        while swaps < 30 or found != {1, 2}:
            for revision in (1, 2):
                await asker.activate(ref("m", revision), 1)
            swaps += 1
