"""The library and the originals on a real disk."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.channels import DOCUMENT
from services.ingest import naming
from services.ingest.labels import Labels
from services.ingest.library import MIGRATIONS, Library
from services.ingest.originals import Originals
from services.ingest.records import Work
from services.ingest.removals import Removals
from services.ingest.revisions import Revisions
from services.runtime.errors import Rejected
from services.runtime.sqlite import open_database

pytestmark = pytest.mark.integration

A, B = "a" * 64, "b" * 64


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    opened = await Library.open(tmp_path / "library.db")
    yield opened
    await opened.close()


async def taken(library: Library) -> Work:
    work = await library.next()
    assert work is not None
    return work


async def ready(library: Library, passages: int = 3) -> Work:
    work = await taken(library)
    await library.update(work, state="ready", passages=passages)
    return work


async def test_a_new_document_waits(library: Library) -> None:
    added = await library.add("Motor manual.pdf", A, 12, said=Labels(assets=["plant/+"]))
    state = added.state
    assert not added.unchanged
    assert (state.state, state.revision, state.title) == ("queued", 1, "Motor manual")
    assert (state.file, state.sha256, state.size, state.assets) == (
        "Motor manual.pdf",
        A,
        12,
        ["plant/+"],
    )
    work = await taken(library)
    assert (work.doc_id, work.revision, work.labels.assets) == (state.doc_id, 1, ["plant/+"])


async def test_the_same_again_is_no_news(library: Library) -> None:
    said = Labels(title="M", assets=["x"], tags=["Spare Parts"])
    first = await library.add("m.pdf", A, 12, said=said)
    again = await library.add("m.pdf", A, 12)
    assert (again.unchanged, again.edited, again.restored) == (True, False, 0)
    assert again.state == first.state
    assert again.state.tags == ["spare parts"]


async def test_another_title_or_asset_changes_the_document_and_reads_nothing(
    library: Library,
) -> None:
    await library.add("m.pdf", A, 12, said=Labels(title="M", assets=["x"]))
    await ready(library)
    for said in (Labels(title="N"), Labels(assets=["y"])):
        again = await library.add("m.pdf", A, 12, said=said)
        assert (again.unchanged, again.edited) == (True, True)
    assert (again.state.title, again.state.assets, again.state.revision) == ("N", ["y"], 1)
    assert await library.next() is None


async def test_other_content_under_the_same_name_is_a_revision(library: Library) -> None:
    first = await library.add("m.pdf", A, 12, said=Labels(title="M", assets=["x"]))
    added = await library.add("m.pdf", B, 13)
    state = added.state
    assert (state.doc_id, state.revision, added.unchanged) == (first.state.doc_id, 2, False)
    assert (state.title, state.assets) == ("M", ["x"])
    assert (await taken(library)).revision == 2


async def test_what_failed_is_tried_again_as_a_new_revision(library: Library) -> None:
    await library.add("m.pdf", A, 12)
    await library.update(await taken(library), state="failed", reason="damaged")
    added = await library.add("m.pdf", A, 12)
    state = added.state
    assert (state.revision, state.state, state.reason, added.unchanged) == (2, "queued", "", False)


async def test_a_restart_takes_up_what_was_begun(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    for step in ("reading", "indexing"):
        library = await Library.open(path)
        await library.add("m.pdf", A, 12)
        await library.update(await taken(library), state=step)
        assert await library.next() is None
        await library.close()
        library = await Library.open(path)
        assert (await taken(library)).file == "m.pdf"
        await library.close()


async def test_what_nobody_waits_for_is_not_read_again_at_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    library = await Library.open(path)
    await library.add("m.pdf", "1" * 64, 1)
    await ready(library)
    await library.add("m.pdf", "2" * 64, 1)
    await library.update(await taken(library), state="needs-ocr", reason="scan")
    await library.add("m.pdf", "1" * 64, 1)  # back to what answers
    await library.close()
    library = await Library.open(path)
    assert await library.next() is None
    await library.close()


async def test_the_one_that_waits_longest_is_next(library: Library) -> None:
    for name in ("b.pdf", "a.pdf"):
        await library.add(name, A, 1)
    assert (await taken(library)).file == "b.pdf"
    assert [state.file for state in await library.states()] == ["a.pdf", "b.pdf"]


async def test_an_older_revision_that_answers_is_known(library: Library) -> None:
    state = (await library.add("m.pdf", A, 12)).state
    assert await library.answering(state.doc_id) is None
    await library.update(await taken(library), state="ready", passages=3, pages=2)
    await library.add("m.pdf", B, 12)
    await library.update(await taken(library), state="failed", reason="x")
    assert await library.answering(state.doc_id) == 1


async def test_removing_is_finished_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    library = await Library.open(path)
    state = (await library.add("m.pdf", A, 12)).state
    await library.add("other.pdf", A, 12)
    await library.add("m.pdf", B, 12)
    assert await Removals(library).start(state.doc_id, purge=True) is not None
    assert [s.file for s in await library.states()] == ["other.pdf"]
    with pytest.raises(Rejected, match="being removed"):
        await library.add("m.pdf", A, 12)
    await library.close()
    library = await Library.open(path)
    removals = Removals(library)
    (removal,) = await removals.begun()
    assert (removal.file, removal.purge) == ("m.pdf", True)
    assert await removals.only_here(removal.doc_id) == [B]
    await removals.finish(removal)
    assert await removals.begun() == []
    added = await library.add("m.pdf", A, 12)
    assert added.state.revision == 1
    await library.close()


FIRST = """
INSERT INTO document (doc_id, file) VALUES ('m-1', 'm.pdf'), ('n-1', 'n.pdf');
INSERT INTO revision (doc_id, revision, sha256, size, assets, asked_title, title, state, passages,
    updated)
VALUES ('m-1', 1, 'aa', 1, '[]', '', 'M', 'ready', 7, 't'),
    ('n-1', 1, 'cc', 1, '[]', '', 'N', 'ready', 5, 't'),
    ('m-1', 2, 'bb', 2, '["plant/+"]', 'Mine', 'Mine', 'ready', 8, 't'),
    ('n-1', 2, 'dd', 1, '[]', '', 'N', 'failed', 0, 't'),
    ('n-1', 3, 'dd', 1, '[]', '', 'N', 'reading', 0, 't');
"""


async def test_a_library_of_the_first_schema_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    old = await open_database(path, MIGRATIONS[:1], synchronous="FULL")
    async with old.transaction() as db:
        for statement in FIRST.split(";"):
            await db.execute(statement)
    await old.close()
    library = await Library.open(path)
    try:
        m, n = await library.states()
        assert (m.revision, m.answers, m.kept, m.title, m.assets, m.passages) == (
            2, 2, [1], "Mine", ["plant/+"], 8,
        )  # fmt: skip
        assert (n.revision, n.answers, n.state, n.title) == (3, 1, "queued", "N")
        added = await library.add("m.pdf", "ee", 3)
        assert (added.state.revision, added.state.title) == (3, "Mine")
        shelf = await Revisions(library).shelf("m-1")
        assert [(own.number, own.answered, own.held) for own in shelf[0].revisions] == [
            (1, 1, True), (2, 2, True), (3, 0, False),
        ]  # fmt: skip
        again = await library.add("m.pdf", "ee", 3)
        assert again.unchanged
    finally:
        await library.close()


async def test_a_file_that_is_refused_is_told_once(library: Library) -> None:
    identity, state = await library.refuse("m.pdf", "it is empty")
    assert state is not None
    assert (state.doc_id, state.state, state.reason, state.answers) == (
        identity, "failed", "it is empty", 0,
    )  # fmt: skip
    assert await library.refuse("m.pdf", "it is empty") == (identity, None)
    await library.add("m.pdf", A, 12)
    await ready(library)
    _, state = await library.refuse("m.pdf", "it is empty")
    assert state is not None
    assert (state.revision, state.reason, state.answers) == (
        3, "it is empty; revision 2 still answers", 2,
    )  # fmt: skip


async def test_a_renamed_document_keeps_its_id_and_frees_its_name(library: Library) -> None:
    first = (await library.add("m.pdf", A, 12)).state
    other = (await library.add("n.pdf", B, 12)).state
    assert await library.rename(first.doc_id, "n.pdf") is None
    assert await library.rename("nothing", "o.pdf") is None
    renamed = await library.rename(first.doc_id, "x/o.pdf")
    assert renamed is not None
    assert (renamed.doc_id, renamed.file, renamed.title) == (first.doc_id, "x/o.pdf", "o")
    again = (await library.add("m.pdf", B, 12)).state
    assert again.doc_id not in {first.doc_id, other.doc_id}
    assert DOCUMENT.parameters(DOCUMENT.topic(doc_id=again.doc_id)) == {"doc_id": again.doc_id}


async def test_removing_what_is_not_there(library: Library) -> None:
    assert await Removals(library).start("nothing", purge=False) is None


async def test_an_update_of_a_removed_document_says_so(library: Library) -> None:
    state = (await library.add("m.pdf", A, 12)).state
    work = await taken(library)
    await Removals(library).start(state.doc_id, purge=False)
    assert await library.update(work, state="ready") is None


@given(st.text(min_size=1, max_size=200))
def test_ids_fit_into_a_topic(name: str) -> None:
    identity = naming.doc_id(name)
    assert DOCUMENT.parameters(DOCUMENT.topic(doc_id=identity)) == {"doc_id": identity}
    assert identity.isascii()
    assert len(identity) <= 50


def test_ids_are_readable_and_their_own() -> None:
    assert naming.doc_id("FD40 Manual (EN).pdf").startswith("fd40-manual-en-")
    assert naming.doc_id("变频器.pdf") != naming.doc_id("电机.pdf")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.pdf", "a.pdf"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\x\\手册.pdf", "C:/x/手册.pdf"),
        ("é/", "é"),
    ],
)
def test_names_keep_their_folders_and_nothing_that_leads_out(name: str, kept: str) -> None:
    assert naming.file_name(name) == kept


@pytest.mark.parametrize("name", ["..", "/", "\n", "x" * 600])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Rejected):
        naming.file_name(name)


def test_an_original_is_kept_once(tmp_path: Path) -> None:
    originals = Originals(tmp_path / "originals")
    source = tmp_path / "m.pdf"
    source.write_bytes(b"content")
    first = originals.take(source, 100)
    assert originals.take(source, 100) == first
    assert originals.path(first[0]).read_bytes() == b"content"
    assert [p.name for p in (tmp_path / "originals").iterdir()] == [first[0]]
    originals.forget(first[0])
    originals.forget(first[0])
    assert list((tmp_path / "originals").iterdir()) == []


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    originals = Originals(tmp_path / "originals")
    empty = tmp_path / "empty"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    large = tmp_path / "large"
    large.write_bytes(bytes(2**20 + 1))
    cases = {
        tmp_path / "missing": "No such file",
        tmp_path: "is no file",
        pipe: "is no file",
        empty: "empty",
        large: "1.0 MB, more than the 1 MB allowed",
    }
    for path, reason in cases.items():
        with pytest.raises(Rejected, match=reason):
            originals.take(path, 2**20)
    folder = tmp_path / "originals"
    assert not folder.exists() or list(folder.iterdir()) == []
