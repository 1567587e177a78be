"""aiosqlite opened right: WAL, transactions that begin by writing, migrations with a version."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiosqlite

from services.runtime.commits import Change, Commits, finish
from services.runtime.errors import AndonError, Damaged, Fatal, Retryable

Row = sqlite3.Row
T = TypeVar("T")


class Database:
    """One file, one connection that writes and one that reads.

    Two, so that a reader never sees what is not committed yet and never waits for a writer.
    Both are opened once: cancelling a task while aiosqlite connects leaks its thread.
    """

    def __init__(
        self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, path: Path
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._writing = asyncio.Lock()
        commits = Commits(self._writing, self._together)
        self.write, self.later, self.flush = commits.write, commits.later, commits.flush
        self.path = path
        self.damaged: asyncio.Future[Damaged] = asyncio.get_running_loop().create_future()
        """Done with the first error that says that the file is damaged."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Write in one transaction: all of it is kept or none.

        A task that is cancelled meanwhile waits for the step at work, so that a commit is not
        cut in half and the next transaction does not begin inside this one.

        Raises:
            Retryable: the disk is full, read-only or failing; nothing was written.
            Damaged: the file is damaged.
        """
        async with self._writing:
            try:
                await finish(self._writer.execute("BEGIN IMMEDIATE"))
                yield self._writer
                await finish(self._writer.commit())
            except BaseException as error:
                # Does nothing where SQLite has rolled back by itself, as it may on a full disk.
                await finish(self._writer.rollback())
                if failure := self._failure(error, "write"):
                    raise failure from error
                raise

    async def _together(self, changes: Sequence[Change]) -> list[Any]:
        """Carry out changes in one transaction, in one step of the thread; raises as it does."""
        writer = self._writer
        try:
            # aiosqlite makes a step of each statement, which costs more than the statement.
            execute: Callable[..., Awaitable[list[Any]]] = writer._execute  # noqa: SLF001
            return await execute(_transact, writer._conn, changes)  # noqa: SLF001
        except sqlite3.Error as error:
            if failure := self._failure(error, "write"):
                raise failure from error
            raise

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query, as last committed.

        Raises:
            Retryable: the disk is failing.
            Damaged: the file is damaged.
        """
        try:
            # In one step of the reader's thread: a query begun and not yet read to its end would
            # hold the others to what was committed when it began.
            return list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.Error as error:
            if failure := self._failure(error, "read"):
                raise failure from error
            raise

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a function finds out, in one step of the reader's thread.

        For several statements: a step costs more than a small one. Raises as `fetch`.
        """
        reader = self._reader
        try:
            execute: Callable[..., Awaitable[T]] = reader._execute  # noqa: SLF001
            return await execute(question, reader._conn)  # noqa: SLF001
        except sqlite3.Error as error:
            if failure := self._failure(error, "read"):
                raise failure from error
            raise

    async def first(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query, as `fetch`; None where there is none.

        All rows are read: ask by a key or with LIMIT 1.
        """
        rows = await self.fetch(sql, parameters)
        return rows[0] if rows else None

    async def checkpoint(self, mode: Literal["PASSIVE", "TRUNCATE"] = "PASSIVE") -> None:
        """Fold the WAL into the file; TRUNCATE also makes it empty, and waits for readers.

        Raises:
            Retryable: the disk is full, read-only or failing; nothing is lost.
            Damaged: the file is damaged.
        """
        await self._pragma(f"wal_checkpoint({mode})")

    def wal_bytes(self) -> int:
        """Return the size of the WAL."""
        wal = self.path.with_name(f"{self.path.name}-wal")
        return wal.stat().st_size if wal.exists() else 0

    async def shrink(self, pages: int) -> int:
        """Give up to `pages` empty pages back to the disk; return how many are left.

        Does nothing to a file that was not made with `sparing`. Raises as `transaction`.
        """
        await self._pragma(f"incremental_vacuum({pages})")
        left = await self.first(
            "SELECT freelist_count AS left, (SELECT auto_vacuum FROM pragma_auto_vacuum) AS able"
            " FROM pragma_freelist_count"
        )
        return left["left"] if left and left["able"] else 0

    async def _pragma(self, text: str) -> None:
        """Run a pragma that is a transaction of its own, to its end."""
        async with self._writing:
            try:
                # As a script: Python ends a statement that has no columns after its first row,
                # and incremental_vacuum gives one for each page.
                await finish(self._writer.executescript(f"PRAGMA {text};"))
            except sqlite3.Error as error:
                if failure := self._failure(error, "keep small"):
                    raise failure from error
                raise

    def _failure(self, error: BaseException, verb: str) -> AndonError | None:
        failure = _failure(error, verb, self.path)
        if isinstance(failure, Damaged) and not self.damaged.done():
            self.damaged.set_result(failure)
        return failure

    async def close(self) -> None:
        """Close the file; the WAL is folded in."""
        await finish(self._reader.close())
        await finish(self._writer.close())


def _transact(db: sqlite3.Connection, changes: Sequence[Change]) -> list[Any]:
    try:
        db.execute("BEGIN IMMEDIATE")
        results = [change(db) for change in changes]
        db.commit()
    except BaseException:
        db.rollback()
        raise
    return results


_PASSES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _failure(error: BaseException, verb: str, path: Path) -> AndonError | None:
    """Return what a failure of the disk or the file is called here; None for anything else.

    A statement that is wrong is a mistake of ours: it must not be tried again and again.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells the kind of the kind
    if code in _PASSES:
        return Retryable(f"{verb} {path.name}", str(error), f"look at the disk of {path.parent}")
    if code in _DAMAGED:
        return Damaged(f"{verb} {path.name}", str(error), f"set {path} aside: it is damaged")
    return None


async def open_database(
    path: Path,
    migrations: Sequence[str],
    *,
    synchronous: Literal["FULL", "NORMAL"],
    cache_kb: int = 2048,
    sparing: bool = False,
) -> Database:
    """Open a file, creating or migrating it.

    Args:
        path: the file; its folder is made.
        migrations: scripts, oldest first; `PRAGMA user_version` counts those that were applied.
        synchronous: FULL where a commit is a promise, NORMAL for what can be rebuilt.
        cache_kb: page cache, KiB.
        sparing: whether a new file spares the disk: a commit writes whole pages, so they are
            small, and what was deleted can be given back, see `Database.shrink`.

    Raises:
        Retryable: the disk is full, or another process holds the file.
        Damaged: the file is damaged; see `services.runtime.salvage`.
        Fatal: the file cannot be opened, or was written by a newer Andon.
    """
    opened: list[aiosqlite.Connection] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # When aiosqlite fails to connect nobody waits for its thread: see first whether it would.
        sqlite3.connect(path).close()
        writer = await _connect(path, synchronous, cache_kb, opened, sparing=sparing)
        await _migrate(writer, path, migrations)
        reader = await _connect(path, synchronous, cache_kb, opened)
        await reader.execute("PRAGMA query_only=ON")
    except BaseException as error:
        for connection in opened:
            await finish(connection.close())
        if isinstance(error, sqlite3.Error | OSError):
            raise _not_opened(error, path) from error
        raise
    return Database(writer, reader, path)


def _not_opened(error: sqlite3.Error | OSError, path: Path) -> AndonError:
    failure = _failure(error, "open", path)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if failure and code not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
        return failure
    if path.parent.is_dir() and os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return Retryable(
            f"open {path.name}",
            f"the disk of {path.parent} is read-only",
            "after an error a disk may be mounted so: look at the system's log",
        )
    # Waiting repairs none of these: the folder is a file, or somebody else's, or a migration fails.
    hint = "" if code == sqlite3.SQLITE_ERROR else f"look at the owner and the rights of {path}"
    return Fatal(f"open {path.name}", str(error), hint)


SPARING = ("page_size=2048", "auto_vacuum=INCREMENTAL")
"""Pragmas of a new file that spares the disk. Half the usual page: a quarter writes less still,
but a bad block of 4 KiB at the head would then take the roots of tables along."""
_CHECKPOINT_BYTES = 4 * 1024 * 1024
_WAL_BYTES = 8 * 1024 * 1024  # a WAL that grew past it is cut back when it starts over


async def _connect(
    path: Path,
    synchronous: str,
    cache_kb: int,
    opened: list[aiosqlite.Connection],
    *,
    sparing: bool = False,
) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    opened.append(connection)
    connection.row_factory = sqlite3.Row
    for pragma in (
        "busy_timeout=5000",
        # Before anything is written, and that is the journal mode already.
        *(SPARING if sparing else ()),
        "journal_mode=WAL",
        f"journal_size_limit={_WAL_BYTES}",
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        # What is deleted is overwritten: Debian's default, and a promise where documents go.
        "secure_delete=ON",
        f"cache_size=-{cache_kb}",
        "temp_store=MEMORY",
    ):
        await connection.execute(f"PRAGMA {pragma}")
    (size,) = await connection.execute_fetchall("PRAGMA page_size")
    await connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_BYTES // size[0]}")
    (mode,) = await connection.execute_fetchall("PRAGMA journal_mode")
    if mode[0] != "wal":
        raise Fatal(
            f"open {path.name}",
            f"{path.parent} does not allow write-ahead logging",
            "put the data folder on a local disk",
        )
    return connection


async def _migrate(connection: aiosqlite.Connection, path: Path, migrations: Sequence[str]) -> None:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    version = row[0] if row else 0
    if version > len(migrations):
        raise Fatal(
            f"open {path.name}",
            f"its schema is version {version}, this Andon knows {len(migrations)}",
            "install the newer Andon that wrote it",
        )
    for number, script in enumerate(migrations[version:], start=version + 1):
        # executescript commits a pending transaction first, so the script carries its own.
        await connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version={number};\nCOMMIT;"
        )


_COMMENT = re.compile(r"--[^\n]*")
_NAMED = re.compile(r"^-- name: (\w+)[^\n]*\n", re.MULTILINE)


def queries(path: Path) -> dict[str, str]:
    """Return the statements of a .sql file, each under the name in its `-- name:` line.

    Each statement begins with `-- name: a_name: what it is for`; before the first there may be
    comments.

    Raises:
        ValueError: a name stands twice, has no statement, or a statement has no name.
    """
    head, *parts = _NAMED.split(path.read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        if name in found or not _COMMENT.sub("", text).strip():
            raise ValueError(f"{path}: {name} stands twice or has no statement")
        found[name] = text.strip()
    if _COMMENT.sub("", head).strip():
        raise ValueError(f"{path}: the first statement has no name")
    return found
