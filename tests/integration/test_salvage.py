"""Damaged files: what is seen, what is set aside, what is recovered."""

# ruff: noqa: ASYNC240  (nothing else runs in these loops)
from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.runtime.errors import Damaged, Fatal, Retryable
from services.runtime.process import Health
from services.runtime.recovery import recover
from services.runtime.salvage import KEPT_ASIDE, Plan, mend, watch
from services.runtime.sqlite import open_database
from tests.support.damage import PAGE, is_sound, overwrite, seed_of

pytestmark = pytest.mark.integration

SCHEMA = """
CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE place (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
"""
ROWS = 3000
SOON_S = 60.0
SEED = seed_of("ANDON_SALVAGE_SEED", 7)


def plan(**options: object) -> Plan:
    return Plan(migrations=(SCHEMA,), consequence="some notes are gone", **options)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "notes.db"
    with closing(sqlite3.connect(made)) as db:
        db.executescript(f"PRAGMA journal_mode=WAL; {SCHEMA} PRAGMA user_version=1;")
        db.executemany(
            "INSERT INTO note (text) VALUES (?)", [(f"{n} " + "x" * 200,) for n in range(ROWS)]
        )
        db.executemany(
            "INSERT INTO place VALUES (?, ?)", [(f"hall/{n}", "y" * 200) for n in range(ROWS)]
        )
        db.commit()
    return made


def counts(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as db:
        (notes,) = db.execute("SELECT count(*) FROM note").fetchone()
        (places,) = db.execute("SELECT count(*) FROM place").fetchone()
    return notes, places


async def test_a_sound_file_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    health = Health()
    assert await mend(path, plan(recover=True), health) is None
    assert await mend(path.with_name("none.db"), plan(recover=True), health) is None
    assert path.read_bytes() == before
    assert health.reason == ""


@pytest.mark.parametrize("seed", range(SEED, SEED + 6))
async def test_rows_beside_the_damage_go_on(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    pages = path.stat().st_size // PAGE
    # Not the first five: in so small a file one of them leads to all others.
    with path.open("r+b") as file:
        for number in chance.sample(range(5, pages), 4):
            file.seek(number * PAGE)
            file.write(chance.randbytes(PAGE))
    damaged = path.read_bytes()
    health = Health()
    salvage = await mend(path, plan(recover=True), health)
    assert salvage is not None
    assert salvage.aside.read_bytes() == damaged
    assert is_sound(path)
    notes, places = counts(path)
    assert salvage.kept == {"note": notes, "place": places}
    assert notes + places < 2 * ROWS
    # Some 18 rows are on a page; two pages beside each other share none.
    assert notes >= ROWS - 4 * 25
    assert places >= ROWS - 4 * 60
    assert "notes.db was damaged" in health.reason
    assert str(salvage.aside) in health.reason
    assert "some notes are gone" in health.reason


async def test_a_first_page_of_nulls_costs_nothing_else(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(PAGE))
    assert await mend(path, plan(recover=True), Health()) is not None
    assert counts(path) == (ROWS, ROWS)


@pytest.mark.parametrize("left", [2, 5, 9, 13, 14])
async def test_of_a_file_cut_off_the_pages_that_are_left_go_on(tmp_path: Path, left: int) -> None:
    """As after a power cut, or on a full card: even the first pages of some tables are gone."""
    path = tmp_path / "many.db"
    names = [f"t{number}" for number in range(14)]
    schema = "".join(f"CREATE TABLE {one} (id INTEGER PRIMARY KEY, n);" for one in names)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA journal_mode=WAL; {schema} PRAGMA user_version=1;")
        for one in names:
            db.execute(f"INSERT INTO {one} VALUES (7, 'row')")  # noqa: S608
        db.commit()
    os.truncate(path, left * PAGE)
    rules = Plan(migrations=(schema,), recover=True, consequence="some are gone")
    salvage = await mend(path, rules, Health())
    assert salvage is not None
    assert is_sound(path)
    # The first page is the schema's, each of the others a table's.
    assert [salvage.kept[one] for one in names] == [n < left - 1 for n in range(14)]


async def test_rows_between_two_lost_ends_are_found(tmp_path: Path) -> None:
    """Numbers in use lie far from zero after years, and far from the largest there can be."""
    path = tmp_path / "notes.db"
    begin = 7_000_000
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA journal_mode=WAL; {SCHEMA} PRAGMA user_version=1;")
        db.executemany(
            "INSERT INTO note VALUES (?, ?)",
            [(begin + n, f"{n} " + "x" * 200) for n in range(ROWS)],
        )
        db.commit()
    pages = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        for number in (pages - 40, pages - 1):
            file.seek(number * PAGE)
            file.write(bytes(PAGE))
    salvage = await mend(path, plan(recover=True), Health())
    assert salvage is not None
    assert salvage.kept["note"] >= ROWS - 2 * 25


async def test_it_says_so_while_it_repairs_and_tidies_up_after_one_that_was_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = path.with_name(".notes.db-abcd1234")
    left.mkdir()
    (left / "notes.db").write_bytes(b"a copy")
    overwrite(path, random.Random(SEED), 1, head=True)
    health = Health()
    hold = threading.Event()

    def slow(*given: Any, **named: Any) -> dict[str, int]:
        assert hold.wait(SOON_S)
        return recover(*given, **named)

    monkeypatch.setattr("services.runtime.salvage.recover", slow)
    task = asyncio.create_task(mend(path, plan(recover=True), health))
    async with asyncio.timeout(SOON_S):
        await health.changed.wait()
    assert health.reason.startswith("notes.db is damaged (")
    assert health.reason.endswith("and is being repaired")
    assert not left.exists()
    hold.set()
    assert await task is not None
    assert "notes.db was damaged" in health.reason


async def test_what_may_be_missing_is_told_at_later_starts_too(path: Path) -> None:
    overwrite(path, random.Random(SEED), 1, head=True)
    salvage = await mend(path, plan(recover=True), Health())
    assert salvage is not None
    later = Health()
    assert await mend(path, plan(recover=True), later) is None
    assert str(salvage.aside) in later.reason
    note = Path(f"{salvage.aside}.txt")
    os.utime(note, (0, 0))
    assert await mend(path, plan(recover=True), old := Health()) is None
    assert old.reason == ""
    os.utime(note)
    salvage.aside.rename(path.with_name("taken to the office"))
    assert await mend(path, plan(recover=True), gone := Health()) is None
    assert gone.reason == ""


@pytest.mark.parametrize("damaged", [False, True])
async def test_what_a_newer_andon_wrote_is_left_alone(path: Path, damaged: bool) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=2")
    if damaged:
        with path.open("r+b") as file:
            file.seek(20 * PAGE)
            file.write(bytes(PAGE))
    before = path.read_bytes()
    rules = plan(recover=True, readable={"SELECT text FROM note": msgspec.json.decode})
    with pytest.raises(Fatal, match="install the newer Andon"):
        await mend(path, rules, Health())
    assert path.read_bytes() == before


async def test_what_is_only_in_the_wal_goes_on(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO note VALUES (9999, 'new')")
        db.commit()
        there = {ending: Path(f"{path}{ending}").read_bytes() for ending in ("", "-wal")}
    for ending, data in there.items():
        Path(f"{path}{ending}").write_bytes(data)
    with path.open("r+b") as file:
        file.seek(20 * PAGE)
        file.write(bytes(PAGE))
    salvage = await mend(path, plan(recover=True), Health())
    assert salvage is not None
    assert Path(f"{salvage.aside}-wal").read_bytes() == there["-wal"]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT text FROM note WHERE id = 9999").fetchall() == [("new",)]


async def test_a_file_that_can_be_made_again_is_begun_anew(path: Path) -> None:
    overwrite(path, random.Random(SEED), 1, head=True)
    salvage = await mend(path, plan(recover=False), Health())
    assert salvage is not None
    assert not path.exists()
    assert salvage.kept == {}


async def test_rows_that_make_no_sense_are_left_out_and_others_mended(path: Path) -> None:
    overwrite(path, random.Random(SEED), 1, head=True)
    rules = plan(
        recover=True,
        keep={"note": lambda row: row["text"].startswith("1")},
        mend="INSERT INTO place VALUES ('added', '')",
    )
    assert await mend(path, rules, Health()) is not None
    notes, places = counts(path)
    assert (notes, places) == (sum(str(n).startswith("1") for n in range(ROWS)), ROWS + 1)


async def test_damage_met_at_work_ends_the_service_and_its_next_start_mends(path: Path) -> None:
    health = Health()
    pages = path.stat().st_size // PAGE
    database = await open_database(path, (SCHEMA,), synchronous="FULL")
    try:
        with path.open("r+b") as file:
            for number in range(pages // 2, pages):
                file.seek(number * PAGE)
                file.write(b"\xff" * PAGE)
        with pytest.raises(Damaged):
            await database.fetch("SELECT * FROM place")
        with pytest.raises(Damaged, match="malformed"):
            await watch(database)
    finally:
        await database.close()
    assert await mend(path, plan(recover=True), health) is not None
    assert is_sound(path)
    assert await mend(path, plan(recover=True), Health()) is None


async def test_a_power_cut_between_the_renames_is_finished(path: Path) -> None:
    fresh = path.with_name("notes.db.salvaged")
    fresh.write_bytes(path.read_bytes())
    overwrite(path, random.Random(SEED), 9, head=True)
    salvage = await mend(path, plan(recover=True), Health())
    assert salvage is not None
    assert counts(path) == (ROWS, ROWS)
    assert salvage.aside.exists()


async def test_files_set_aside_do_not_fill_the_disk(path: Path) -> None:
    good = path.read_bytes()
    asides = []
    for seed in range(KEPT_ASIDE + 2):
        path.write_bytes(good)
        overwrite(path, random.Random(seed), 1, head=True)
        salvage = await mend(path, plan(recover=False), Health())
        assert salvage is not None
        asides.append(salvage.aside)
    assert [one.exists() for one in asides] == [False] * 2 + [True] * KEPT_ASIDE


async def test_a_disk_without_room_leaves_the_file_where_it_is(path: Path) -> None:
    import resource

    overwrite(path, random.Random(SEED), 1, head=True)
    damaged = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(Retryable, match=r"recover notes\.db.*disk of"):
            await mend(path, plan(recover=True), Health())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == damaged
    assert [p.name for p in path.parent.iterdir()] == ["notes.db"]
