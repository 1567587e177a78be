"""What the library takes in and hands out."""

from __future__ import annotations

from pathlib import PurePath

import msgspec

from schemas.knowledge import DocumentState
from schemas.retrieval import DocumentRef
from services.ingest import rows
from services.ingest.labels import Labels


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A revision that has to be read."""

    doc_id: str
    file: str
    revision: int
    sha256: str
    labels: Labels
    """What people say about it."""
    passages: int = 0
    """How many it has, where it was read before."""
    note: str = ""
    """What was said then of what could not be read."""

    def ref(self, *, title: str, lang: str) -> DocumentRef:
        """Return what the retriever is told: the file's title and language where none was said."""
        title = title or PurePath(self.file).stem
        return rows.ref(self.labels, self.doc_id, self.revision, self.file, title, lang)


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What another box found when it read a file."""

    title: str
    """The file's own title."""
    lang: str
    """Main language."""
    pages: int | None
    """Pages."""
    passages: int
    """Passages."""


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file."""

    state: DocumentState
    sha256: str
    """Hash of the file."""
    unchanged: bool
    """Its content was there already."""
    edited: bool = False
    """What is said about the document is not what it was."""
    restored: int = 0
    """The revision that is to answer again, 0 where none is."""
