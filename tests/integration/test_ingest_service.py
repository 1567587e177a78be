"""The ingest service through its door, with the real retriever behind it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from schemas.retrieval import Passage
from services.ingest import sandbox
from services.retriever.service import RetrieverService
from services.runtime.config import Config, Ingest
from services.runtime.errors import Fatal, Rejected, Unavailable
from tests.support import formats
from tests.support.ingest import Drawn, names_in
from tests.support.plant import SOON_S, Plant, manual, opened
from tests.support.sample import sample_manual

pytestmark = pytest.mark.integration


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with opened(tmp_path / "data") as plant:
        yield plant


async def test_a_document_becomes_findable(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        added = await plant.add(sample_manual(tmp_path, "pdf"), assets=["plant/motor7"])
        assert (added.revision, added.unchanged, added.state.state) == (1, False, "queued")
        state, seen = await plant.until("ready", "failed")
        assert seen == ["queued", "reading", "indexing", "ready"]
        assert (state.pages, state.pages_done) == (18, 18)
        assert state.passages == state.passages_done > 100
        assert (state.title, state.assets) == (
            "Kelvarn FD40 Frequency Inverter: User manual",
            ["plant/motor7"],
        )
        assert await plant.documents() == [state]
        found = await plant.search("E005")
        assert found.hits[0].document.doc_id == added.doc_id
        assert found.hits[0].passage.page in {7, 15}
        assert (await plant.corpus()).passages == state.passages
        assert (plant.folder / "originals" / state.sha256).stat().st_size == state.size
        again = await plant.add(sample_manual(tmp_path, "pdf"))
        assert again.unchanged
        assert again.state == state
        assert names_in(plant.folder / "spool") == []


async def test_a_new_revision_takes_over(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        await plant.add(manual(tmp_path))
        await plant.until("ready")
        added = await plant.add(manual(tmp_path, "mains too HIGH"))
        assert added.revision == 2
        await plant.until("ready", revision=2)
        found = await plant.search("E005")
        assert [(h.document.revision, "HIGH" in h.passage.text) for h in found.hits] == [(2, True)]


async def test_a_failed_revision_leaves_the_older_one(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        path = manual(tmp_path)
        await plant.add(path)
        await plant.until("ready")
        path.write_bytes(b"%PDF-1.7 broken")
        await plant.add(path)
        state, _ = await plant.until("failed", revision=2)
        assert "damaged" in state.reason
        assert state.reason.endswith("; revision 1 still answers")
        assert (await plant.search("E005")).hits[0].document.revision == 1


async def test_scans_wait_for_the_program_that_reads_them(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = formats.scan(tmp_path / "a.pdf")
    async with plant.retriever():
        monkeypatch.setitem(sandbox._ENVIRONMENT, "ANDON_TESSERACT", "/nowhere")
        async with plant.ingest():
            await plant.add(path)
            state, _ = await plant.until("needs-ocr")
            assert "apt-get install tesseract-ocr tesseract-ocr-chi-sim" in state.reason
        monkeypatch.delitem(sandbox._ENVIRONMENT, "ANDON_TESSERACT")
        async with plant.ingest():
            state, _ = await plant.until("ready")
            assert (state.revision, state.pages, state.reason) == (1, 1, "")
            assert (await plant.search("E001")).hits[0].passage.page == 1


async def test_a_document_read_in_part_is_read_again_when_the_program_is_there(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = formats.mixed(tmp_path / "a.pdf", 1)
    async with plant.retriever():
        monkeypatch.setitem(sandbox._ENVIRONMENT, "ANDON_TESSERACT", "/nowhere")
        async with plant.ingest():
            await plant.add(path)
            state, _ = await plant.until("ready")
            assert state.reason.startswith("page 2 not read: text recognition is missing")
        monkeypatch.delitem(sandbox._ENVIRONMENT, "ANDON_TESSERACT")
        async with plant.ingest():
            state, _ = await plant.until("ready", revision=2)
            assert state.reason == ""
            assert (await plant.search("E001")).hits[0].passage.page == 2
        async with plant.ingest():
            [state] = await plant.documents()
            assert (state.revision, state.state) == (2, "ready")


async def test_what_was_not_read_is_told_after_a_restart(plant: Plant, tmp_path: Path) -> None:
    plant.config = Config(
        data=plant.config.data, retriever=plant.config.retriever, ingest=Ingest(ocr_pages=0)
    )
    async with plant.retriever():
        async with plant.ingest():
            await plant.add(formats.mixed(tmp_path / "a.pdf", 1))
            before, _ = await plant.until("ready")
            assert "ingest.ocr_pages" in before.reason
        # As when it ended before all vectors were there.
        with contextlib.closing(sqlite3.connect(plant.folder / "library.db")) as db:
            db.execute("UPDATE revision SET state = 'indexing', reason = 'no room'")
            db.commit()
        async with plant.ingest():
            after, seen = await plant.until("ready")
            assert seen[:1] != ["ready"]
            assert after.reason == before.reason


async def test_what_a_killed_run_sent_is_forgotten_when_the_next_one_fails(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(_readers: object, _job: object, _limits: object, **told: Any) -> NoReturn:
        told["begun"]("Manual")
        told["batch"]([Passage(ordinal=0, text="E005 Undervoltage")])
        await asyncio.Event().wait()
        raise AssertionError

    async def broken(_readers: object, _job: object, _limits: object, **_told: Any) -> NoReturn:
        raise Rejected("read", "it is damaged")

    indexed = asyncio.Event()
    real = RetrieverService.index

    async def index(self: RetrieverService, request: Any) -> Any:
        reply = await real(self, request)
        indexed.set()
        return reply

    monkeypatch.setattr(RetrieverService, "index", index)
    forgotten: list[int] = []
    forget = RetrieverService.remove

    async def count(self: RetrieverService, request: Any) -> Any:
        forgotten.append(request.revision)
        return await forget(self, request)

    monkeypatch.setattr(RetrieverService, "remove", count)
    async with plant.retriever():
        monkeypatch.setattr(sandbox, "read", endless)
        async with plant.ingest():
            await plant.add(manual(tmp_path))
            await asyncio.wait_for(indexed.wait(), SOON_S)
        monkeypatch.setattr(sandbox, "read", broken)
        async with plant.ingest():
            await plant.until("failed")
            assert forgotten == [1]
            assert (await plant.corpus()).passages == 0


async def test_readers_without_room_do_not_stop_the_next(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sandbox.read

    async def full(readers: Any, job: Any, limits: Any, **told: Any) -> Any:
        if job.name == "large.pdf":
            raise sandbox.NoRoom("read large.pdf", "No space left on device", "look at the disk")
        return await real(readers, job, limits, **told)

    monkeypatch.setattr(sandbox, "read", full)
    async with plant.retriever(), plant.ingest():
        await plant.add(manual(tmp_path), name="large.pdf")
        await plant.add(manual(tmp_path))
        state, seen = await plant.until("failed")
        assert (state.file, state.reason) == (
            "large.pdf",
            "No space left on device (look at the disk)",
        )
        assert seen.count("queued") > 1
        await plant.until("ready")


async def test_a_scan_added_again_is_tried_again(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = formats.scan(tmp_path / "a.pdf")
    async with plant.retriever(), plant.ingest():
        monkeypatch.setitem(sandbox._ENVIRONMENT, "ANDON_TESSERACT", "/nowhere")
        await plant.add(path)
        await plant.until("needs-ocr")
        monkeypatch.delitem(sandbox._ENVIRONMENT, "ANDON_TESSERACT")
        assert not (await plant.add(path)).unchanged
        await plant.until("ready", revision=2)


async def test_one_that_fails_does_not_stop_the_next(plant: Plant, tmp_path: Path) -> None:
    bad = tmp_path / "bad.docx"
    bad.write_bytes(b"no document")
    async with plant.retriever(), plant.ingest():
        await plant.add(bad)
        await plant.add(manual(tmp_path))
        state, _ = await plant.until("failed")
        assert state.file == "bad.docx"
        assert "no Word document" in state.reason
        state, _ = await plant.until("ready")
        assert state.file == "m.pdf"


async def test_documents_wait_for_the_retriever(plant: Plant, tmp_path: Path) -> None:
    async with plant.ingest() as context:
        await plant.add(manual(tmp_path))
        await plant.until("indexing")
        while "documents wait for the retriever" not in context.health.reason:
            context.health.changed.clear()
            async with asyncio.timeout(SOON_S):
                await context.health.changed.wait()
        async with plant.retriever():
            await plant.until("ready")
            assert context.health.reason == ""
            assert (await plant.search("E005")).hits


async def test_a_restart_takes_the_work_up_again(plant: Plant, tmp_path: Path) -> None:
    async with plant.ingest():
        await plant.add(manual(tmp_path))
        await plant.until("indexing")
    async with plant.retriever(), plant.ingest():
        _, seen = await plant.until("ready")
        assert seen[-3:] == ["reading", "indexing", "ready"]
        assert (await plant.search("E005")).hits


async def test_removing_is_complete(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        added = await plant.add(manual(tmp_path))
        state, _ = await plant.until("ready")
        removed = await plant.remove(added.doc_id, purge=True)
        assert (removed.file, removed.passages) == ("m.pdf", state.passages)
        assert await plant.documents() == []
        assert (await plant.corpus()).documents == []
        assert names_in(plant.folder / "originals") == []
        gone = await plant.news()
        assert gone is not None
        assert gone.state == "removed"
        assert await plant.news() is None  # the retained message is taken back
        with pytest.raises(Rejected, match="no such document"):
            await plant.remove(added.doc_id)


async def test_without_purge_the_original_stays(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        added = await plant.add(manual(tmp_path))
        await plant.until("ready")
        await plant.remove(added.doc_id)
        assert names_in(plant.folder / "originals") == [added.state.sha256]


async def test_removing_while_it_is_read(plant: Plant, tmp_path: Path) -> None:
    long = Drawn(tmp_path / "long.pdf")
    for page in range(300):
        for line in range(40):
            long.line(f"Page {page} line {line}: check the supply of the drive, then reset it.")
        long.page()
    async with plant.retriever(), plant.ingest():
        added = await plant.add(long.save())
        await plant.until("reading")
        await plant.remove(added.doc_id)
        assert await plant.documents() == []
        assert (await plant.corpus()).documents == []
        await plant.add(manual(tmp_path))
        state, _ = await plant.until("ready")
        assert state.file == "m.pdf"


async def test_a_removal_goes_on_when_the_retriever_is_back(plant: Plant, tmp_path: Path) -> None:
    async with plant.ingest():
        async with plant.retriever():
            added = await plant.add(manual(tmp_path))
            await plant.until("ready")
        with pytest.raises(Unavailable, match="goes on when the retriever is back"):
            await plant.remove(added.doc_id)
        assert await plant.documents() == []
    async with plant.retriever(), plant.ingest():
        await plant.until("removed")
        assert (await plant.corpus()).documents == []


async def test_late_listeners_know_every_document(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever():
        async with plant.ingest():
            await plant.add(manual(tmp_path))
            ready, _ = await plant.until("ready")
            assert await plant.late() == ready
            await plant.forget()
            assert await plant.news() == ready
        await plant.forget()
        async with plant.ingest():
            assert await plant.news() == ready
            assert await plant.late() == ready


async def test_what_cannot_be_added_is_refused(plant: Plant, tmp_path: Path) -> None:
    async with plant.ingest():
        for path, reason in (
            (Path("m.pdf"), "no absolute path"),
            (tmp_path / "missing.pdf", "No such file"),
            (tmp_path, "is no file"),
        ):
            with pytest.raises(Rejected, match=reason):
                await plant.add(path)
        assert await plant.documents() == []


async def test_without_a_tokenizer_it_does_not_start(plant: Plant) -> None:
    plant.config = Config(
        data=plant.config.data, ingest=Ingest(tokenizer="/nowhere/tokenizer.json")
    )
    with pytest.raises(ExceptionGroup) as caught:
        async with plant.ingest():
            pass
    assert caught.group_contains(Fatal, match=r"/nowhere/tokenizer\.json is missing")
