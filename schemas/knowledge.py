"""Documents: how they come in, how far they are, what the library holds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from schemas.paging import PAGE, PageLimit

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
    """`queued`, `reading`, `indexing` (read; see `searchable`: its vectors follow), `ready`
    (complete); `failed` says why in `reason`; `needs-ocr`: its pages are pictures, and the program
    that reads such is missing."""
    searchable: bool = False
    """Whether this revision answers: a new document by codes and words soon after its last page,
    and by meaning as its vectors come; a newer revision when it is `ready`, the older one answers
    until then."""
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
    kind: str = ""
    """What it is: `manual`, `fault-list`, `wiring`, `datasheet`, `procedure`, or a word of one's
    own; empty: not said."""
    model: str = ""
    """The product it is about, such as `SINAMICS G120`."""
    collection: str = ""
    """The shelf it stands on: one word or name for documents that belong together."""
    tags: list[str] = []
    """Any other words it is to be found by."""
    answers: int = 0
    """Revision that answers; 0: none yet."""
    kept: list[int] = []
    """Revisions that do not answer and can be brought back, newest first."""
    pages: int | None = None
    """Pages in all; null where unknown or the format has none."""
    pages_done: int = 0
    """Pages read."""
    passages: int = 0
    """Passages made so far."""
    passages_done: int = 0
    """Passages the retriever has."""
    vectors_done: int = 0
    """Passages that have their vector; `passages` in the end."""
    seconds_left: float | None = None
    """Until this step is over: all pages read, or all vectors made; null while unknown."""
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
    """Assets it belongs to; empty: as before. So with all that follows."""
    lang: str = ""
    """Main language; default: found from the text."""
    kind: str = ""
    """What it is."""
    model: str = ""
    """The product it is about."""
    collection: str = ""
    """The shelf it stands on."""
    tags: list[str] = []
    """Other words it is to be found by."""


class AddedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file: follow `andon/document/<doc id>` from here."""

    doc_id: str
    """The library's id."""
    revision: int
    """The revision this file is."""
    unchanged: bool
    """The same content was there already: nothing was read."""
    edited: bool = False
    """What is said about the document was changed with it."""
    restored: bool = False
    """The content of a revision that was kept: it answers again without being read."""
    state: DocumentState
    """State at the time of the reply."""


class ReceiveDocument(AddDocument, frozen=True, kw_only=True):
    """Take a file whose passages another box made: they are sent to the retriever.

    It is read here after all where they do not come.
    """

    found_title: str = ""
    """The file's own title, as it was found there."""
    found_lang: str = ""
    """Main language, as it was found there."""
    pages: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    """Pages."""
    passages: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    """Passages that will come."""


class ReceivedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was taken, and whether its passages are wanted."""

    added: AddedDocument
    """What became of it."""
    wanted: bool
    """Whether its passages are to be sent, and `Passed` then; else it is there, or being read."""


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """Passages of a revision are on their way, or all sent: say so every 20 seconds at least."""

    doc_id: Annotated[str, msgspec.Meta(min_length=1)]
    """The library's id."""
    revision: int
    """Which of its revisions."""
    complete: bool
    """Whether all are sent."""


class PassedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document whose passages are on their way, or complete."""

    state: DocumentState
    """Its state."""


class ListDocuments(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the documents of the library."""

    doc_id: str = ""
    """Only this one; empty for all."""
    after: str = ""
    """Only those behind this file name: `next` of the page before; empty for the first page."""
    limit: PageLimit = PAGE
    """How many at most; fewer where they are long."""


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a document."""

    revision: int
    """From 1."""
    state: str
    """`answers`, `kept`, or a phase of its way there."""
    reason: str = ""
    """What a person can do about a failure."""
    sha256: str = ""
    """Hash of its original; empty where that is not known."""
    original: bool = True
    """Whether its original is there: without it a lost corpus cannot be made again."""
    size: int = 0
    """Bytes of the original."""
    pages: int | None = None
    """Pages; null where unknown or the format has none."""
    passages: int = 0
    """Passages."""
    updated: str = ""
    """When this last changed, RFC 3339 UTC."""


class DocumentList(msgspec.Struct, frozen=True, kw_only=True):
    """The documents of the library, each in the revision that answers or is on its way."""

    documents: list[DocumentState]
    """Sorted by file name."""
    revisions: list[Revision] = []
    """Where one document was asked for: its revisions, newest first."""
    next: str = ""
    """There are more: what to ask for them with in `after`; empty with the last page."""


class EditDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is said about a document, without reading it again.

    Null leaves a thing as it is, empty takes it back.
    """

    doc_id: Annotated[str, msgspec.Meta(min_length=1)]
    """The library's id."""
    title: str | None = None
    """Title to show; empty: the file's own."""
    assets: list[str] | None = None
    """Assets it belongs to, MQTT filters allowed."""
    lang: str | None = None
    """Main language; empty: as found from the text."""
    kind: str | None = None
    """What it is."""
    model: str | None = None
    """The product it is about."""
    collection: str | None = None
    """The shelf it stands on."""
    tags: list[str] | None = None
    """Other words it is to be found by."""


class EditedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document after an edit: searches know of it from now on."""

    state: DocumentState
    """Its state."""
    changed: bool
    """Whether anything is different."""


class Rollback(msgspec.Struct, frozen=True, kw_only=True):
    """Let another revision of a document answer, one that was kept."""

    doc_id: Annotated[str, msgspec.Meta(min_length=1)]
    """The library's id."""
    to: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Which one, an older or a newer; 0: the one before the one that answers."""


class RolledBack(msgspec.Struct, frozen=True, kw_only=True):
    """Which revision answers now."""

    state: DocumentState
    """State of the document."""
    before: int
    """The revision that answered until now."""
    reading: bool = False
    """The retriever had lost it: it is read again, and answers when that is done."""
    waiting: bool = False
    """It has not all its vectors, and answers when it has."""


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
