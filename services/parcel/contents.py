"""What is in the file of a collection (pure)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.retrieval import Passage
from services.runtime.errors import Fatal, Rejected

FORMAT = 1
"""Grows when an older Andon could not read what is written."""
LIST, SIGNATURE = "collection.json", "signature.json"
"""Files in it: what it holds; whose it is."""
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the file."""

    name: str
    """Its name there."""
    size: int
    """Bytes."""
    sha256: Digest
    """Of its content."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document, in the revision that answers."""

    file: str
    """File name."""
    title: str
    """Title."""
    lang: str
    """Main language."""
    assets: list[str] = []
    """Machines it belongs to."""
    kind: str = ""
    """What it is."""
    model: str = ""
    """The product it is about."""
    tags: list[str] = []
    """Other words."""
    pages: int | None = None
    """Pages."""
    passages: int
    """Passages."""
    vectors: int
    """Of these, how many have a vector."""
    original: Part
    """The file itself."""
    batches: Part
    """Its passages."""


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds."""

    format: int = FORMAT
    """See `FORMAT`."""
    andon: str
    """Version of the Andon that wrote it."""
    box: str
    """Name of the computer."""
    made: str
    """When, RFC 3339 UTC."""
    collection: str
    """Its name."""
    embedding: str
    """The model its vectors are of."""
    documents: list[Document]
    """The documents."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Whose it is."""

    key: Digest
    """Public key, Ed25519."""
    signature: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$")]
    """Of the list's bytes."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Some passages of a document, in order."""

    passages: list[Passage]
    """The passages."""
    vectors: list[bytes]
    """One each; empty for those that have none."""


def read_list(data: bytes) -> Collection:
    """Return what a file holds.

    Raises:
        Fatal: a newer Andon wrote it.
        Rejected: it is no such list.
    """
    try:
        version = msgspec.json.decode(data, type=_Version)
        if version.format > FORMAT:
            raise Fatal(
                "import",
                f"Andon {version.andon} wrote it in format {version.format}; this Andon reads"
                f" formats up to {FORMAT}",
                f"install Andon {version.andon} or a newer one",
            )
        return msgspec.json.decode(data, type=Collection)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Rejected("import", f"its list cannot be read: {error}") from error


class _Version(msgspec.Struct):
    format: int
    andon: str
