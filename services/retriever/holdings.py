"""What the corpus hands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.retrieval import DocumentRef, Passage
from services.retriever.embedding import Vectors
from services.retriever.records import passage_of
from services.retriever.tokens import language, tokens
from services.runtime.sqlite import Row


@dataclass(frozen=True, slots=True)
class Held:
    """A revision in the corpus."""

    id: int
    """Number of the revision inside the corpus."""
    document: DocumentRef
    """The revision."""
    active: bool
    """Whether it answers."""
    passages: int
    """How many it has."""


class _Tongue(msgspec.Struct):
    """What of a passage tells its language, where that was known when it was read."""

    lang: str = ""


class _Label(msgspec.Struct, array_like=True):
    """What a field of a passage is called."""

    name: str = ""


class _Labelled(msgspec.Struct):
    """The names of a passage's fields, without what those hold."""

    fields: list[_Label] = []


_tongue = msgspec.msgpack.Decoder(_Tongue).decode
_labelled = msgspec.msgpack.Decoder(_Labelled).decode


class Found(msgspec.Struct, frozen=True, gc=False):
    """A passage with what ranking needs."""

    id: int
    """Number of the passage inside the corpus, label of its vector."""
    document: int
    """Number of its revision."""
    kind: str
    """`row`, `entry` or `text`."""
    content: bytes
    """The passage, MessagePack: most candidates are never shown."""
    head: str
    """Tokens of title and section."""
    section: str
    """Tokens of the section alone."""
    body: str
    """Tokens of the text."""
    name: str
    """Tokens of what it is called."""

    @property
    def passage(self) -> Passage:
        """Return the passage."""
        return passage_of(self.content)

    def labels(self) -> Sequence[str]:
        """Return the tokens of the names of its fields, each as often as it is among them."""
        if self.kind == "text":
            return ()
        return [
            token for field in _labelled(self.content).fields for token in _tokens_of(field.name)
        ]

    @property
    def lang(self) -> str:
        """Return its language, `en`, `zh`, or empty."""
        return _tongue(self.content).lang or language(self.passage.text)


@dataclass(frozen=True, slots=True)
class CodeHit:
    """A passage with a code."""

    passage: int
    """Number of the passage."""
    document: int
    """Number of its revision."""
    canonical: str
    """The code as indexed."""
    loose: str
    """Its forgiving form."""
    strength: int
    """See services.retriever.records."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change means for the vector index."""

    generation: int
    """The corpus generation after it."""
    added: tuple[int, ...] = ()
    """Revisions that answer now and did not before."""
    removed: tuple[int, ...] = ()
    """Numbers of passages that no longer answer."""


@lru_cache(maxsize=4096)
def _tokens_of(name: str) -> tuple[str, ...]:
    return tuple(tokens(name))


def ref_of(row: Row) -> DocumentRef:
    """Return the revision a row of `documents` names."""
    return DocumentRef(
        doc_id=row["doc_id"],
        revision=row["revision"],
        title=row["title"],
        file=row["file"],
        lang=row["lang"],
        assets=msgspec.json.decode(row["assets"], type=list[str]),
        kind=row["kind"],
        model=row["model"],
        collection=row["collection"],
        tags=msgspec.json.decode(row["tags"], type=list[str]),
    )


def held_of(row: Row) -> Held:
    """Return the revision in a row of `documents`."""
    return Held(row["id"], ref_of(row), bool(row["active"]), row["passages"])


def columns_of(document: DocumentRef) -> tuple[str | int, ...]:
    """Return the values of `put_document`."""
    return (
        document.doc_id,
        document.revision,
        document.title,
        document.file,
        document.lang,
        msgspec.json.encode(document.assets).decode(),
        document.kind,
        document.model,
        document.collection,
        msgspec.json.encode(document.tags).decode(),
    )


def unpacked(rows: Sequence[Row]) -> tuple[NDArray[np.int64], Vectors]:
    """Return labels [n] and vectors [n, dimension] of rows of `vectors`."""
    labels = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    joined = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float16)
    width = len(joined) // max(1, len(rows))
    return labels, joined.reshape(len(rows), width).astype(np.float32)
