"""A disk that is full or failing: ingest stays, says what is missing, and goes on by itself."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.retrieval import Passage
from services.ingest.originals import Originals
from services.ingest.removals import Removal, Removals
from services.ingest.spool import Spool
from services.runtime.errors import Retryable, Unavailable
from services.runtime.process import Context
from tests.support.ingest import names_in
from tests.support.plant import Plant, manual, opened
from tests.support.sample import sample_manual

pytestmark = pytest.mark.faults

BATCH = [Passage(ordinal=n, text="Check the supply. " * 500) for n in range(20)]


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with opened(tmp_path / "data") as plant:
        yield plant


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """A disk of its own at a folder; call what it yields to give it another size."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no small disk can be mounted here")

    def resize(size: int) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,size={size}k", str(folder)], capture_output=True, check=True
        )

    try:
        yield resize
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=True)


async def until(context: Context, reason: str) -> None:
    """Wait until the service says this of itself; an empty reason is all well."""
    async with asyncio.timeout(60):
        while (reason not in context.health.reason) if reason else context.health.reason:
            context.health.changed.clear()
            await context.health.changed.wait()


def test_a_full_disk_under_the_spool_can_be_tried_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "spool", 64) as resize:
        with Spool(tmp_path / "spool") as spool, pytest.raises(Retryable, match="No space left"):
            spool.add(BATCH)
        with pytest.raises(Retryable, match="No space left"):
            Spool(tmp_path / "spool", room=spool.bytes)
        resize(1024)
        with Spool(tmp_path / "spool", room=spool.bytes) as again:
            again.add(BATCH)
            assert list(again.unsent()) == [BATCH]
            assert list(again.unsent()) == []


def test_a_full_disk_under_the_originals_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "m.pdf"
    source.write_bytes(b"x" * 2**18)
    with small_disk(tmp_path / "originals", 64) as resize:
        originals = Originals(tmp_path / "originals")
        with pytest.raises(Retryable, match="No space left"):
            originals.take(source, 2**20)
        with pytest.raises(Retryable, match="No space left"):
            originals.need(2**18)
        assert names_in(tmp_path / "originals") == []
        resize(1024)
        originals.need(2**18)
        assert names_in(tmp_path / "originals") == []
        sha256, size = originals.take(source, 2**20)
        assert (names_in(tmp_path / "originals"), size) == ([sha256], 2**18)


def test_an_original_that_cannot_be_deleted_can_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "abc").mkdir()
    with pytest.raises(Retryable, match="directory"):
        Originals(tmp_path).forget("abc")


async def test_a_document_waits_for_room_and_goes_on(plant: Plant, tmp_path: Path) -> None:
    with small_disk(plant.folder / "spool", 16) as resize:
        async with plant.retriever(), plant.ingest() as context:
            await plant.add(sample_manual(tmp_path, "pdf"))
            await until(context, "No space left")
            waiting, _ = await plant.until("reading")
            while "No space left" not in waiting.reason:
                waiting, _ = await plant.until("queued")
            assert "make room" in waiting.reason
            resize(16384)
            state, _ = await plant.until("ready", "failed")
            assert (state.state, state.reason) == ("ready", "")
            await until(context, "")


async def test_a_spool_that_cannot_be_made_is_waited_for(plant: Plant, tmp_path: Path) -> None:
    plant.folder.mkdir()
    (plant.folder / "spool").write_text("in the way")
    async with plant.retriever(), plant.ingest() as context:
        await plant.add(manual(tmp_path))
        await until(context, "File exists")
        (plant.folder / "spool").unlink()
        await plant.until("ready")
        await until(context, "")


async def test_a_document_that_waits_for_room_can_be_removed(plant: Plant, tmp_path: Path) -> None:
    plant.folder.mkdir()
    (plant.folder / "spool").write_text("in the way")
    async with plant.retriever(), plant.ingest() as context:
        added = await plant.add(manual(tmp_path))
        await until(context, "File exists")
        await plant.remove(added.doc_id, purge=True)
        assert await plant.documents() == []
        await until(context, "")


async def test_no_room_for_an_added_file_is_told_until_there_is(
    plant: Plant, tmp_path: Path
) -> None:
    path = sample_manual(tmp_path, "pdf")
    with small_disk(plant.folder / "originals", 16) as resize:
        async with plant.retriever(), plant.ingest() as context:
            with pytest.raises(Retryable, match="No space left"):
                await plant.add(path)
            assert await plant.documents() == []
            await until(context, "No space left")
            resize(16384)
            await until(context, "")
            await plant.add(path)
            await plant.until("ready")


async def test_a_removal_that_fails_twice_goes_on(plant: Plant, tmp_path: Path) -> None:
    async with plant.ingest() as context:
        async with plant.retriever():
            added = await plant.add(manual(tmp_path))
            await plant.until("ready")
        original = plant.folder / "originals" / added.state.sha256
        original.unlink()
        original.mkdir()
        with pytest.raises(Unavailable):
            await plant.remove(added.doc_id, purge=True)
        async with plant.retriever():
            await until(context, "forget an original")
            original.rmdir()
            await plant.until("removed")
            await until(context, "")


async def test_a_library_that_cannot_be_read_is_waited_for(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Removals.begun
    asked = 0

    async def failing(removals: Removals) -> list[Removal]:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise Retryable("read library.db", "disk I/O error")
        return await real(removals)

    monkeypatch.setattr(Removals, "begun", failing)
    async with plant.retriever(), plant.ingest() as context:
        await until(context, "disk I/O error")
        await until(context, "")
        await plant.add(manual(tmp_path))
        await plant.until("ready")
