"""Revisions that come and go and come back, and what is said about a document."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.knowledge import DocumentState
from schemas.retrieval import CorpusDocument
from services.ingest.library import Library
from services.ingest.revisions import Revisions
from services.runtime.config import Embedding, Retriever
from services.runtime.errors import Rejected, Unavailable
from services.runtime.process import Context
from tests.support.ingest import names_in
from tests.support.plant import SOON_S, Plant, manual, opened

pytestmark = pytest.mark.integration


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with opened(tmp_path / "data") as plant:
        yield plant


async def added(plant: Plant, folder: Path, cause: str, revision: int = 1, **said: object) -> str:
    """Add a version of the manual, and wait until it answers."""
    reply = await plant.add(manual(folder, cause), **said)
    await plant.until("ready", revision=revision)
    return reply.doc_id


async def says(plant: Plant, **limits: object) -> list[tuple[int, str]]:
    """Revision and first words of the cause that E005 is answered with."""
    found = await plant.search("E005", **limits)
    return [(h.document.revision, h.passage.fields[1].value) for h in found.hits]


async def held(plant: Plant) -> list[tuple[int, bool]]:
    return [(d.document.revision, d.active) for d in (await plant.corpus()).documents]


async def until(look: Callable[[], Any], wanted: Any) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SOON_S):
        while await look() != wanted:  # noqa: ASYNC110  services tell nobody of this
            await asyncio.sleep(0.02)


async def test_the_former_revision_comes_back_and_goes_again(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one")
        with pytest.raises(Rejected, match="no revision before 1 is kept"):
            await plant.roll_back(doc_id)
        await added(plant, tmp_path, "two", 2)
        assert await says(plant) == [(2, "two")]
        back = await plant.roll_back(doc_id)
        assert (back.before, back.reading, back.state.revision, back.state.kept) == (
            2, False, 1, [2],
        )  # fmt: skip
        assert await says(plant) == [(1, "one")]
        [state] = await plant.documents()
        assert (state.revision, state.answers, state.kept, state.state) == (1, 1, [2], "ready")
        assert [(r.revision, r.state, r.original) for r in await plant.revisions(doc_id)] == [
            (2, "kept", True),
            (1, "answers", True),
        ]
        with pytest.raises(Rejected, match=r"no revision before 1 is kept \(kept: 2\)"):
            await plant.roll_back(doc_id)
        with pytest.raises(Rejected, match="revision 7 is not kept"):
            await plant.roll_back(doc_id, 7)
        await plant.roll_back(doc_id, 2)
        assert await says(plant) == [(2, "two")]
        with pytest.raises(Rejected, match="no such document"):
            await plant.roll_back("nothing")


async def test_content_that_was_kept_answers_again_without_being_read(
    plant: Plant, tmp_path: Path
) -> None:
    async with plant.retriever(), plant.ingest():
        await added(plant, tmp_path, "one")
        await added(plant, tmp_path, "two", 2)
        for cause, revision in (("one", 1), ("two", 2)):
            again = await plant.add(manual(tmp_path, cause))
            assert (again.unchanged, again.restored, again.revision) == (True, True, revision)
            assert again.state.state == "ready"
            assert await says(plant) == [(revision, cause)]


async def test_only_the_newest_are_kept_and_older_originals_go(
    plant: Plant, tmp_path: Path
) -> None:
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one")
        copy = await plant.add(manual(tmp_path, "one", name="copy.pdf"))
        await plant.until("ready")
        for number, cause in ((2, "two"), (3, "three"), (4, "four")):
            await added(plant, tmp_path, cause, number)
        await until(lambda: _numbers(plant, doc_id), [4, 3])
        assert [(n, a) for n, a in await held(plant) if n != 1] == [(3, False), (4, True)]
        kept = {r.sha256 for r in await plant.revisions(doc_id)} | {copy.state.sha256}
        # The first is the original of the copy as well, and stays.
        assert names_in(plant.folder / "originals") == sorted(kept)
        # What was forgotten is read as anything new, under a number of its own.
        again = await plant.add(manual(tmp_path, "two"))
        assert (again.revision, again.unchanged) == (5, False)


async def _numbers(plant: Plant, doc_id: str) -> list[int]:
    [state] = [d for d in await plant.documents() if d.doc_id == doc_id]
    return [state.answers, *state.kept]


async def test_a_rollback_is_left_by_the_next_revision(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is too much goes because a revision is new, not when all are compared next.
    monkeypatch.setattr("services.ingest.mender.EVERY_S", 3600.0)
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one")
        await added(plant, tmp_path, "bad", 2)
        await plant.roll_back(doc_id)
        await added(plant, tmp_path, "three", 3)
        assert await says(plant) == [(3, "three")]
        # The one that answered before is kept, not the one people went back from.
        await until(lambda: _numbers(plant, doc_id), [3, 1])


async def test_what_people_went_back_from_is_not_read_again(plant: Plant, tmp_path: Path) -> None:
    """Also where the retriever was found to lack it before they did."""
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one")
        await added(plant, tmp_path, "two", 2)
        await plant.roll_back(doc_id)
    library = await Library.open(plant.folder / "library.db")
    try:
        revisions = Revisions(library)
        assert await revisions.read_again(doc_id, 2) is None
        assert await revisions.read_again(doc_id, 1) is not None
    finally:
        await library.close()


async def test_a_failed_revision_is_forgotten_by_a_rollback(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one")
        await added(plant, tmp_path, "two", 2)
        bad = tmp_path / "m.pdf"
        bad.write_bytes(b"%PDF-1.7 broken")
        await plant.add(bad)
        state, _ = await plant.until("failed", revision=3)
        assert (state.answers, state.kept) == (2, [1])
        back = await plant.roll_back(doc_id)
        assert (back.state.revision, back.state.state, back.before) == (1, "ready", 2)
        assert [r.revision for r in await plant.revisions(doc_id)] == [2, 1]
        await until(lambda: _originals(plant), 2)


async def _originals(plant: Plant) -> int:
    return len(names_in(plant.folder / "originals"))


async def test_a_rollback_survives_a_restart_and_waits_for_the_retriever(
    plant: Plant, tmp_path: Path
) -> None:
    async with plant.ingest():
        async with plant.retriever():
            doc_id = await added(plant, tmp_path, "one")
            await added(plant, tmp_path, "two", 2)
        with pytest.raises(Unavailable, match="done when the retriever is back"):
            await plant.roll_back(doc_id)
    async with plant.retriever(), plant.ingest():
        await until(lambda: says(plant), [(1, "one")])
    async with plant.retriever():
        assert await says(plant) == [(1, "one")]


async def test_a_kept_revision_the_retriever_lost_is_read_again(
    plant: Plant, tmp_path: Path
) -> None:
    async with plant.ingest():
        async with plant.retriever():
            doc_id = await added(plant, tmp_path, "one")
            await added(plant, tmp_path, "two", 2)
        for path in plant.folder.glob("corpus.db*"):
            path.unlink()
    async with plant.retriever(), plant.ingest():
        await until(lambda: says(plant), [(2, "two")])
        await until(lambda: _state(plant, doc_id), ("ready", 2))
        back = await plant.roll_back(doc_id, 1)
        assert back.reading
        assert (back.state.revision, back.state.state, back.state.answers) == (1, "queued", 2)
        await until(lambda: says(plant), [(1, "one")])


async def test_a_kept_revision_without_vectors_answers_when_it_has_them(
    plant: Plant, tmp_path: Path
) -> None:
    async with plant.ingest():
        async with plant.retriever():
            doc_id = await added(plant, tmp_path, "one")
            await added(plant, tmp_path, "two", 2)
        change(
            plant.folder / "corpus.db",
            "DELETE FROM vectors WHERE passage IN (SELECT p.id FROM passages p JOIN documents d"
            " ON d.id = p.document WHERE NOT d.active)",
        )
        # Nor can the model that made the others be opened, to answer for the one that is away.
        change(
            plant.folder / "corpus.db",
            "UPDATE meta SET value = json_set(value, '$.model', '/nowhere') WHERE key = 'model'",
        )
        bundled = plant.config
        away = Embedding(backend="llama-server", url="http://127.0.0.1:9", model="")
        plant.config = msgspec.structs.replace(bundled, retriever=Retriever(embedding=away))
        async with plant.retriever():
            back = await plant.roll_back(doc_id)
            assert (back.waiting, back.reading, back.before) == (True, False, 2)
            assert (back.state.revision, back.state.state, back.state.answers) == (1, "indexing", 2)
            assert await says(plant) == [(2, "two")]
        plant.config = bundled
        async with plant.retriever():
            await until(lambda: _state(plant, doc_id), ("ready", 1))
            assert await says(plant) == [(1, "one")]
            [state] = await plant.documents()
            assert (state.answers, state.kept) == (1, [2])


@pytest.mark.parametrize("broken", [True, False])
async def test_one_that_answers_without_vectors_stays_when_the_next_comes(
    plant: Plant, tmp_path: Path, broken: bool
) -> None:
    bundled = plant.config
    away = Embedding(backend="llama-server", url="http://127.0.0.1:9", model="")
    plant.config = msgspec.structs.replace(bundled, retriever=Retriever(embedding=away))
    async with plant.ingest():
        async with plant.retriever():
            doc_id = (await plant.add(manual(tmp_path, "one"))).doc_id
            await until(lambda: says(plant), [(1, "one")])
            await until(lambda: _searchable(plant), True)
            path = manual(tmp_path, "two")
            if broken:
                path.write_bytes(b"%PDF-1.7 broken")
                await plant.add(path)
                state, _ = await plant.until("failed", revision=2)
                assert "revision 1 still answers" in state.reason
                assert (state.answers, await says(plant)) == (1, [(1, "one")])
                return
            await plant.add(path)
            await plant.until("indexing", revision=2)
        plant.config = bundled
        async with plant.retriever():
            await until(lambda: _numbers(plant, doc_id), [2, 1])
            assert not (await plant.roll_back(doc_id)).reading
            await until(lambda: says(plant), [(1, "one")])


async def test_an_edit_does_not_take_back_that_it_can_be_searched(
    plant: Plant, tmp_path: Path
) -> None:
    away = Embedding(backend="llama-server", url="http://127.0.0.1:9", model="")
    plant.config = msgspec.structs.replace(plant.config, retriever=Retriever(embedding=away))
    async with plant.ingest(), plant.retriever():
        doc_id = (await plant.add(manual(tmp_path, "one"))).doc_id
        await until(lambda: _searchable(plant), True)
        edited = await plant.edit(doc_id, title="Palletiser")
        assert (edited.state.title, edited.state.searchable) == ("Palletiser", True)
        [listed] = await plant.documents()
        assert (listed.title, listed.searchable) == ("Palletiser", True)
        await until(lambda: _title(plant), ("Palletiser", True))
        await plant.forget()  # what the broker lost comes back as it is
        await until(lambda: _title(plant), ("Palletiser", True))


async def _title(plant: Plant) -> tuple[str, bool]:
    state = await plant.late()
    return state.title, state.searchable


async def _searchable(plant: Plant) -> bool:
    [state] = await plant.documents()
    return state.searchable


async def _state(plant: Plant, doc_id: str) -> tuple[str, int]:
    [state] = [d for d in await plant.documents() if d.doc_id == doc_id]
    return state.state, state.revision


async def test_an_edit_is_in_the_next_search(plant: Plant, tmp_path: Path) -> None:
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one", tags=["Spare"], collection="drives")
        await added(plant, tmp_path, "two", 2)
        assert await says(plant, collection="drives", tags=["spare"]) == [(2, "two")]
        assert await says(plant, collection="pumps") == []
        edited = await plant.edit(
            doc_id, title="Palletiser", assets=["plant/p1"], kind="Fault-List", tags=[]
        )
        assert edited.changed
        found = await plant.search("E005", kind="fault-list", asset="plant/p1")
        [hit] = found.hits
        assert (found.scope, hit.document.title, hit.document.tags) == ("asset", "Palletiser", [])
        assert await says(plant, tags=["spare"]) == []
        assert [h.document.title for h in (await plant.search("Palletiser")).hits] == ["Palletiser"]
        [state] = await plant.documents()
        assert (state.title, state.kind, state.collection, state.revision) == (
            "Palletiser", "fault-list", "drives", 2,
        )  # fmt: skip
        # It is true of the revision that is kept as well.
        await plant.roll_back(doc_id)
        [hit] = (await plant.search("E005", kind="fault-list")).hits
        assert (hit.document.revision, hit.document.title) == (1, "Palletiser")
        assert not (await plant.edit(doc_id, title="Palletiser")).changed
        assert (await plant.edit(doc_id, title="")).state.title == "m"
        for wrong in ({"assets": ["a/#/b"]}, {"tags": ["x" * 300]}, {"kind": "a\x07b"}):
            with pytest.raises(Rejected):
                await plant.edit(doc_id, **wrong)
        with pytest.raises(Rejected, match="no such document"):
            await plant.edit("nothing", title="x")


async def test_adding_the_same_with_other_words_about_it_reads_nothing(
    plant: Plant, tmp_path: Path
) -> None:
    async with plant.retriever(), plant.ingest():
        await added(plant, tmp_path, "one")
        again = await plant.add(manual(tmp_path, "one"), assets=["plant/p1"], model="AX5")
        assert (again.unchanged, again.edited, again.revision) == (True, True, 1)
        found = await plant.search("E005", asset="plant/p1")
        assert [(h.document.revision, h.document.model) for h in found.hits] == [(1, "AX5")]
        assert found.scope == "asset"


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA foreign_keys=ON")
        assert db.execute(sql).rowcount > 0
        db.commit()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE documents SET active = 0 WHERE active",
        "DELETE FROM documents WHERE active",
        "UPDATE documents SET assets = '[\"plant/other\"]', title = 'Other', tags = '[\"x\"]'",
        "UPDATE documents SET doc_id = 'gone', active = 0 WHERE NOT active",
        "DELETE FROM passages WHERE document = (SELECT id FROM documents WHERE active)",
    ],
)
async def test_what_the_retriever_lost_or_changed_is_mended_at_the_next_start(
    plant: Plant, tmp_path: Path, sql: str
) -> None:
    async with plant.retriever(), plant.ingest():
        await added(plant, tmp_path, "one", assets=["plant/p1"])
        await added(plant, tmp_path, "two", 2)
        before = (await plant.corpus()).documents[1]
    change(plant.folder / "corpus.db", sql)

    async def answering() -> list[CorpusDocument]:
        return [d for d in (await plant.corpus()).documents if d.active]

    async with plant.retriever(), plant.ingest():
        await until(answering, [before])
        await until(lambda: says(plant), [(2, "two")])

        async def others() -> set[str]:
            return {d.document.doc_id for d in (await plant.corpus()).documents}

        await until(others, {before.document.doc_id})


@pytest.mark.parametrize("gone", [True, False])
async def test_what_has_lost_passages_answers_on_where_its_original_is_gone(
    plant: Plant, tmp_path: Path, gone: bool
) -> None:
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one")
        await added(plant, tmp_path, "two", 2)
        [state] = await plant.documents()
    if gone:
        (plant.folder / "originals" / state.sha256).unlink()
    change(
        plant.folder / "corpus.db",
        "DELETE FROM passages WHERE ordinal = 0 AND document ="
        " (SELECT id FROM documents WHERE active)",
    )
    left = state.passages - 1
    async with plant.retriever(), plant.ingest():
        if gone:
            await until(lambda: _passages(plant), left)
            [told] = await plant.documents()
            assert f"{left} of its {state.passages} passages" in told.reason
            assert told.state == "ready"
        else:
            # Not before it is read again: it also answered with what was left of it.
            await until(lambda: _held_passages(plant), state.passages)
            await until(lambda: _state(plant, doc_id), ("ready", 2))
            assert await says(plant) == [(2, "two")]
        # The kept one was not forgotten with it.
        assert not (await plant.roll_back(doc_id)).reading
        assert await says(plant) == [(1, "one")]


async def _held_passages(plant: Plant) -> int:
    """How many passages answer, as the retriever has it."""
    return sum(d.passages for d in (await plant.corpus()).documents if d.active)


async def _passages(plant: Plant) -> int:
    [state] = await plant.documents()
    return state.passages


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("DELETE FROM revision WHERE revision = 1", [2]),
        ("DELETE FROM document", [2]),
        ("UPDATE revision SET held = 0 WHERE revision = 1", [1, 2]),
    ],
)
async def test_what_the_library_lost_is_mended_at_the_next_start(
    plant: Plant, tmp_path: Path, sql: str, left: list[int]
) -> None:
    async with plant.retriever(), plant.ingest():
        doc_id = await added(plant, tmp_path, "one", assets=["plant/p1"])
        await added(plant, tmp_path, "two", 2)
    change(plant.folder / "library.db", sql)

    async def numbers() -> list[int]:
        return sorted(number for number, _ in await held(plant))

    async with plant.retriever(), plant.ingest():
        await until(numbers, left)
        await until(lambda: _state(plant, doc_id), ("ready", 2))
        [state] = await plant.documents()
        assert (state.answers, state.assets) == (2, ["plant/p1"])
        if left == [1, 2]:
            await plant.roll_back(doc_id)
            await until(lambda: says(plant), [(1, "one")])


async def test_a_missing_original_is_told_and_orphans_go(plant: Plant, tmp_path: Path) -> None:
    originals = plant.folder / "originals"
    async with plant.retriever():
        async with plant.ingest():
            doc_id = await added(plant, tmp_path, "one")
            left = await plant.add(manual(tmp_path, "left", name="left.pdf"))
            await plant.until("ready")
            await plant.remove(left.doc_id)
        [state] = await _documents_of(plant)
        (originals / state.sha256).unlink()
        for name in ("f" * 64, ".new-abc", left.state.sha256):
            (originals / name).touch()
            os.utime(originals / name, (1e9, 1e9))
        # As if the library were as old as that.
        change(plant.folder / "library.db", "UPDATE fact SET value = '2000-01-01T00:00:00.000Z'")
        async with plant.ingest() as context:
            await until(lambda: _told(context), True)
            assert names_in(originals) == [left.state.sha256]
            assert await says(plant) == [(1, "one")]
            assert not (await plant.revisions(doc_id))[0].original
            again = await plant.add(manual(tmp_path, "one"))
            assert again.unchanged
            assert (await plant.revisions(doc_id))[0].original


async def test_an_older_library_put_back_deletes_no_original(plant: Plant, tmp_path: Path) -> None:
    library, backup = plant.folder / "library.db", tmp_path / "library.db"
    async with plant.retriever():
        async with plant.ingest():
            await added(plant, tmp_path, "one")
        shutil.copy(library, backup)
        async with plant.ingest():
            await plant.add(manual(tmp_path, "since", name="since.pdf"))
            await plant.until("ready")
        before = names_in(plant.folder / "originals")
        assert len(before) == 2
        for path in plant.folder.glob("library.db*"):
            path.unlink()
        shutil.copy(backup, library)
        change(library, "UPDATE fact SET value = '2000-01-01T00:00:00.000Z' WHERE key = 'born'")
        change(library, "UPDATE revision SET updated = '2001-01-01T00:00:00.000Z'")
        for name in before:  # a day and more ago, after the backup
            os.utime(plant.folder / "originals" / name, (1.5e9, 1.5e9))
        async with plant.ingest():
            await until(lambda: _files(plant), ["m.pdf", "since.pdf"])
        async with plant.ingest():  # the adopted one is known at the first look
            assert names_in(plant.folder / "originals") == before
            [since] = [d for d in await plant.documents() if d.file == "since.pdf"]
            await plant.remove(since.doc_id)
        async with plant.ingest():
            await until(lambda: _files(plant), ["m.pdf"])
            assert names_in(plant.folder / "originals") == before


async def _files(plant: Plant) -> list[str]:
    return sorted(d.file for d in await plant.documents())


async def _documents_of(plant: Plant) -> list[DocumentState]:
    async with plant.ingest():
        return await plant.documents()


async def _told(context: Context) -> bool:
    return "1 originals are gone: m.pdf" in context.health.reason
