"""Documents: how they come in, how far they are, what the library holds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

DocumentPhase = Literal["queued", "reading", "indexing", "ready", "needs-ocr", "failed", "removed"]


class DocumentState(msgspec.Struct, frozen=True, kw_only=True):
    """State and progress of one document: retained on `andon/document/<doc id>`."""

    doc_id: str
    """The library's id: stays the same over revisions."""
    title: str
    """Title, from the file's metadata or its name."""
    file: str
    """File name."""
    state: DocumentPhase
    """`ready` answers; `failed` says why in `reason`; `needs-ocr`: its pages are pictures, and the
    program that reads such is missing."""
    reason: str = ""
    """What a person can do about a failure; of a document that is `ready`: what of it could not be
    read."""
    revision: int
    """Revision this speaks of, from 1."""
    sha256: str = ""
    """Hash of the original, 64 hexadecimal digits."""
    size: int = 0
    """Bytes of the original."""
    lang: str = ""
    """Main language: `en`, `zh`, or empty while unknown."""
    assets: list[str] = []
    """Assets it belongs to, MQTT filters allowed (`plant/+`); empty: none in particular."""
    pages: int | None = None
    """Pages in all; null where unknown or the format has none."""
    pages_done: int = 0
    """Pages read."""
    passages: int = 0
    """Passages made so far."""
    passages_done: int = 0
    """Passages the retriever has."""
    updated: str
    """When this was published, RFC 3339 UTC."""


class AddDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Take a file of this machine into the library."""

    path: Annotated[str, msgspec.Meta(min_length=1)]
    """Absolute path, readable by the ingest process."""
    name: str = ""
    """Name under which it is kept, and by which a later version is recognised; default: its own."""
    title: str = ""
    """Title to show; default: from the file."""
    assets: list[str] = []
    """Assets it belongs to."""


class AddedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file: follow `andon/document/<doc id>` from here."""

    doc_id: str
    """The library's id."""
    revision: int
    """The revision this file is."""
    unchanged: bool
    """The same content was there already; nothing was done."""
    state: DocumentState
    """State at the time of the reply."""


class ListDocuments(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the documents of the library."""

    doc_id: str = ""
    """Only this one; empty for all."""


class DocumentList(msgspec.Struct, frozen=True, kw_only=True):
    """The documents of the library, newest revision each."""

    documents: list[DocumentState]
    """Sorted by file name."""


class RemoveDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Remove a document with all that was made from it."""

    doc_id: Annotated[str, msgspec.Meta(min_length=1)]
    """The library's id."""
    purge: bool = False
    """Whether the original goes as well."""


class RemovedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed."""

    doc_id: str
    """The library's id."""
    file: str
    """Its file name."""
    passages: int
    """Passages that no longer answer."""
