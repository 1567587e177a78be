"""aiosqlite opened right: WAL, transactions that begin by writing, migrations with a version."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiosqlite

from services.runtime.errors import Fatal, Retryable

Row = sqlite3.Row


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
        self.path = path

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Write in one transaction: all of it is kept or none.

        The commit is shielded: a task that is cancelled meanwhile does not cut it in half.

        Raises:
            Retryable: the disk is full, read-only or failing; nothing was written.
        """
        async with self._writing:
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except BaseException:
                    await asyncio.shield(self._writer.rollback())
                    raise
                await asyncio.shield(self._writer.commit())
            except sqlite3.OperationalError as error:
                if self._writer.in_transaction:
                    await asyncio.shield(self._writer.rollback())
                raise Retryable(
                    f"write {self.path.name}", str(error), f"look at the disk of {self.path.parent}"
                ) from error

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query, as last committed."""
        async with self._reader.execute(sql, parameters) as cursor:
            return list(await cursor.fetchall())

    async def first(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query, as last committed; None where there is none."""
        async with self._reader.execute(sql, parameters) as cursor:
            return await cursor.fetchone()

    async def close(self) -> None:
        """Close the file; the WAL is folded in."""
        await self._reader.close()
        await self._writer.close()


async def open_database(
    path: Path,
    migrations: Sequence[str],
    *,
    synchronous: Literal["FULL", "NORMAL"],
    cache_kb: int = 2048,
) -> Database:
    """Open a file, creating or migrating it.

    Args:
        path: the file; its folder is made.
        migrations: scripts, oldest first; `PRAGMA user_version` counts those that were applied.
        synchronous: FULL where a commit is a promise, NORMAL for what can be rebuilt.
        cache_kb: page cache, KiB.

    Raises:
        Fatal: the file cannot be opened, is damaged, or was written by a newer Andon.
    """
    opened: list[aiosqlite.Connection] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = await _connect(path, synchronous, cache_kb, opened)
        await _migrate(writer, path, migrations)
        reader = await _connect(path, synchronous, cache_kb, opened)
        await reader.execute("PRAGMA query_only=ON")
    except BaseException as error:
        for connection in opened:
            await connection.close()
        if isinstance(error, sqlite3.DatabaseError | OSError):
            raise Fatal(
                f"open {path}",
                str(error),
                "look at the folder's owner and the disk; a damaged file must be set aside",
            ) from error
        raise
    return Database(writer, reader, path)


async def _connect(
    path: Path, synchronous: str, cache_kb: int, opened: list[aiosqlite.Connection]
) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    opened.append(connection)
    connection.row_factory = sqlite3.Row
    for pragma in (
        "busy_timeout=5000",
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        f"cache_size=-{cache_kb}",
        "temp_store=MEMORY",
    ):
        await connection.execute(f"PRAGMA {pragma}")
    return connection


async def _migrate(connection: aiosqlite.Connection, path: Path, migrations: Sequence[str]) -> None:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    version = row[0] if row else 0
    if version > len(migrations):
        raise Fatal(
            f"open {path}",
            f"its schema is version {version}, this Andon knows {len(migrations)}",
            "install the newer Andon that wrote it",
        )
    for number, script in enumerate(migrations[version:], start=version + 1):
        # executescript commits a pending transaction first, so the script carries its own.
        await connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version={number};\nCOMMIT;"
        )


_NAMED = re.compile(r"^-- name: (\w+)[^\n]*\n", re.MULTILINE)


def queries(path: Path) -> dict[str, str]:
    """Return the statements of a .sql file, each under the name in its `-- name:` line.

    Each statement begins with `-- name: a_name: what it is for`.
    """
    parts = _NAMED.split(path.read_text(encoding="utf-8"))[1:]
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
