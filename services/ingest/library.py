"""The library: which documents there are, their revisions, and how far each is."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path, PurePath

import msgspec

from schemas.knowledge import DocumentState
from schemas.retrieval import CorpusDocument
from services.ingest.differences import Answering
from services.runtime.clock import now
from services.runtime.errors import Rejected
from services.runtime.sqlite import Database, Row, open_database

MIGRATIONS = (Path(__file__).with_name("library.sql").read_text(encoding="utf-8"),)

_NEWEST = """
    SELECT d.doc_id, d.file, r.* FROM document d JOIN revision r ON r.doc_id = d.doc_id
    WHERE r.revision = (SELECT max(revision) FROM revision WHERE doc_id = d.doc_id)
      AND NOT d.removing
"""

_WAITING = """
    SELECT d.doc_id, d.file, r.* FROM document d JOIN revision r ON r.doc_id = d.doc_id
    WHERE r.state = 'queued' AND NOT d.removing AND NOT EXISTS (
        SELECT 1 FROM revision n
        WHERE n.doc_id = r.doc_id AND n.revision > r.revision AND n.state <> 'failed')
    ORDER BY r.seq LIMIT 1
"""
"""An older revision waits only where it has to stand in for a newer one that failed."""

_ANSWERING = """
    SELECT d.doc_id, coalesce(r.revision, 0) AS revision, coalesce(r.passages, 0) AS passages,
      d.removing OR EXISTS (
        SELECT 1 FROM revision n WHERE n.doc_id = d.doc_id
        AND n.revision > coalesce(r.revision, 0) AND n.state <> 'failed') AS waiting
    FROM document d LEFT JOIN revision r ON r.doc_id = d.doc_id AND r.revision = (
        SELECT max(revision) FROM revision WHERE doc_id = d.doc_id AND state = 'ready')
"""

_SET = {
    name: f"UPDATE revision SET {name} = ?, updated = ? WHERE doc_id = ? AND revision = ?"  # noqa: S608
    for name in ("state", "reason", "title", "lang", "pages", "passages")
}
"""How each column is written, by its name."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A revision that has to be read."""

    doc_id: str
    file: str
    revision: int
    sha256: str
    title: str
    """Title asked for; empty to take it from the file."""
    assets: list[str]


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A document on its way out."""

    doc_id: str
    file: str
    purge: bool
    """Whether its originals go as well."""
    state: DocumentState
    """Its last state."""


_LONGEST_NAME = 512
"""Bytes; folders included."""


def doc_id(name: str) -> str:
    """Return the id of a document: readable, fit for a topic, and the same for the same name."""
    plain = unicodedata.normalize("NFKD", PurePath(name).stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].rstrip("-") or "document"
    return f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def file_name(name: str) -> str:
    """Return a name as it is kept: in the composed form of its characters, folders by `/`.

    Folders belong to the name: two manuals may both have an index.md.

    Raises:
        Rejected: nothing is left of it.
    """
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cc")
    parts = [part.strip() for part in plain.split("/")]
    kept = "/".join(part for part in parts if part not in ("", ".", ".."))
    if not kept:
        raise Rejected("add", f"{name!r} is no file name")
    if len(kept.encode()) > _LONGEST_NAME:
        raise Rejected(
            "add", f"the file name is longer than {_LONGEST_NAME} bytes", "give it a shorter one"
        )
    return kept


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
            # What recognises text may have been installed meanwhile; the reader finds out.
            await db.execute(
                "UPDATE revision SET state = 'queued' WHERE state = 'needs-ocr' AND revision ="
                " (SELECT max(r.revision) FROM revision r WHERE r.doc_id = revision.doc_id)"
            )
        return library

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

    async def add(
        self, name: str, sha256: str, size: int, *, title: str = "", assets: list[str] | None = None
    ) -> tuple[DocumentState, bool]:
        """Enter a file; return its state, and whether it was there already.

        The same content, title and assets under the same name are no news, unless reading them
        failed before: then they are tried again. An empty title or list of assets leaves what
        was said before.
        """
        identity = doc_id(name)
        async with self._database.transaction() as db:
            async with db.execute(
                "SELECT removing FROM document WHERE doc_id = ?", (identity,)
            ) as cursor:
                row = await cursor.fetchone()
            if row and row["removing"]:
                raise Rejected(
                    f"add {name}", "it is just being removed", "add it again in a moment"
                )
            if row is None:
                await db.execute(
                    "INSERT INTO document (doc_id, file) VALUES (?, ?)", (identity, name)
                )
            async with db.execute(
                "SELECT * FROM revision WHERE doc_id = ? ORDER BY revision DESC LIMIT 1",
                (identity,),
            ) as cursor:
                last = await cursor.fetchone()
            wanted = title or (last["asked_title"] if last else "")
            tags = msgspec.json.encode(assets).decode() if assets else last and last["assets"]
            tags = tags or "[]"
            same = last and (last["sha256"], last["asked_title"], last["assets"]) == (
                sha256,
                wanted,
                tags,
            )
            if last and same and last["state"] not in ("failed", "needs-ocr"):
                unchanged = True
            else:
                # Also when reading the same file failed before: a state of the new revision
                # cannot be taken for one of the old.
                unchanged = False
                await db.execute(
                    "INSERT INTO revision (doc_id, revision, sha256, size, assets, asked_title,"
                    " title, state, updated) VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?)",
                    (
                        identity,
                        last["revision"] + 1 if last else 1,
                        sha256,
                        size,
                        tags,
                        wanted,
                        wanted or PurePath(name).stem,
                        now(),
                    ),
                )
        state = await self.state(identity)
        if state is None:
            raise Rejected(f"add {name}", "it was removed meanwhile", "add it again")
        return state, unchanged

    async def states(self) -> list[DocumentState]:
        """Return the newest revision of each document, by file name."""
        rows = await self._database.fetch(f"{_NEWEST} ORDER BY d.file")
        return [_state(row) for row in rows]

    async def state(self, identity: str) -> DocumentState | None:
        """Return the newest revision of a document, None where there is none."""
        row = await self._database.first(f"{_NEWEST} AND d.doc_id = ?", (identity,))
        return _state(row) if row else None

    async def answering(self, identity: str) -> int | None:
        """Return the revision of a document that answers, None where none does."""
        row = await self._database.first(
            "SELECT max(revision) AS newest FROM revision WHERE doc_id = ? AND state = 'ready'",
            (identity,),
        )
        return row["newest"] if row else None

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
            title=row["asked_title"],
            assets=msgspec.json.decode(row["assets"], type=list[str]),
        )

    async def update(self, work: Work, **columns: str | int | None) -> DocumentState | None:
        """Write what became of a revision; return the document's state, None if it is gone.

        Args:
            work: The revision.
            **columns: Of state, reason, title, lang, pages, passages.
        """
        async with self._database.transaction() as db:
            for name, value in columns.items():
                await db.execute(_SET[name], (value, now(), work.doc_id, work.revision))
        return await self.state(work.doc_id)

    async def all_answering(self) -> list[Answering]:
        """Return of each document the revision that answers, those being removed among them."""
        rows = await self._database.fetch(_ANSWERING)
        return [
            Answering(r["doc_id"], r["revision"], r["passages"], bool(r["waiting"])) for r in rows
        ]

    async def read_again(self, identity: str, revision: int) -> DocumentState | None:
        """Let a revision that is ready wait to be read; None where it is not ready any more."""
        async with (
            self._database.transaction() as db,
            db.execute(
                "UPDATE revision SET state = 'queued', updated = ? WHERE doc_id = ?"
                " AND revision = ? AND state = 'ready'",
                (now(), identity, revision),
            ) as cursor,
        ):
            changed = cursor.rowcount
        return await self.state(identity) if changed else None

    async def adopt(self, held: CorpusDocument) -> DocumentState | None:
        """Enter a document that answers and is unknown; None where it is known by now.

        Its original may be there and cannot be told from the others: it has no hash, and to be
        read again it must be added again.
        """
        document = held.document
        assets = msgspec.json.encode(document.assets).decode()
        async with self._database.transaction() as db:
            await db.execute(
                "INSERT OR IGNORE INTO document (doc_id, file) VALUES (?, ?)",
                (document.doc_id, document.file),
            )
            async with db.execute(
                "INSERT OR IGNORE INTO revision (doc_id, revision, sha256, size, assets,"
                " asked_title, title, state, lang, passages, updated)"
                " SELECT doc_id, ?, '', 0, ?, '', ?, 'ready', ?, ?, ? FROM document"
                " WHERE doc_id = ? AND NOT removing",
                (
                    document.revision,
                    assets,
                    document.title,
                    document.lang,
                    held.passages,
                    now(),
                    document.doc_id,
                ),
            ) as cursor:
                changed = cursor.rowcount
        return await self.state(document.doc_id) if changed else None

    async def start_removing(self, identity: str, *, purge: bool) -> Removal | None:
        """Mark a document as going: from now on it is in no list. None where there is none."""
        state = await self.state(identity)
        async with self._database.transaction() as db:
            await db.execute(
                "UPDATE document SET removing = 1, purge = max(purge, ?) WHERE doc_id = ?",
                (int(purge), identity),
            )
        if state is None:
            return None
        return Removal(doc_id=identity, file=state.file, purge=purge, state=state)

    async def removals(self) -> list[Removal]:
        """Return the documents whose removal was begun and not finished."""
        rows = await self._database.fetch(
            _NEWEST.replace("NOT d.removing", "d.removing").replace("d.file,", "d.file, d.purge,")
        )
        return [
            Removal(doc_id=r["doc_id"], file=r["file"], purge=bool(r["purge"]), state=_state(r))
            for r in rows
        ]

    async def only_here(self, identity: str) -> list[str]:
        """Return hashes of a document's originals that no other document has."""
        rows = await self._database.fetch(
            "SELECT DISTINCT sha256 FROM revision r WHERE doc_id = ? AND NOT EXISTS"
            " (SELECT 1 FROM revision o WHERE o.sha256 = r.sha256 AND o.doc_id <> r.doc_id)",
            (identity,),
        )
        # Of one that was adopted nobody knows which original it has.
        return [row["sha256"] for row in rows if row["sha256"]]

    async def finish_removing(self, identity: str) -> None:
        """Delete a document."""
        async with self._database.transaction() as db:
            await db.execute("DELETE FROM document WHERE doc_id = ?", (identity,))


def _state(row: Row) -> DocumentState:
    ready = row["state"] == "ready"
    return DocumentState(
        doc_id=row["doc_id"],
        title=row["title"],
        file=row["file"],
        state=row["state"],
        reason=row["reason"],
        revision=row["revision"],
        sha256=row["sha256"],
        size=row["size"],
        lang=row["lang"],
        assets=msgspec.json.decode(row["assets"], type=list[str]),
        pages=row["pages"],
        pages_done=row["pages"] or 0 if ready else 0,
        passages=row["passages"],
        passages_done=row["passages"] if ready else 0,
        updated=row["updated"],
    )
