"""Documents on their way out of the library."""

from __future__ import annotations

import msgspec

from schemas.knowledge import DocumentState
from services.ingest import rows
from services.ingest.library import Library
from services.ingest.rows import CURRENT
from services.runtime.clock import now


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A document on its way out."""

    doc_id: str
    file: str
    purge: bool
    """Whether its originals go as well."""
    state: DocumentState
    """Its last state."""


class Removals:
    """What is being removed; a removal that was begun survives any restart."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._database = library.database

    async def start(self, identity: str, *, purge: bool) -> Removal | None:
        """Mark a document as going: from now on it is in no list. None where there is none."""
        state = await self._library.state(identity)
        async with self._database.transaction() as db:
            await db.execute(
                "UPDATE document SET removing = 1, purge = max(purge, ?) WHERE doc_id = ?",
                (int(purge), identity),
            )
        if state is None:
            return None
        return Removal(doc_id=identity, file=state.file, purge=purge, state=state)

    async def begun(self) -> list[Removal]:
        """Return the documents whose removal was begun and not finished."""
        return [
            Removal(
                doc_id=row["doc_id"],
                file=row["file"],
                purge=bool(row["purge"]),
                state=rows.state_in(row),
            )
            for row in await self._database.fetch(f"{CURRENT} AND d.removing")
        ]

    async def only_here(self, identity: str) -> list[str]:
        """Return hashes of a document's originals that no other document has."""
        found = await self._database.fetch(
            "SELECT DISTINCT sha256 FROM revision r WHERE doc_id = ? AND NOT EXISTS"
            " (SELECT 1 FROM revision o WHERE o.sha256 = r.sha256 AND o.doc_id <> r.doc_id)",
            (identity,),
        )
        # Of one that was adopted nobody knows which original it has.
        return [row["sha256"] for row in found if row["sha256"]]

    async def finish(self, removal: Removal) -> None:
        """Delete a document, its name from the disk too."""
        left = [] if removal.purge else await self.only_here(removal.doc_id)
        async with self._database.transaction() as db:
            await db.executemany(
                "INSERT OR REPLACE INTO left_original VALUES (?, ?, ?)",
                [(sha256, removal.file, now()) for sha256 in left],
            )
            await db.execute("DELETE FROM document WHERE doc_id = ?", (removal.doc_id,))
        await self._database.checkpoint("TRUNCATE")
