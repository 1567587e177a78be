"""The library: which documents there are, their revisions, and how far each is."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path, PurePath

import aiosqlite

from schemas.knowledge import DocumentState
from schemas.paging import PAGE
from services.ingest import entries, rows
from services.ingest.differences import IN_WORK
from services.ingest.labels import labels_of
from services.ingest.partition import tesseract
from services.ingest.records import Added, Read, Work
from services.ingest.rows import CURRENT, ENDED
from services.runtime.clock import now
from services.runtime.errors import Rejected
from services.runtime.sqlite import Database, open_database

MIGRATIONS = tuple(
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("library.sql", "library_2.sql", "library_3.sql", "library_4.sql")
)

_THERE = f"{CURRENT} AND NOT d.removing"
_BY_FILE = f"{_THERE} AND d.file > ? ORDER BY d.file LIMIT ?"
_BY_ID = f"{_THERE} AND d.doc_id > ? ORDER BY d.doc_id LIMIT ?"
_IN_WORK = f"{_THERE} AND r.state IN ('queued', 'reading', 'indexing')"

_WAITING = f"""
    SELECT d.doc_id, d.file, d.labels, r.* FROM document d JOIN revision r ON r.doc_id = d.doc_id
    WHERE r.state = 'queued' AND NOT d.removing AND NOT EXISTS (
        SELECT 1 FROM revision n WHERE n.doc_id = r.doc_id AND n.revision > r.revision
        AND n.state NOT IN {ENDED} AND n.answered >= r.answered)
    ORDER BY r.seq LIMIT 1
"""  # noqa: S608
"""An older revision waits only where it has to stand in for a newer one that failed, or is to
answer again."""

_SET = {
    name: f"UPDATE revision SET {name} = ?, updated = ? WHERE doc_id = ? AND revision = ?"  # noqa: S608
    for name in ("state", "reason", "title", "lang", "pages", "passages", "note", "lacks_ocr")
}
"""How each column is written, by its name."""

_PARTLY = """
    SELECT d.doc_id, d.file, r.sha256, r.size
    FROM document d JOIN revision r ON r.doc_id = d.doc_id
    WHERE r.lacks_ocr AND r.state = 'ready' AND r.sha256 <> '' AND NOT d.removing
    AND r.revision = d.last AND r.answered = (
        SELECT max(answered) FROM revision a WHERE a.doc_id = d.doc_id)
"""
"""Documents of which recognition would read more."""

_ANSWERS = """
    UPDATE revision SET held = 1, answered = 1 + (
        SELECT max(answered) FROM revision o WHERE o.doc_id = revision.doc_id)
    WHERE doc_id = ? AND revision = ?
"""


class Library:
    """Documents and their revisions in SQLite; survives any restart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        """Return the file."""
        return self._database

    @classmethod
    async def open(cls, path: Path) -> Library:
        """Open the file; what was being read or indexed when it was last closed waits again.

        Raises:
            Fatal: the file cannot be opened or is damaged.
        """
        # NORMAL would do for the states, but an added document is a promise to its owner.
        library = cls(await open_database(path, MIGRATIONS, synchronous="FULL"))
        async with library._database.transaction() as db:
            await db.execute(
                "UPDATE revision SET state = 'queued' WHERE state IN ('reading', 'indexing')"
            )
            await db.execute("INSERT OR IGNORE INTO fact VALUES ('born', ?)", (now(),))
            # What recognises text may have been installed meanwhile; the reader finds out.
            await db.execute(
                "UPDATE revision SET state = 'queued' WHERE state = 'needs-ocr' AND held >= 0"
                " AND revision ="
                " (SELECT max(r.revision) FROM revision r WHERE r.doc_id = revision.doc_id)"
            )
            if tesseract.data_there():
                await _complete(db)
        return library

    async def born(self) -> float:
        """Return since when this file knows of every original, seconds since 1970."""
        row = await self._database.first("SELECT value FROM fact WHERE key = 'born'")
        # Without the fact nothing is known.
        return datetime.fromisoformat(row["value"]).timestamp() if row else math.inf

    async def reborn(self) -> None:
        """Note that rows may have been lost: what there was before may be somebody's."""
        async with self._database.transaction() as db:
            await db.execute("INSERT OR REPLACE INTO fact VALUES ('born', ?)", (now(),))

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

    async def add(
        self, name: str, sha256: str, size: int, *, said: object | None = None,
        read: Read | None = None,
    ) -> Added:  # fmt: skip
        """Enter a file.

        The same content under the same name is no news, unless reading it failed before: then it
        is tried again. That of a revision that was kept lets it answer again.

        Args:
            name: under which it is kept, see `naming.file_name`.
            sha256: of its content.
            size: bytes.
            said: what is said about it, see `labels.labels_of`; what is empty stays as it was.
            read: where another box read it: then it waits for its passages, not to be read.

        Raises:
            Rejected: the document is being removed, or what is said cannot be.
        """
        async with self._database.transaction() as db:
            identity, edited = await entries.enter(db, name, said)
            await db.execute("DELETE FROM left_original WHERE sha256 = ?", (sha256,))
            there = await entries.revisions(db, identity)
            same = entries.same(there, sha256)
            restored = 0
            if same is None:
                # Also when reading the same file failed before: a state of the new revision
                # cannot be taken for one of the old.
                number = await entries.insert(db, identity, name, sha256, size)
                if read is not None:
                    await db.execute(
                        "UPDATE revision SET state = 'indexing', title = ?, lang = ?, pages = ?,"
                        " passages = ? WHERE doc_id = ? AND revision = ?",
                        (read.title, read.lang, read.pages, read.passages, identity, number),
                    )
            elif same["state"] == "ready":
                await entries.set_failed_aside(db, identity)
                if same["answered"] < max(row["answered"] for row in there):
                    restored = same["revision"]
                    await db.execute(_ANSWERS, (identity, restored))
        state = await self.state(identity)
        if state is None:
            raise Rejected(f"add {name}", "it was removed meanwhile", "add it again")
        return Added(
            state=state,
            sha256=sha256,
            unchanged=same is not None,
            edited=edited,
            restored=restored,
        )

    async def refuse(self, name: str, reason: str) -> tuple[str, DocumentState | None]:
        """Enter a file that could not be taken, so that people see why.

        Returns:
            Id of the document, and its state where this is news.
        """
        async with self._database.transaction() as db:
            identity, _ = await entries.enter(db, name, None)
            there = await entries.revisions(db, identity)
            best = max(
                (row for row in there if row["state"] == "ready"),
                key=lambda row: row["answered"],
                default=None,
            )
            told = f"{reason}; revision {best['revision']} still answers" if best else reason
            if there and (there[0]["state"], there[0]["reason"]) == ("failed", told):
                return identity, None
            number = await entries.insert(db, identity, name, "", 0)
            await db.execute(
                "UPDATE revision SET state = 'failed', reason = ? WHERE doc_id = ?"
                " AND revision = ?",
                (told, identity, number),
            )
        return identity, await self.state(identity)

    async def edit(self, identity: str, said: object) -> tuple[DocumentState, bool] | None:
        """Change what is said about a document; None where there is none.

        Args:
            identity: its id.
            said: as for `add`; None leaves a thing, empty takes it back.

        Returns:
            Its state, and whether anything is different.

        Raises:
            Rejected: what is said cannot be.
        """
        async with self._database.transaction() as db:
            row = await entries.one(
                db, "SELECT labels FROM document WHERE doc_id = ? AND NOT removing", (identity,)
            )
            if row is None:
                return None
            before = rows.labels_in(row)
            labels = labels_of(said, before=before, empty_clears=True)
            await entries.say(db, identity, labels)
        state = await self.state(identity)
        return (state, labels != before) if state else None

    async def rename(self, identity: str, name: str) -> DocumentState | None:
        """Give a document another file name; None where it is gone or another has that name."""
        async with self._database.transaction() as db:
            row = await entries.one(
                db, "SELECT file FROM document WHERE doc_id = ? AND NOT removing", (identity,)
            )
            taken = await entries.one(db, "SELECT 1 FROM document WHERE file = ?", (name,))
            if row is None or taken is not None:
                return None
            await db.execute("UPDATE document SET file = ? WHERE doc_id = ?", (name, identity))
            # A title that was the file's name goes with it.
            await db.execute(
                "UPDATE revision SET title = ? WHERE doc_id = ? AND title = ?",
                (PurePath(name).stem, identity, PurePath(row["file"]).stem),
            )
        return await self.state(identity)

    async def states(self, after: str = "", limit: int = PAGE) -> list[DocumentState]:
        """Return the states of documents, by file name.

        Args:
            after: file name of the last one before these; empty for the first.
            limit: how many at most.
        """
        found = await self._database.fetch(_BY_FILE, (after, limit))
        return [rows.state_in(row) for row in found]

    async def states_by_id(self, after: str, limit: int) -> list[DocumentState]:
        """Return the states of documents by id, which stays whatever becomes of the name."""
        found = await self._database.fetch(_BY_ID, (after, limit))
        return [rows.state_in(row) for row in found]

    async def in_work(self) -> set[str]:
        """Return the ids of documents on their way to an answer."""
        return {row["doc_id"] for row in await self._database.fetch(_IN_WORK)}

    async def state(self, identity: str) -> DocumentState | None:
        """Return the state of a document, None where there is none."""
        row = await self._database.first(f"{_THERE} AND d.doc_id = ?", (identity,))
        return rows.state_in(row) if row else None

    async def answering(self, identity: str) -> int | None:
        """Return the revision of a document that answers, None where none does."""
        row = await self._database.first(
            "SELECT revision FROM revision WHERE doc_id = ? AND state = 'ready' AND answered > 0"
            " ORDER BY answered DESC LIMIT 1",
            (identity,),
        )
        return row["revision"] if row else None

    async def next(self) -> Work | None:
        """Return the revision that has waited longest, None when none waits."""
        row = await self._database.first(_WAITING)
        if row is None:
            return None
        return Work(
            doc_id=row["doc_id"],
            file=row["file"],
            revision=row["revision"],
            sha256=row["sha256"],
            labels=rows.labels_in(row),
            passages=row["passages"],
            note=row["note"],
        )

    async def update(self, work: Work, **columns: str | int | None) -> DocumentState | None:
        """Write what became of a revision; return the document's state, None if it is gone.

        Args:
            work: The revision.
            **columns: Of state, reason, title, lang, pages, passages, note, lacks_ocr.
        """
        key = (work.doc_id, work.revision)
        async with self._database.transaction() as db:
            for name, value in columns.items():
                await db.execute(_SET[name], (value, now(), *key))
            state = columns.get("state", "queued")
            if state == "ready":
                await db.execute(_ANSWERS, key)
            elif state not in IN_WORK:
                await db.execute(
                    "UPDATE revision SET answered = 0, held = 0 WHERE doc_id = ? AND revision = ?",
                    key,
                )
        return await self.state(work.doc_id)

    async def searchable(self, work: Work) -> None:
        """Note that a revision answers already, though its vectors follow."""
        async with self._database.transaction() as db:
            await db.execute(
                f"{_ANSWERS} AND answered = 0 AND state = 'indexing'", (work.doc_id, work.revision)
            )


async def _complete(db: aiosqlite.Connection) -> None:
    """Let documents that were read in part be read again, the part answering meanwhile."""
    for row in await db.execute_fetchall(_PARTLY):
        await entries.insert(db, row["doc_id"], row["file"], row["sha256"], row["size"])
