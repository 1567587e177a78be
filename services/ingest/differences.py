"""What library and retriever disagree about, and how that is mended (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.retrieval import CorpusDocument, DocumentRef


@dataclass(frozen=True, slots=True)
class Answering:
    """A revision that answers, as the library has it."""

    doc_id: str
    revision: int
    """The newest that is ready; 0 where none is."""
    passages: int
    """How many it has."""
    waiting: bool
    """Whether a newer one is being read, or the document is being removed."""


@dataclass(frozen=True, slots=True)
class Differences:
    """What has to be done."""

    lost: tuple[tuple[str, int], ...] = ()
    """Document and revision that the retriever lacks: to be read again."""
    wrong: tuple[tuple[str, int], ...] = ()
    """That it has with other passages: to be forgotten there, then read again."""
    unknown: tuple[CorpusDocument, ...] = ()
    """That answer, and the library does not know."""


def differences(library: Sequence[Answering], corpus: Sequence[CorpusDocument]) -> Differences:
    """Compare; the library must have been asked before the corpus."""
    active = {held.document.doc_id: held for held in corpus if held.active}
    lost: list[tuple[str, int]] = []
    wrong: list[tuple[str, int]] = []
    unknown = dict(active)
    for own in library:
        held = active.get(own.doc_id)
        newer = held is not None and held.document.revision > own.revision
        if not newer or own.waiting:
            unknown.pop(own.doc_id, None)
        if own.waiting or newer or not own.revision:
            continue
        if held is None or held.document.revision < own.revision:
            lost.append((own.doc_id, own.revision))
        elif held.passages != own.passages:
            wrong.append((own.doc_id, own.revision))
    return Differences(tuple(lost), tuple(wrong), tuple(unknown.values()))


def name_of(document: DocumentRef) -> str:
    """Return what a person calls a document."""
    return f"{document.file} revision {document.revision}"
