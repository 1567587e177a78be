"""The statements of corpus.sql, and what runs them inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from services.runtime.sqlite import Row, queries

Q = queries(Path(__file__).with_name("corpus.sql"))
"""Statements by name."""
MIGRATIONS = (Q["schema"], *(Q[f"schema_{version}"] for version in range(2, 7)))
"""What makes the tables, oldest first."""


async def all_of(db: aiosqlite.Connection, sql: str, parameters: Sequence[object]) -> list[Row]:
    """Return all rows of a statement, run inside a transaction."""
    async with db.execute(sql, parameters) as cursor:
        return list(await cursor.fetchall())


def plain(db: sqlite3.Connection, sql: str, parameters: Sequence[object]) -> list[Any]:
    """Return many rows as tuples, without what makes a `Row` of each."""
    cursor = db.cursor()
    cursor.row_factory = None
    return cursor.execute(sql, parameters).fetchall()


async def scalar(db: aiosqlite.Connection, sql: str, parameters: Sequence[object]) -> int:
    """Return the one number a statement gives."""
    return int((await all_of(db, sql, parameters))[0][0])


async def number_of(db: aiosqlite.Connection, doc_id: str, revision: int) -> int:
    """Return the number of a revision that is there."""
    return int((await all_of(db, Q["document"], (doc_id, revision)))[0]["id"])


async def ids_of(db: aiosqlite.Connection, number: int) -> tuple[int, ...]:
    """Return the numbers of a revision's passages."""
    return tuple(row[0] for row in await all_of(db, Q["passage_ids"], (number,)))


def quoted(text: str) -> str:
    """Return the text as an FTS5 string: a word, or words that follow one another."""
    return '"' + text.replace('"', '""') + '"'
