"""Files of SQLite: migrations, transactions that are whole, readers that see what is committed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.errors import Fatal, Retryable
from services.runtime.sqlite import Database, open_database, queries

pytestmark = pytest.mark.integration

FIRST = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
SECOND = "ALTER TABLE note ADD COLUMN lang TEXT NOT NULL DEFAULT 'en'"  # and no semicolon


@contextlib.asynccontextmanager
async def opened(path: Path, *migrations: str) -> AsyncIterator[Database]:
    database = await open_database(path, migrations or (FIRST,), synchronous="NORMAL")
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path / "notes.db") as found:
        yield found


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive(), f"{thread.name} is left"


async def write(database: Database, text: str) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO note (text) VALUES (?)", (text,))


async def texts(database: Database) -> list[str]:
    return [row["text"] for row in await database.fetch("SELECT text FROM note ORDER BY id")]


async def test_migrations_go_forward_once(tmp_path: Path) -> None:
    path = tmp_path / "made" / "notes.db"
    async with opened(path, FIRST) as database:
        await write(database, "old")
    for _ in range(2):
        async with opened(path, FIRST, SECOND) as database:
            row = await database.first("SELECT text, lang FROM note")
            assert row is not None
            assert tuple(row) == ("old", "en")
            version = await database.first("PRAGMA user_version")
            assert version is not None
            assert version[0] == 2


async def test_failed_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with opened(path, FIRST) as database:
        await write(database, "kept")
    with pytest.raises(Fatal, match="syntax error"):
        await open_database(path, (FIRST, f"{SECOND}; CREATE TABEL x;"), synchronous="FULL")
    async with opened(path, FIRST) as database:
        columns = await database.fetch("PRAGMA table_info(note)")
        assert [row["name"] for row in columns] == ["id", "text"]
        assert await texts(database) == ["kept"]


async def test_file_of_a_newer_andon_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with opened(path, FIRST, SECOND):
        pass
    before = path.read_bytes()
    with pytest.raises(Fatal, match=r"version 2, this Andon knows 1.*newer Andon"):
        await open_database(path, (FIRST,), synchronous="FULL")
    assert path.read_bytes() == before


async def test_file_that_is_none_of_sqlites_is_fatal(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"\0" * 8192)
    with pytest.raises(Fatal, match=r"notes\.db.*not a database.*aside"):
        await open_database(path, (FIRST,), synchronous="FULL")
    assert path.read_bytes() == b"\0" * 8192


async def test_damaged_page_is_fatal(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with opened(path) as database:
        for number in range(50):
            await write(database, f"{number}" * 500)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    async with opened(path) as database:
        with pytest.raises(Fatal, match=r"read notes\.db.*malformed.*damaged"):
            await texts(database)
        with pytest.raises(Fatal, match=r"write notes\.db.*malformed"):
            await write(database, "x")


async def test_folder_that_cannot_be_made_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Fatal, match="look at the owner"):
        await open_database(tmp_path / "file" / "notes.db", (FIRST,), synchronous="FULL")
    (tmp_path / "notes.db").mkdir()
    with pytest.raises(Fatal, match="unable to open"):
        await open_database(tmp_path / "notes.db", (FIRST,), synchronous="FULL")


async def test_settings_that_promises_rest_on(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "a.db", (FIRST,), synchronous="FULL")
    try:
        for pragma, value in {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}.items():
            async with database.transaction() as writer:
                cursor = await writer.execute(f"PRAGMA {pragma}")
                assert tuple(await cursor.fetchone() or ()) == (value,)
            row = await database.first(f"PRAGMA {pragma}")
            assert row is not None
            assert row[0] == value
    finally:
        await database.close()


async def test_reader_sees_only_what_is_committed(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO note (text) VALUES ('a')")
        assert await texts(database) == []
    assert await texts(database) == ["a"]
    assert await database.first("SELECT 1 FROM note WHERE id = ?", (99,)) is None


async def test_reader_cannot_write(database: Database) -> None:
    with pytest.raises(Retryable, match="readonly"):
        await database.fetch("INSERT INTO note (text) VALUES ('a') RETURNING id")
    assert await texts(database) == []


async def test_own_commit_is_seen_however_many_read(database: Database) -> None:
    async def reads() -> None:
        for _ in range(60):
            await database.fetch("SELECT text FROM note")

    async def writes(name: str) -> None:
        for number in range(20):
            await write(database, f"{name}{number}")
            found = await database.first("SELECT 1 FROM note WHERE text = ?", (f"{name}{number}",))
            assert found is not None, "what was committed before the query began"

    async with asyncio.TaskGroup() as tasks:
        for name in "abcd":
            tasks.create_task(reads())
            tasks.create_task(writes(name))


async def test_error_in_a_transaction_rolls_back(database: Database) -> None:
    async def fails() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO note (text) VALUES ('a')")
            raise LookupError("of the caller")

    with pytest.raises(LookupError, match="of the caller"):
        await fails()
    await write(database, "b")
    assert await texts(database) == ["b"]


async def test_mistake_in_a_statement_is_not_called_retryable(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO nota (text) VALUES ('a')")
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO note (text) VALUES (NULL)")
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        await database.fetch("SELECT words FROM note")
    await write(database, "still works")


async def test_cancelled_transaction_rolls_back(database: Database) -> None:
    inside = asyncio.Event()

    async def waits() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO note (text) VALUES ('a')")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await write(database, "b")
    assert await texts(database) == ["b"]


async def test_cancelled_at_any_step_the_next_transaction_is_sound(database: Database) -> None:
    kept = []
    for turns in range(40):
        task = asyncio.create_task(write(database, f"cancelled {turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        task.cancel()
        await asyncio.wait([task])
        await write(database, f"kept {turns}")
        kept.append(f"kept {turns}")
    found = await texts(database)
    assert [text for text in found if text.startswith("kept")] == kept


async def test_commit_is_not_cut_by_cancelling(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    commit = database._writer.commit

    async def slow_commit() -> None:
        begun.set()
        await go.wait()
        await commit()

    monkeypatch.setattr(database._writer, "commit", slow_commit)
    task = asyncio.create_task(write(database, "a"))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    other = asyncio.create_task(write(database, "b"))
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await other
    assert await texts(database) == ["a", "b"]


async def test_full_disk_is_retryable_and_writes_nothing(database: Database) -> None:
    await write(database, "before")
    async with database.transaction() as connection:
        await connection.execute("PRAGMA max_page_count = 4")

    async def fills() -> None:
        async with database.transaction() as connection:
            for _ in range(100):
                await connection.execute("INSERT INTO note (text) VALUES (?)", ("x" * 1000,))

    with pytest.raises(Retryable, match=r"write notes\.db.*full.*look at the disk"):
        await fills()
    assert await texts(database) == ["before"]
    async with database.transaction() as connection:
        await connection.execute("PRAGMA max_page_count = 1000")
    await fills()
    assert len(await texts(database)) == 101


async def test_other_process_that_holds_the_file_is_retryable(
    tmp_path: Path, database: Database
) -> None:
    async with database.transaction() as connection:
        await connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Retryable, match="locked"):
            await write(database, "a")
        other.execute("COMMIT")
    finally:
        other.close()
    await write(database, "b")
    assert await texts(database) == ["b"]


async def test_writers_take_turns(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO note (id, text) VALUES (1, '0')")

    async def counts() -> None:
        async with database.transaction() as connection:
            cursor = await connection.execute("SELECT text FROM note WHERE id = 1")
            (text,) = await cursor.fetchone() or ("",)
            await asyncio.sleep(0)
            await connection.execute("UPDATE note SET text = ? WHERE id = 1", (str(int(text) + 1),))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(25):
            tasks.create_task(counts())
    assert await texts(database) == ["25"]


async def test_close_folds_the_wal_in(tmp_path: Path) -> None:
    async with opened(tmp_path / "notes.db") as database:
        await write(database, "a")
        assert (tmp_path / "notes.db-wal").stat().st_size > 0
    assert not (tmp_path / "notes.db-wal").exists()


def test_queries_are_named(tmp_path: Path) -> None:
    path = tmp_path / "q.sql"
    path.write_text(
        "-- what this file is\n\n-- name: one: counts\nSELECT 1\n-- a comment\nFROM x;\n\n"
        "-- name: two\nSELECT '-- name: x';\n",
        encoding="utf-8",
    )
    assert queries(path) == {
        "one": "SELECT 1\n-- a comment\nFROM x;",
        "two": "SELECT '-- name: x';",
    }


@pytest.mark.parametrize(
    "text",
    [
        "-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n",
        "-- name: a\n-- nothing\n-- name: b\nSELECT 2;\n",
        "SELECT 0;\n-- name: a\nSELECT 1;\n",
    ],
)
def test_queries_that_would_be_lost_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "q.sql"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"q\.sql"):
        queries(path)


STATEMENTS = st.text("SELECT 1;\n", min_size=1).map(str.strip).filter(bool)


@given(st.dictionaries(st.from_regex(r"\A[a-z_]+\Z"), STATEMENTS))
def test_queries_come_back(tmp_path_factory: pytest.TempPathFactory, named: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("sql") / "q.sql"
    text = "".join(f"-- name: {name}: why\n{sql}\n" for name, sql in named.items())
    path.write_text(text, encoding="utf-8")
    assert queries(path) == named
