"""Steps inside a transaction of the library."""

from __future__ import annotations

from pathlib import PurePath

import aiosqlite
import msgspec

from services.ingest import rows
from services.ingest.differences import IN_WORK
from services.ingest.labels import Labels, labels_of
from services.ingest.naming import doc_id
from services.ingest.rows import ENDED, SET_ASIDE
from services.runtime.clock import now
from services.runtime.errors import Rejected
from services.runtime.sqlite import Row


async def one(db: aiosqlite.Connection, sql: str, parameters: tuple[object, ...]) -> Row | None:
    """Return the first row of a query."""
    async with db.execute(sql, parameters) as cursor:
        return await cursor.fetchone()


async def revisions(db: aiosqlite.Connection, identity: str) -> list[Row]:
    """Return the revisions of a document, newest first."""
    sql = "SELECT * FROM revision WHERE doc_id = ? ORDER BY revision DESC"
    return list(await db.execute_fetchall(sql, (identity,)))


async def enter(db: aiosqlite.Connection, name: str, said: object | None) -> tuple[str, bool]:
    """Return the id of the document of a name, made if need be; and whether more is said of it."""
    row = await one(db, "SELECT doc_id, removing, labels FROM document WHERE file = ?", (name,))
    if row is not None:
        if row["removing"]:
            raise Rejected(f"add {name}", "it is just being removed", "add it again in a moment")
        before = rows.labels_in(row)
        labels = labels_of(said, before=before) if said else before
        if labels != before:
            await say(db, row["doc_id"], labels)
        return row["doc_id"], labels != before
    labels = labels_of(said) if said else Labels()
    attempt = 0
    while await one(db, "SELECT 1 FROM document WHERE doc_id = ?", (doc_id(name, attempt),)):
        attempt += 1
    identity = doc_id(name, attempt)
    await db.execute("INSERT INTO document (doc_id, file) VALUES (?, ?)", (identity, name))
    await say(db, identity, labels)
    return identity, False


async def say(db: aiosqlite.Connection, identity: str, labels: Labels) -> None:
    """Write what people say about a document."""
    text = msgspec.json.encode(labels).decode()
    await db.execute("UPDATE document SET labels = ? WHERE doc_id = ?", (text, identity))


async def insert(db: aiosqlite.Connection, identity: str, name: str, sha256: str, size: int) -> int:
    """Enter the next revision of a document; return its number."""
    await db.execute("UPDATE document SET last = last + 1 WHERE doc_id = ?", (identity,))
    # From now on the new one is waited for; one that answers is kept, its vectors follow anyway.
    await db.execute(
        "UPDATE revision SET state = 'ready' WHERE doc_id = ? AND state = 'indexing'"
        " AND answered > 0 AND answered = (SELECT max(answered) FROM revision o"
        " WHERE o.doc_id = revision.doc_id) AND held > 0",
        (identity,),
    )
    await db.execute(
        "INSERT INTO revision (doc_id, revision, sha256, size, title, state, updated)"
        " SELECT doc_id, last, ?, ?, ?, 'queued', ? FROM document WHERE doc_id = ?",
        (sha256, size, PurePath(name).stem, now(), identity),
    )
    row = await one(db, "SELECT last FROM document WHERE doc_id = ?", (identity,))
    return int(row["last"]) if row else 0


async def set_failed_aside(db: aiosqlite.Connection, identity: str) -> None:
    """Nobody waits any more for what failed."""
    await db.execute(
        f"UPDATE revision SET held = ? WHERE doc_id = ? AND state IN {ENDED}",  # noqa: S608
        (SET_ASIDE, identity),
    )


def same(there: list[Row], sha256: str) -> Row | None:
    """Return the revision with this content that makes reading it again needless."""
    if there and there[0]["state"] in IN_WORK:
        return there[0] if there[0]["sha256"] == sha256 else None
    if any(row["state"] in IN_WORK for row in there):
        return next((r for r in there if r["state"] in IN_WORK and r["sha256"] == sha256), None)
    alike = [
        row for row in there if row["sha256"] == sha256 and row["state"] == "ready" and row["held"]
    ]
    return max(alike, key=lambda row: row["answered"], default=None)
