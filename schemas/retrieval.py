"""Passages on their way into the corpus and out of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from schemas.answers import Scope
from schemas.paging import PAGE, PageLimit

PassageKind = Literal["text", "row", "entry"]
"""`row`: one table row with its header; `entry`: one fault with its cause and remedy."""


class Field(msgspec.Struct, frozen=True, array_like=True):
    """A named part of a row or an entry: column header and cell, or `Cause` and its text."""

    name: str
    """Header as printed."""
    value: str
    """Text."""


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a document that can answer."""

    ordinal: int
    """Position in the document, from 0; with document and revision its identity."""
    page: int | None = None
    """Physical page it begins on, from 1; null where the format has none."""
    page_label: str = ""
    """Page number as printed, where known."""
    section: str = ""
    """Section path, levels joined by ` > `."""
    kind: PassageKind = "text"
    """What it is."""
    text: str
    """The words, rows as `header: cell | header: cell`."""
    fields: list[Field] = []
    """The parts of a row or an entry, in order; empty for running text."""
    lang: str = ""
    """`en`, `zh`, or empty."""


class DocumentRef(msgspec.Struct, frozen=True, kw_only=True):
    """The revision a passage belongs to."""

    doc_id: str
    """The library's id."""
    revision: int
    """From 1."""
    title: str
    """Title."""
    file: str
    """File name."""
    lang: str = ""
    """Main language."""
    assets: list[str] = []
    """Assets it belongs to, MQTT filters allowed."""
    kind: str = ""
    """What it is: `manual`, `fault-list`, …"""
    model: str = ""
    """The product it is about."""
    collection: str = ""
    """The shelf it stands on."""
    tags: list[str] = []
    """Other words it is to be found by."""


class IndexPassages(msgspec.Struct, frozen=True, kw_only=True):
    """Take these passages; the same batch may come twice. They answer after `Activate`."""

    document: DocumentRef
    """Whose they are."""
    passages: list[Passage]
    """A batch, any size that fits a message; none to change what is said of the document."""
    vectors: list[bytes] = []
    """Where another box made them: one a passage, float16, little-endian; empty for none."""
    embedding: str = ""
    """The model they are of; those of another model are made anew."""


class PassageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the passages of a revision, with their vectors."""

    doc_id: str
    """The library's id."""
    revision: int
    """Which of its revisions."""
    after: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    """`next` of the page before; 0 for the first page."""
    limit: PageLimit = PAGE
    """How many at most; fewer where they are long."""


class PassageList(msgspec.Struct, frozen=True, kw_only=True):
    """Passages of a revision, in order."""

    passages: list[Passage]
    """Of this page."""
    vectors: list[bytes]
    """One a passage, float16, little-endian; empty for those that have none."""
    embedding: str
    """The model they are of."""
    next: int = 0
    """What to ask for more with in `after`; 0 with the last page."""


class Indexed(msgspec.Struct, frozen=True, kw_only=True):
    """What the retriever holds of a revision."""

    passages: int
    """Passages of this revision now in the corpus."""
    vectors: int = 0
    """Of these, how many need no vector any more."""
    answers: bool = False
    """Whether this revision answers: at once where it replaces none, else when vectors and
    passages are equal, or when the embedding model has been away for five minutes."""
    waits_for: str = ""
    """Why it gets no vectors now; empty while it gets them, or answers."""
    seconds_left: float | None = None
    """Until it has all its vectors; null while unknown."""
    generation: int
    """Corpus generation, grows with every change of what answers."""


class Activate(msgspec.Struct, frozen=True, kw_only=True):
    """Let a complete revision answer, and the one before no more, at once; that one is kept.

    Where there is no older one it answers from now on, by codes and words, and by meaning as its
    vectors follow. An older one answers until the new one has all vectors, or until the embedding
    model has been away for five minutes: ask again until `Indexed.answers`, which also tells how
    far they are.
    """

    doc_id: str
    """The library's id."""
    revision: int
    """The revision that answers from now on."""
    passages: int
    """How many it has: refused while some are missing."""


class Describe(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is said about a revision, without its passages."""

    document: DocumentRef
    """The revision, with what is true of it now."""


class Prune(msgspec.Struct, frozen=True, kw_only=True):
    """Forget revisions of a document that do not answer."""

    doc_id: Annotated[str, msgspec.Meta(min_length=1)]
    """The library's id."""
    keep: list[int] = []
    """Revisions that stay, besides the one that answers."""


class RemovePassages(msgspec.Struct, frozen=True, kw_only=True):
    """Forget a document: passages, index entries and vectors of all its revisions."""

    doc_id: str
    """The library's id."""
    revision: int = 0
    """Only this revision, such as one that could not be read to its end; 0 for all."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Find the passages that answer."""

    question: Annotated[str, msgspec.Meta(min_length=1, max_length=8000)]
    """In words; codes in it are found by the retriever."""
    code: str = ""
    """A fault code known from the payload."""
    asset: str = ""
    """The machine: its documents first."""
    lang: str = ""
    """Preferred language among equals; empty for none."""
    collection: str = ""
    """Only documents of this shelf; empty: of any."""
    kind: str = ""
    """Only documents of this kind."""
    tags: list[str] = []
    """Only documents that have all of these."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    """How many passages at most."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A passage found."""

    document: DocumentRef
    """Whose it is."""
    passage: Passage
    """The passage."""
    score: float
    """Relevance, 0 to 1."""
    by: Literal["code", "words", "vector"]
    """What put it first: a fault code it defines, its words, or its meaning."""
    below: list[str] = []
    """Of the first hits: rows of the list that stands right below it, in order, `header: cell |
    header: cell`; empty where none does."""
    called: dict[str, str] = {}
    """By a short cell of a row or an entry, what the list of the trade's terms calls that, or what
    stands behind its colon, in the language wanted, where the cell is in the other one."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The passages that answer, best first."""

    hits: list[Hit]
    """Empty when nothing is relevant."""
    codes: list[str] = []
    """Codes asked for, canonical spelling; misspelt ones as a manual has them."""
    unknown_codes: list[str] = []
    """Those of them that no document has."""
    near: dict[str, list[str]] = {}
    """By unknown code, at most three that some passage defines and that may have been meant."""
    scope: Scope = "all"
    """Where it was found."""
    generation: int = 0
    """Corpus generation that was searched."""
    incomplete: bool = False
    """Manuals that should answer are being read again: what is not found may be in one of them."""
    reading: int = 0
    """Documents that are being read, for the first time or again."""
    nobody: list[Literal["asset", "collection"]] = []
    """What of the request no document has, though others have some: asset, collection."""
    known: list[str] = []
    """Assets and collections that are like those; of few, all."""
    took_ms: dict[str, float] = {}
    """Where the time went: embed, words, vectors, rank; milliseconds."""


class CorpusQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Ask what the corpus holds."""

    doc_id: str = ""
    """Only this document; empty for all."""
    after: str = ""
    """Only documents behind this id: `next` of the page before; empty for the first page."""
    limit: PageLimit = PAGE
    """How many documents at most, each with all its revisions; fewer where they are long."""
    totals: bool = True
    """Whether `passages` and `vectors` are wanted: in a large corpus they take long to count."""
    missing: int | None = None
    """How many documents that should answer are being read again, by the library's account; null
    where the asker does not know."""
    reading: int | None = None
    """How many documents are being read at all, likewise."""


class CorpusDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What the corpus holds of one revision."""

    document: DocumentRef
    """The revision."""
    passages: int
    """Its passages."""
    active: bool
    """Whether it answers."""


class CorpusState(msgspec.Struct, frozen=True, kw_only=True):
    """What the corpus holds."""

    documents: list[CorpusDocument]
    """Each revision it has, by document id; or of the document that was asked for."""
    passages: int
    """Passages that answer, of all documents or the one that was asked for; 0 where `totals` were
    not wanted."""
    vectors: int
    """Of these, how many have a vector."""
    generation: int
    """Grows with every change of what answers."""
    embedding: str
    """Name of the embedding model."""
    next: str = ""
    """There are more documents: what to ask for them with in `after`; empty with the last page."""


class UnitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the fault codes that the manuals of an asset define."""

    asset: str
    """The machine; only documents that are bound to it count."""
    after: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    """`next` of the page before; 0 for the first page."""
    limit: PageLimit = PAGE
    """How many passages are looked at."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that defines a code: an entry, or a table's row."""

    code: str
    """Canonical spelling."""
    kind: PassageKind
    """What the passage is."""
    headers: list[str]
    """Names of its parts: what it tells about the code."""


class UnitList(msgspec.Struct, frozen=True, kw_only=True):
    """Fault codes in the order of the manuals; one that several passages define comes again."""

    units: list[Unit]
    """Of this page."""
    generation: int
    """Of the corpus."""
    next: int = 0
    """What to ask for more with in `after`; 0 with the last page."""
