"""Files of the inbox as they were when they were taken."""

from __future__ import annotations

import os

import msgspec

from services.ingest.labels import Labels
from services.runtime.sqlite import Database
from services.runtime.watching import Look


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One of them."""

    path: str
    """Inside the inbox, as `os.fsdecode` gives it."""
    doc_id: str
    """The document it became; empty where its name is none."""
    sha256: str
    """Of its content; empty where it could not be taken."""
    look: Look
    """As it was."""
    labels: Labels
    """What folders said about it."""
    made: bool = True
    """Whether the document was made for it; else somebody had added it before."""


class Taken:
    """They stay in the library's file over any restart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, File]:
        """Return them by path."""
        files = [
            File(
                path=os.fsdecode(row["path"]),
                doc_id=row["doc_id"],
                sha256=row["sha256"],
                look=Look(row["size"], row["mtime_ns"]),
                labels=msgspec.json.decode(row["labels"], type=Labels),
                made=bool(row["made"]),
            )
            for row in await self._database.fetch("SELECT * FROM inbox")
        ]
        return {file.path: file for file in files}

    async def fact(self, key: str) -> str:
        """Return what is kept about the inbox under a key, empty where nothing is."""
        row = await self._database.first("SELECT value FROM fact WHERE key = ?", (f"inbox {key}",))
        return str(row["value"]) if row else ""

    async def keep_fact(self, key: str, value: str) -> None:
        """Keep something about the inbox."""
        async with self._database.transaction() as db:
            await db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (f"inbox {key}", value))

    async def put(self, file: File, *, instead_of: str = "") -> None:
        """Keep one, in place of another where it was moved."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM inbox WHERE path = ?", (os.fsencode(instead_of),))
            await db.execute(
                "INSERT OR REPLACE INTO inbox (path, doc_id, sha256, size, mtime_ns, labels, made)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    os.fsencode(file.path),
                    file.doc_id,
                    file.sha256,
                    file.look.size,
                    file.look.mtime_ns,
                    msgspec.json.encode(file.labels).decode(),
                    int(file.made),
                ),
            )

    async def drop(self, path: str) -> None:
        """Forget one."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM inbox WHERE path = ?", (os.fsencode(path),))
