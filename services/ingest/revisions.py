"""Which revisions of the library answer, are kept, or may go."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from schemas.knowledge import DocumentState, Revision
from schemas.retrieval import CorpusDocument
from services.ingest import rows
from services.ingest.differences import Own, Shelved
from services.ingest.labels import Labels
from services.ingest.library import Library
from services.ingest.rows import ENDED, SET_ASIDE, SHELF
from services.runtime.clock import now
from services.runtime.errors import Rejected
from services.runtime.sqlite import Row

_ONE = f"{SHELF} WHERE d.doc_id = ?"
_SOME = (
    f"{SHELF} WHERE d.doc_id IN (SELECT doc_id FROM document WHERE doc_id > ? ORDER BY doc_id"  # noqa: S608  the parts are ours
    " LIMIT ?) ORDER BY d.doc_id"
)


class Revisions:
    """Changes of what answers."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._database = library.database

    async def shelf(self, identity: str) -> list[Shelved]:
        """Return a document with its revisions, if there is such a one; one being removed too."""
        return self._shelved(await self._database.fetch(_ONE, (identity,)))

    async def shelf_after(self, after: str, limit: int) -> list[Shelved]:
        """Return documents with their revisions, in the order of their ids; as `shelf`.

        Args:
            after: id of the last one before these; empty for the first.
            limit: how many at most.
        """
        return self._shelved(await self._database.fetch(_SOME, (after, limit)))

    @staticmethod
    def _shelved(found: Sequence[Row]) -> list[Shelved]:
        return [
            Shelved(
                doc_id=doc_id,
                removing=bool(group[0]["removing"]),
                last=group[0]["last"],
                revisions=tuple(rows.own_in(r) for r in group if r["revision"] is not None),
            )
            for doc_id, group in (
                (key, list(some))
                for key, some in itertools.groupby(found, key=lambda row: str(row["doc_id"]))
            )
        ]

    async def listed(self, identity: str, keep: int) -> list[Revision]:
        """Return the revisions of a document for people, newest first, without those that go."""
        documents = await self.shelf(identity)
        if not documents:
            return []
        gone = {own.number for own in documents[0].spent(keep)}
        best = documents[0].intended
        found = await self._database.fetch(
            "SELECT * FROM revision WHERE doc_id = ? ORDER BY revision DESC", (identity,)
        )
        return [
            Revision(
                revision=row["revision"],
                state=_told(row["state"], best is not None and best.number == row["revision"]),
                reason=row["reason"],
                sha256=row["sha256"],
                size=row["size"],
                pages=row["pages"],
                passages=row["passages"],
                updated=row["updated"],
            )
            for row in found
            if row["revision"] not in gone
        ]

    async def roll_back(self, identity: str, to: int) -> None:
        """Let a kept revision answer, 0 for the one before; one that was lost is read again.

        Raises:
            Rejected: there is no such document or revision, or one of it is just being read.
        """
        documents = [one for one in await self.shelf(identity) if not one.removing]
        operation = f"rollback {identity}"
        if not documents:
            raise Rejected(operation, "no such document", "`andon documents` lists their ids")
        [document] = documents
        best = document.intended
        if best is None:
            raise Rejected(operation, "no revision of it ever answered")
        if document.waiting:
            raise Rejected(
                operation, "a revision of it is just being read", "wait until that is done"
            )
        ready = {own.number: own for own in document.revisions if own.state == "ready"}
        older = [number for number in ready if number < best.number]
        kept = ", ".join(str(number) for number in sorted(ready) if number != best.number)
        hint = f"kept: {kept}" if kept else "ingest.keep_revisions says how many are kept"
        if not to and not older:
            raise Rejected(operation, f"no revision before {best.number} is kept", hint)
        target = ready.get(to or max(older, default=0))
        if target is None:
            raise Rejected(operation, f"revision {to} is not kept", hint)
        async with self._database.transaction() as db:
            await db.execute(
                "UPDATE revision SET answered = 1 + (SELECT max(answered) FROM revision o"
                " WHERE o.doc_id = revision.doc_id), updated = ?,"
                " state = iif(held > 0, state, 'queued')"
                " WHERE doc_id = ? AND revision = ? AND state = 'ready'",
                (now(), identity, target.number),
            )
            # What failed since is no more what people wait for.
            await db.execute(
                f"UPDATE revision SET held = ? WHERE doc_id = ? AND state IN {ENDED}",  # noqa: S608
                (SET_ASIDE, identity),
            )

    async def set_held(self, own: Own, *, held: bool) -> None:
        """Note whether the retriever has the passages of a kept revision."""
        async with self._database.transaction() as db:
            await db.execute(
                "UPDATE revision SET held = ? WHERE doc_id = ? AND revision = ?"
                " AND state = 'ready'",
                (int(held), own.ref.doc_id, own.number),
            )

    async def make_do(self, own: Own, passages: int) -> DocumentState | None:
        """Note that a revision has other passages than it was read with, and stays so."""
        reason = (
            f"it answers with {passages} of its {own.passages} passages, and its original is gone"
            " (remove it, and add the file again)"
        )
        async with self._database.transaction() as db:
            await db.execute(
                "UPDATE revision SET passages = ?, reason = ?, updated = ? WHERE doc_id = ?"
                " AND revision = ? AND state = 'ready'",
                (passages, reason, now(), own.ref.doc_id, own.number),
            )
        return await self._library.state(own.ref.doc_id)

    async def read_again(self, identity: str, revision: int) -> DocumentState | None:
        """Let the revision that answers wait to be read; None where another one is to by now."""
        async with (
            self._database.transaction() as db,
            db.execute(
                "UPDATE revision SET state = 'queued', updated = ? WHERE doc_id = ?"
                " AND revision = ? AND state = 'ready' AND answered ="
                " (SELECT max(answered) FROM revision r WHERE r.doc_id = revision.doc_id)",
                (now(), identity, revision),
            ) as cursor,
        ):
            changed = cursor.rowcount
        return await self._library.state(identity) if changed else None

    async def adopt(self, held: CorpusDocument) -> DocumentState | None:
        """Enter a document that answers and is unknown; None where it is known by now.

        Its original may be there and cannot be told from the others: it has no hash, and to be
        read again it must be added again.
        """
        document = held.document
        labels = Labels(
            assets=document.assets,
            kind=document.kind,
            model=document.model,
            collection=document.collection,
            tags=document.tags,
        )
        async with self._database.transaction() as db:
            await db.execute(
                "INSERT OR IGNORE INTO document (doc_id, file, labels) VALUES (?, ?, ?)",
                (document.doc_id, document.file, msgspec.json.encode(labels).decode()),
            )
            async with db.execute(
                "INSERT OR IGNORE INTO revision (doc_id, revision, sha256, size, title, state,"
                " lang, passages, answered, held, updated)"
                " SELECT doc_id, ?, '', 0, ?, 'ready', ?, ?, 1 + coalesce((SELECT max(answered)"
                " FROM revision r WHERE r.doc_id = document.doc_id), 0), 1, ? FROM document"
                " WHERE doc_id = ? AND NOT removing",
                (
                    document.revision,
                    document.title,
                    document.lang,
                    held.passages,
                    now(),
                    document.doc_id,
                ),
            ) as cursor:
                changed = cursor.rowcount
            await db.execute(
                "UPDATE document SET last = max(last, ?) WHERE doc_id = ?",
                (document.revision, document.doc_id),
            )
        return await self._library.state(document.doc_id) if changed else None

    async def knows(self, identity: str) -> bool:
        """Return whether there is such a document, on its way out or not."""
        return bool(await self.shelf(identity))

    async def named(self, file: str) -> str | None:
        """Return the id of the document of a file name."""
        row = await self._database.first("SELECT doc_id FROM document WHERE file = ?", (file,))
        return row["doc_id"] if row else None

    async def originals(self) -> dict[str, str]:
        """Return the hashes of all originals that are needed, each with a file name."""
        found = await self._database.fetch(
            "SELECT r.sha256, min(d.file) AS file FROM revision r"
            " JOIN document d ON d.doc_id = r.doc_id WHERE r.sha256 <> '' GROUP BY r.sha256"
        )
        return {row["sha256"]: row["file"] for row in found}

    async def all_known(self) -> bool:
        """Return whether no revision lacks the hash of its original, as an adopted one does."""
        return not await self._database.fetch(
            "SELECT 1 FROM revision WHERE sha256 = '' AND passages > 0 LIMIT 1"
        )

    async def written(self) -> float:
        """Return when a revision was last written, seconds since 1970; 0 where there is none."""
        [row] = await self._database.fetch("SELECT max(updated) FROM revision")
        return datetime.fromisoformat(row[0]).timestamp() if row[0] else 0.0

    async def left(self) -> set[str]:
        """Return the hashes of originals that were left when their documents were removed."""
        return {
            row["sha256"] for row in await self._database.fetch("SELECT sha256 FROM left_original")
        }

    async def unshared(self, gone: Sequence[Own]) -> list[str]:
        """Return hashes of originals that only these revisions have."""
        keys = {(own.ref.doc_id, own.number) for own in gone}
        shared: list[str] = []
        for sha256 in dict.fromkeys(own.sha256 for own in gone if own.sha256):
            users = await self._database.fetch(
                "SELECT doc_id, revision FROM revision WHERE sha256 = ?", (sha256,)
            )
            left = await self._database.first(
                "SELECT 1 FROM left_original WHERE sha256 = ?", (sha256,)
            )
            if left is None and all((row["doc_id"], row["revision"]) in keys for row in users):
                shared.append(sha256)
        return shared

    async def drop(self, gone: Iterable[Own]) -> None:
        """Delete revisions."""
        async with self._database.transaction() as db:
            await db.executemany(
                "DELETE FROM revision WHERE doc_id = ? AND revision = ?",
                [(own.ref.doc_id, own.number) for own in gone],
            )


def _told(state: str, best: bool) -> str:
    if state != "ready":
        return state
    return "answers" if best else "kept"
