"""Files dropped into the inbox, with the real services behind it."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.knowledge import DocumentState
from services.ingest import scan as scan_module
from services.ingest.marking import MARK
from services.ingest.scan import look_at, scan, written_now
from tests.support.ingest import names_in
from tests.support.plant import SOON_S, Plant, manual, opened

pytestmark = pytest.mark.integration

QUICK = {"inbox_scan_s": 0.05, "inbox_settle_s": 0.15, "inbox_grace_s": 0.4}


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine is busy and a look takes long, the next one is not put off for that."""
    monkeypatch.setattr("services.ingest.inbox.SHARE", 1)


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with opened(tmp_path / "data") as plant:
        configure(plant)
        yield plant


def configure(plant: Plant, **more: Any) -> None:
    ingest = msgspec.structs.replace(plant.config.ingest, **(QUICK | more))
    plant.config = msgspec.structs.replace(plant.config, ingest=ingest)


def inbox(plant: Plant) -> Path:
    return plant.folder / "inbox"


async def until(look: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    """Wait until something is so, and return it."""
    async with asyncio.timeout(SOON_S):
        while not wanted(found := await look()):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)
    return found


async def documents(plant: Plant, *wanted: tuple[str, str]) -> dict[str, DocumentState]:
    """Wait until these files are in these states, and there are no others."""

    def so(found: list[DocumentState]) -> bool:
        return sorted((d.file, d.state) for d in found) == sorted(wanted)

    return {d.file: d for d in await until(plant.documents, so)}


async def watching(plant: Plant) -> None:
    """Wait until the inbox is looked at."""
    async with asyncio.timeout(SOON_S):
        while not (inbox(plant) / MARK).exists():  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)


def notes(plant: Plant, folder: str, text: str) -> None:
    path = inbox(plant) / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / ".new").write_text(text, encoding="utf-8")
    (path / ".new").rename(path / "andon.yaml")  # never seen when it is half written


async def test_a_file_dropped_in_answers_with_what_its_folders_say(plant: Plant) -> None:
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        notes(plant, "drives", "assets: [plant/m7]\nkind: manual")
        (inbox(plant) / "drives" / "line 2").mkdir()
        manual(inbox(plant) / "drives" / "line 2")
        (inbox(plant) / "drives" / "~$m.docx").write_bytes(b"lock")
        (inbox(plant) / "drives" / "n.pdf.part").write_bytes(b"half")
        found = await documents(plant, ("drives/line 2/m.pdf", "ready"))
        state = found["drives/line 2/m.pdf"]
        assert (state.collection, state.tags, state.assets, state.kind) == (
            "drives", ["line 2"], ["plant/m7"], "manual",
        )  # fmt: skip
        search = await plant.search("E005", asset="plant/m7", collection="drives")
        assert [h.document.file for h in search.hits] == ["drives/line 2/m.pdf"]
        # What a folder says later is heard as well, and nothing is read for it.
        notes(plant, "drives", "assets: [plant/m8]\nkind: wiring")
        await until(plant.documents, lambda found: found[0].kind == "wiring")
        found_there = await until(
            lambda: plant.search("E005", asset="plant/m8"), lambda f: f.scope == "asset"
        )
        [hit] = found_there.hits
        assert (hit.document.assets, hit.document.revision) == (["plant/m8"], 1)


async def test_a_wrong_note_is_told_and_its_former_words_hold(plant: Plant) -> None:
    async with plant.retriever(), plant.ingest() as context:
        await watching(plant)
        notes(plant, "drives", "kind: manual")
        manual(inbox(plant) / "drives")
        await documents(plant, ("drives/m.pdf", "ready"))
        notes(plant, "drives", "knid: wiring")
        await until(_reason(context), lambda text: "knid" in text)
        [state] = await plant.documents()
        assert state.kind == "manual"
        notes(plant, "drives", "kind: wiring")
        await until(_reason(context), lambda text: text == "")
        await until(plant.documents, lambda found: found[0].kind == "wiring")


def _reason(context: Any) -> Callable[[], Awaitable[str]]:
    async def reason() -> str:
        return str(context.health.reason)

    return reason


async def test_a_changed_file_is_a_new_revision_and_an_edit_stays(plant: Plant) -> None:
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        manual(inbox(plant) / "drives", "one")
        found = await documents(plant, ("drives/m.pdf", "ready"))
        await plant.edit(found["drives/m.pdf"].doc_id, collection="mine", tags=["kept"])
        manual(inbox(plant) / "drives", "two")
        await until(plant.documents, lambda f: (f[0].revision, f[0].state) == (2, "ready"))
        [state] = await plant.documents()
        assert (state.collection, state.tags) == ("mine", ["kept"])
        assert [h.passage.fields[1].value for h in (await plant.search("E005")).hits] == ["two"]


async def test_a_moved_file_keeps_its_document_and_is_not_read_again(plant: Plant) -> None:
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        manual(inbox(plant) / "drives", "one")
        before = (await documents(plant, ("drives/m.pdf", "ready")))["drives/m.pdf"]
        (inbox(plant) / "pumps" / "old").mkdir(parents=True)
        (inbox(plant) / "drives" / "m.pdf").rename(inbox(plant) / "pumps" / "old" / "p7.pdf")
        found = await documents(plant, ("pumps/old/p7.pdf", "ready"))
        state = found["pumps/old/p7.pdf"]
        assert (state.doc_id, state.revision, state.title) == (before.doc_id, 1, "p7")
        await until(plant.documents, lambda f: f[0].collection == "pumps")
        [hit] = (
            await until(lambda: plant.search("E005", collection="pumps"), lambda f: f.hits)
        ).hits
        assert (hit.document.file, hit.document.tags) == ("pumps/old/p7.pdf", ["old"])
        # The old name is free for another document.
        manual(inbox(plant) / "drives", "two")
        found = await documents(plant, ("drives/m.pdf", "ready"), ("pumps/old/p7.pdf", "ready"))
        assert found["drives/m.pdf"].doc_id != before.doc_id


async def test_a_deleted_file_takes_its_document_along_but_not_the_original(
    plant: Plant,
) -> None:
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        path = manual(inbox(plant))
        state = (await documents(plant, ("m.pdf", "ready")))["m.pdf"]
        path.unlink()
        await documents(plant)
        await until(plant.corpus, lambda corpus: corpus.documents == [])
        assert names_in(plant.folder / "originals") == [state.sha256]
        manual(inbox(plant))
        await documents(plant, ("m.pdf", "ready"))


async def test_deleting_may_be_switched_off(plant: Plant) -> None:
    configure(plant, inbox_deletes=False)
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        path = manual(inbox(plant))
        await documents(plant, ("m.pdf", "ready"))
        path.unlink()
        manual(inbox(plant), "two", name="n.pdf")
        await documents(plant, ("m.pdf", "ready"), ("n.pdf", "ready"))
        await asyncio.sleep(3 * QUICK["inbox_grace_s"])
        await documents(plant, ("m.pdf", "ready"), ("n.pdf", "ready"))


async def test_what_happened_while_nobody_watched_is_found(plant: Plant) -> None:
    async with plant.retriever():
        async with plant.ingest():
            await watching(plant)
            for name in ("stays", "goes", "moves", "changes"):
                manual(inbox(plant), f"cause {name}", name=f"{name}.pdf")
            before = await documents(
                plant, *((f"{n}.pdf", "ready") for n in ("stays", "goes", "moves", "changes"))
            )
        (inbox(plant) / "goes.pdf").unlink()
        (inbox(plant) / "x").mkdir()
        (inbox(plant) / "moves.pdf").rename(inbox(plant) / "x" / "moved.pdf")
        manual(inbox(plant), "another cause", name="changes.pdf")
        manual(inbox(plant), "new cause", name="new.pdf")
        async with plant.ingest():
            after = await documents(
                plant,
                *((n, "ready") for n in ("stays.pdf", "x/moved.pdf", "changes.pdf", "new.pdf")),
            )
        assert after["stays.pdf"] == before["stays.pdf"]
        assert after["x/moved.pdf"].doc_id == before["moves.pdf"].doc_id
        assert after["changes.pdf"].revision == 2


async def test_a_file_that_fails_says_why_and_is_not_tried_again(plant: Plant) -> None:
    configure(plant, max_file_mb=1)
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        (inbox(plant) / "bad.docx").write_bytes(b"no document")
        (inbox(plant) / "empty.pdf").touch()
        (inbox(plant) / "large.pdf").write_bytes(bytes(2**20 + 1))
        found = await documents(
            plant, ("bad.docx", "failed"), ("empty.pdf", "failed"), ("large.pdf", "failed")
        )
        assert "no Word document" in found["bad.docx"].reason
        assert "empty" in found["empty.pdf"].reason
        assert "more than the 1 MB allowed" in found["large.pdf"].reason
        await asyncio.sleep(0.5)
        assert {d.file: d for d in await plant.documents()} == found
        for name in ("bad.docx", "large.pdf"):
            (inbox(plant) / name).unlink()
        (inbox(plant) / "empty.pdf").write_bytes(manual(plant.folder / "other").read_bytes())
        found = await documents(plant, ("empty.pdf", "ready"))
        assert found["empty.pdf"].revision == 2


async def test_what_was_refused_is_looked_at_again_at_the_next_start(plant: Plant) -> None:
    configure(plant, max_file_mb=1)
    async with plant.retriever():
        async with plant.ingest():
            await watching(plant)
            (inbox(plant) / "drives").mkdir()
            large = "# Faults\n\nE005 mains too low\n" + " " * 2**20
            (inbox(plant) / "drives" / "large.md").write_text(large)
            await documents(plant, ("drives/large.md", "failed"))
        configure(plant, max_file_mb=2)
        async with plant.ingest():
            found = await documents(plant, ("drives/large.md", "ready"))
            assert found["drives/large.md"].collection == "drives"


def test_other_permissions_are_another_look(tmp_path: Path) -> None:
    path = tmp_path / "m.pdf"
    path.write_bytes(b"x")
    before = look_at(path)
    path.chmod(0o600)
    path.chmod(0o644)
    assert look_at(path) != before
    assert scan(tmp_path).files == {"m.pdf": look_at(path)}


async def test_names_in_any_encoding_and_names_that_are_too_long(plant: Plant) -> None:
    old = os.fsencode(inbox(plant)) + "/说明/手册.pdf".encode("gb18030")
    async with plant.retriever():
        async with plant.ingest() as context:
            await watching(plant)
            os.mkdir(os.path.dirname(old))  # noqa: PTH102, PTH120  bytes
            source = manual(plant.folder / "other")
            source.rename(os.fsdecode(old))
            (Path(os.fsdecode(os.path.dirname(old))) / "andon.yaml").write_bytes(b"\xff")  # noqa: PTH120
            found = await documents(plant, ("说明/手册.pdf", "ready"))
            assert found["说明/手册.pdf"].collection == "说明"
            await until(_reason(context), lambda text: "说明/andon.yaml: it is not UTF-8" in text)
        long = inbox(plant) / ("很" * 80) / ("长" * 80) / ("的" * 80)
        long.mkdir(parents=True)
        manual(long, "two")
        async with plant.ingest() as context:
            await until(_reason(context), lambda text: "its name is too long" in text)
            os.unlink(old)  # noqa: PTH108  bytes
            await documents(plant)


async def test_a_file_that_is_open_for_writing_is_waited_for(plant: Plant, tmp_path: Path) -> None:
    whole = manual(tmp_path / "other").read_bytes()
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        with (inbox(plant) / "m.pdf").open("wb") as file:
            file.write(whole[:100])
            file.flush()
            await asyncio.sleep(5 * QUICK["inbox_settle_s"])
            assert await plant.documents() == []
            file.write(whole[100:])
        found = await documents(plant, ("m.pdf", "ready"))
        assert found["m.pdf"].revision == 1


async def test_a_share_that_is_not_mounted_takes_nothing_away(plant: Plant) -> None:
    async with plant.retriever(), plant.ingest() as context:
        await watching(plant)
        manual(inbox(plant))
        await documents(plant, ("m.pdf", "ready"))
        away = plant.folder / "away"
        inbox(plant).rename(away)
        await until(_reason(context), lambda text: "is it mounted?" in text)
        inbox(plant).mkdir()
        await asyncio.sleep(3 * QUICK["inbox_grace_s"])
        await documents(plant, ("m.pdf", "ready"))
        inbox(plant).rmdir()
        away.rename(inbox(plant))
        await until(_reason(context), lambda text: text == "")


async def test_a_mount_point_that_was_marked_before_the_share_came_is_not_taken_for_it(
    plant: Plant,
) -> None:
    point, share = plant.folder / "point", plant.folder / "share"
    async with plant.retriever():
        async with plant.ingest():
            await watching(plant)
        inbox(plant).rename(point)
        inbox(plant).mkdir()  # mounted
        async with plant.ingest():
            await watching(plant)
            manual(inbox(plant))
            await documents(plant, ("m.pdf", "ready"))
        inbox(plant).rename(share)
        point.rename(inbox(plant))  # and away
        async with plant.ingest() as context:
            await until(_reason(context), lambda text: "is it mounted?" in text)
            await asyncio.sleep(3 * QUICK["inbox_grace_s"])
            await documents(plant, ("m.pdf", "ready"))
            # A person says that this is the inbox from now on.
            (inbox(plant) / MARK).write_text((share / MARK).read_text())
            await documents(plant)


async def test_a_share_below_the_inbox_that_goes_takes_nothing_away(plant: Plant) -> None:
    shared, away = inbox(plant) / "shared", plant.folder / "away"
    async with plant.retriever(), plant.ingest() as context:
        await watching(plant)
        for name in ("a", "b"):
            manual(shared, f"cause {name}", name=f"{name}.pdf")
        both = [("shared/a.pdf", "ready"), ("shared/b.pdf", "ready")]
        await documents(plant, *both)
        shared.rename(away)
        shared.mkdir()
        await until(_reason(context), lambda text: "shared: all its files went at once" in text)
        await asyncio.sleep(3 * QUICK["inbox_grace_s"])
        found = await documents(plant, *both)
        await plant.remove(found["shared/a.pdf"].doc_id)
        shared.rmdir()
        away.rename(shared)
        await until(_reason(context), lambda text: text == "")
        shared.rename(plant.folder / "gone")
        await documents(plant)


async def test_one_name_in_two_forms_is_one_document_of_the_first(plant: Plant) -> None:
    composed, apart = (unicodedata.normalize(form, "Übersicht.pdf") for form in ("NFC", "NFD"))
    async with plant.retriever(), plant.ingest() as context:
        await watching(plant)
        manual(inbox(plant), "one", name=composed)
        await documents(plant, (composed, "ready"))
        manual(inbox(plant), "two", name=apart)
        await until(_reason(context), lambda text: "the same name in other letters" in text)
        [state] = await plant.documents()
        assert state.revision == 1
        (inbox(plant) / composed).unlink()
        await until(lambda: plant.search("E005"), lambda f: _causes(f) == ["two"])
        await until(_reason(context), lambda text: text == "")
        # Written otherwise by whoever copies the folder, it is the same document.
        [before] = await plant.documents()
        (inbox(plant) / apart).rename(inbox(plant) / composed)
        await asyncio.sleep(3 * QUICK["inbox_grace_s"])
        [after] = await plant.documents()
        assert (after.doc_id, after.revision) == (before.doc_id, before.revision)


def _causes(found: Any) -> list[str]:
    return [hit.passage.fields[1].value for hit in found.hits]


async def test_a_file_of_the_inbox_takes_no_document_along_that_somebody_added(
    plant: Plant, tmp_path: Path
) -> None:
    async with plant.retriever(), plant.ingest():
        await watching(plant)
        await plant.add(manual(tmp_path / "other", "one"))
        await documents(plant, ("m.pdf", "ready"))
        path = manual(inbox(plant), "two")
        await until(plant.documents, lambda f: (f[0].revision, f[0].state) == (2, "ready"))
        path.unlink()
        manual(inbox(plant), "three", name="n.pdf")
        await asyncio.sleep(3 * QUICK["inbox_grace_s"])
        await documents(plant, ("m.pdf", "ready"), ("n.pdf", "ready"))


async def test_one_that_people_removed_stays_removed_until_its_file_changes(plant: Plant) -> None:
    async with plant.retriever():
        async with plant.ingest():
            await watching(plant)
            manual(inbox(plant))
            state = (await documents(plant, ("m.pdf", "ready")))["m.pdf"]
            await plant.remove(state.doc_id)
        async with plant.ingest():
            manual(inbox(plant), "two", name="n.pdf")
            await documents(plant, ("n.pdf", "ready"))
            manual(inbox(plant), "three")
            await documents(plant, ("m.pdf", "ready"), ("n.pdf", "ready"))


def test_a_scan_sees_files_and_no_links_and_tells_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    (tmp_path / "a" / "m.pdf").write_bytes(b"x")
    (tmp_path / "a" / ".hidden" / "m.pdf").write_bytes(b"x")
    (tmp_path / "link.pdf").symlink_to(tmp_path / "a" / "m.pdf")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / os.fsdecode("手册.txt".encode("gb18030"))).write_bytes(b"x")
    seen = scan(tmp_path)
    assert set(seen.files) == {"a/m.pdf", os.fsdecode("手册.txt".encode("gb18030"))}
    assert seen.unreadable == {}
    gone = scan(tmp_path / "nowhere")
    assert (gone.files, gone.hides("a/m.pdf")) == ({}, True)


def test_a_file_that_goes_while_we_look_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        (tmp_path / name).write_bytes(b"x")
    entries = scan_module._entries

    def while_somebody_deletes(folder: Path) -> Iterator[os.DirEntry[str]]:
        for number, entry in enumerate(list(entries(folder))):
            if number == 1:
                Path(entry.path).unlink()
            yield entry

    monkeypatch.setattr(scan_module, "_entries", while_somebody_deletes)
    assert len(scan(tmp_path).files) == 3


def test_who_writes_a_file_is_known_on_a_disk_of_our_own(tmp_path: Path) -> None:
    path = tmp_path / "m.pdf"
    with path.open("wb") as file:
        file.write(b"x")
        assert written_now(path) is True
    assert written_now(path) is False
    assert written_now(tmp_path / "nothing") is None
    assert look_at(path).size == 1  # type: ignore[union-attr]
    assert look_at(tmp_path / "nothing") is None
