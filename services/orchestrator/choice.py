"""Which of the passages found is to answer."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.answers import Language
from schemas.retrieval import Hit
from services.orchestrator.definition import Definition, define
from services.orchestrator.language import language_of
from services.orchestrator.sentences import shared, terms, weight

MOST_CITED = 5
"""Citations of one answer at most."""

_EQUAL = 0.05
"""Difference in score within which hits are equally good."""

_BEGINNING = 600
"""Characters by which a passage is compared with the question."""

NEAR = 0.6
"""Share of the best hit's score from which on another hit is as good as it, or worth citing."""


def identity(hit: Hit) -> tuple[str, int, int]:
    """Return what tells one passage from another: document, revision, position."""
    return hit.document.doc_id, hit.document.revision, hit.passage.ordinal


def distinct(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits in order, each passage once; those without a word are left out."""
    found: dict[tuple[str, int, int], Hit] = {}
    for hit in hits:
        if any(character.isalnum() for character in hit.passage.text):
            found.setdefault(identity(hit), hit)
    return list(found.values())


def spoken(hit: Hit) -> Language:
    """Return the language a passage is in: as marked, else as its words are."""
    if hit.passage.lang in ("en", "zh"):
        return "zh" if hit.passage.lang == "zh" else "en"
    return language_of(hit.passage.text, "zh" if hit.document.lang == "zh" else "en")


def structured(hit: Hit) -> bool:
    """Return whether a passage is a row or an entry with parts to read."""
    return hit.passage.kind in ("row", "entry") and bool(hit.passage.fields)


def best(hits: Sequence[Hit], lang: Language) -> Hit:
    """Return the first hit, or one in the language wanted that is as good.

    As good is a passage of the same document, or one of nearly the same score: a translation
    is worth more than rank, another machine's manual is not.
    """
    first = hits[0]
    equals = [hit for hit in hits if spoken(hit) == lang and _as_good(hit, first)]
    return equals[0] if equals else first


def named_by(hit: Hit) -> frozenset[str]:
    """Return the terms by which a passage's document is named: they tell which machine is meant."""
    names = f"{hit.document.title} {hit.document.file}"
    return terms(f"{names} {names.replace('-', ' ')}")


def about(hit: Hit, asked: frozenset[str]) -> float:
    """Return how much of a question a passage has; what names its document counts twice."""
    document = hit.document
    names = f"{document.title} {document.file} {document.model} {' '.join(document.tags)}"
    names += f" {hit.passage.section}"
    begins = hit.passage.text[:_BEGINNING]
    named = shared(asked, f"{names} {names.replace('-', ' ')}")
    return sum(map(weight, named)) + sum(map(weight, named | shared(asked, begins)))


def of_the_question(hits: Sequence[Hit], asked: frozenset[str]) -> tuple[list[Hit], list[Hit]]:
    """Return which definitions of a code are to answer, and those worth naming beside them.

    A code that several machines have is that of the machine, or of the trouble, which was named:
    of equally good hits those answer that have most of the question, and their documents' others.
    Beside them stand those that have half of it.
    """
    shares = [about(hit, asked) for hit in hits]
    equal = [hit.score >= hits[0].score - _EQUAL for hit in hits]
    most = max(share for share, good in zip(shares, equal, strict=True) if good)
    ranked = list(zip(hits, shares, equal, strict=True))
    answering = [hit for hit, share, good in ranked if good and share >= most]
    documents = {hit.document.doc_id for hit in answering}
    answering = distinct([*answering, *(h for h in hits if h.document.doc_id in documents)])
    beside = distinct([*answering, *(hit for hit, share, _ in ranked if share >= most / 2)])
    return answering, beside[len(answering) :]


def best_definition(hits: Sequence[Hit], code: str, lang: Language) -> tuple[Hit, Definition]:
    """Return the definition to answer from: the best, or its richer sister of the same document.

    A code is often listed twice, once by name alone (a register's values) and once with causes
    and remedies.
    """
    first = best(hits, lang)
    sisters = [hit for hit in hits if _sisters(hit, first)]
    for hit in (first, *sisters):
        definition = define(hit.passage, code=code, lang=lang)
        if definition.causes or definition.actions:
            return hit, definition
    return first, define(first.passage, code=code, lang=lang)


def to_cite(used: Sequence[Hit], others: Sequence[Hit]) -> list[Hit]:
    """Return the hits to cite: those used first, then what else is relevant, best first."""
    floor = NEAR * max((hit.score for hit in (*used, *others)), default=0.0)
    near = [hit for hit in others if hit.by == "code" or hit.score >= floor]
    return distinct([*used, *near])[:MOST_CITED]


def _as_good(hit: Hit, first: Hit) -> bool:
    return hit.document.doc_id == first.document.doc_id


def _sisters(hit: Hit, first: Hit) -> bool:
    return (
        identity(hit) != identity(first)
        and hit.document.doc_id == first.document.doc_id
        and spoken(hit) == spoken(first)
    )
