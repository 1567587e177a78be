"""What library and retriever disagree about, and how that is mended (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.knowledge import DocumentPhase
from schemas.retrieval import CorpusDocument, DocumentRef

IN_WORK = ("queued", "reading", "indexing")
"""Phases of a revision on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A revision, as the library has it."""

    ref: DocumentRef
    """What the retriever should say about it."""
    state: DocumentPhase
    passages: int = 0
    """How many it has."""
    answered: int = 0
    """0: never; of a document's revisions the highest answers, or is to answer again."""
    held: bool = True
    """Whether the library believes that the retriever has its passages."""
    set_aside: bool = False
    """Whether it may go."""
    sha256: str = ""
    """Hash of its original; empty where that is not known."""

    @property
    def number(self) -> int:
        """Return its number."""
        return self.ref.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A document, as the library has it."""

    doc_id: str
    removing: bool = False
    last: int = 0
    """The highest number a revision of it ever had."""
    revisions: tuple[Own, ...] = ()

    @property
    def intended(self) -> Own | None:
        """Return the revision that answers, or is to answer; None where none ever did."""
        return max(
            (own for own in self.revisions if own.answered), key=lambda o: o.answered, default=None
        )

    @property
    def waiting(self) -> bool:
        """Return whether a revision is in work that will answer when it is done."""
        best = self.intended
        return any(
            own.state in IN_WORK and (own.answered or not best or own.number > best.number)
            for own in self.revisions
        )

    def spent(self, keep: int) -> tuple[Own, ...]:
        """Return revisions nobody needs any more, where `keep` stay besides the one that answers.

        Of those that are ready the ones that answered last are kept.
        """
        best = self.intended
        newest = max((own.number for own in self.revisions), default=0)
        ready = sorted(
            (own for own in self.revisions if own.state == "ready" and own is not best),
            key=lambda own: -own.answered,
        )
        gone = {own.number for own in ready[keep:]}
        for own in self.revisions:
            if own.state == "ready" or own is best:
                continue
            if own.state in IN_WORK:
                # A newer one was faster.
                superseded = best is not None and own.number < best.number
            else:
                superseded = own.set_aside or own.number < newest
            if superseded:
                gone.add(own.number)
        return tuple(own for own in self.revisions if own.number in gone)


@dataclass(frozen=True, slots=True)
class Differences:
    """What has to be done."""

    lost: tuple[Own, ...] = ()
    """The retriever lacks what should answer: to be read again."""
    wrong: tuple[Own, ...] = ()
    """It has that with other passages: to be forgotten there, then read again."""
    switch: tuple[Own, ...] = ()
    """It has that, and another one answers: to be activated."""
    describe: tuple[DocumentRef, ...] = ()
    """It says something else about these."""
    held: tuple[tuple[Own, bool], ...] = ()
    """Kept revisions of which the library believes the contrary, and what is true."""
    prune: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Documents of which it has revisions nobody needs, and those that stay."""
    unknown: tuple[CorpusDocument, ...] = ()
    """That answer, and the library does not know."""
    leftover: tuple[str, ...] = ()
    """Documents of which nothing answers, and the library does not know."""

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


def differences(
    library: Iterable[Shelved], corpus: Sequence[CorpusDocument], keep: int
) -> Differences:
    """Compare; the library must have been asked before the corpus.

    Args:
        library: its documents.
        corpus: what the retriever holds of them.
        keep: how many revisions stay besides the one that answers.
    """
    held: dict[str, dict[int, CorpusDocument]] = {}
    for one in corpus:
        held.setdefault(one.document.doc_id, {})[one.document.revision] = one
    found = _Found()
    for document in library:
        found.look(document, held.pop(document.doc_id, {}), keep)
    for doc_id, revisions in held.items():
        active = [one for one in revisions.values() if one.active]
        found.unknown += active
        if not active:
            found.leftover.append(doc_id)
    return found.done()


class _Found:
    """Differences while they are collected."""

    def __init__(self) -> None:
        self.lost: list[Own] = []
        self.wrong: list[Own] = []
        self.switch: list[Own] = []
        self.describe: list[DocumentRef] = []
        self.held: list[tuple[Own, bool]] = []
        self.prune: list[tuple[str, tuple[int, ...]]] = []
        self.unknown: list[CorpusDocument] = []
        self.leftover: list[str] = []

    def done(self) -> Differences:
        return Differences(*(tuple(getattr(self, name)) for name in Differences.__slots__))

    def look(self, document: Shelved, there: dict[int, CorpusDocument], keep: int) -> None:
        """Compare one document with the revisions the retriever has of it."""
        if document.removing:
            return
        newer = [
            one for one in there.values() if one.active and one.document.revision > document.last
        ]
        if newer:  # the library is of an earlier time, or has not heard the last word yet
            if not document.waiting:
                self.unknown += newer
            return
        for own in document.revisions:
            one = there.get(own.number)
            # What is in work is described when it is sent.
            if one and own.state in {"ready", "indexing"} and one.document != own.ref:
                self.describe.append(own.ref)
        spent = document.spent(keep)
        self._kept(document, there, spent)
        best = document.intended
        if best is not None and not document.waiting:
            self._best(best, there.get(best.number))

    def _best(self, best: Own, one: CorpusDocument | None) -> None:
        if one is None:
            self.lost.append(best)
        elif one.passages != best.passages:
            # One that does not answer takes passages; one that does is forgotten first.
            (self.wrong if one.active else self.lost).append(best)
        elif not one.active:
            self.switch.append(best)

    def _kept(
        self, document: Shelved, there: dict[int, CorpusDocument], spent: Sequence[Own]
    ) -> None:
        best = document.intended
        stay = {own.number for own in document.revisions} - {own.number for own in spent}
        for own in document.revisions:
            if own.state != "ready" or own.number not in stay:
                continue
            one = there.get(own.number)
            whole = one is not None and one.passages == own.passages
            if not whole:
                stay.discard(own.number)
            if own is not best and whole != own.held:
                self.held.append((own, whole))
        more = [
            number
            for number, one in there.items()
            # One of a higher number came in after the library was asked.
            if not one.active and number not in stay and number <= document.last
        ]
        if more:
            self.prune.append((document.doc_id, tuple(sorted(stay))))


def name_of(document: DocumentRef) -> str:
    """Return what a person calls a document."""
    return f"{document.file} revision {document.revision}"
