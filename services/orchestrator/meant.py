"""What a question means: its code, and where it has none the passage that it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from schemas.answers import Language
from schemas.retrieval import Hit
from services.orchestrator.choice import NEAR, best, identity, named_by, structured
from services.orchestrator.definition import (
    Definition,
    canonical,
    define,
    is_of_another_code,
    names,
    words_of,
)
from services.orchestrator.running import tell
from services.orchestrator.sentences import GENERIC, shared, terms, weight

_NUMBER = re.compile(r"\d+")
_LEAST = 2.0
"""Weight of terms that a name must share with the question."""
_HALF = 0.5
"""Share of a name's terms that the question must have, where running text was found first."""


def meant(hits: Sequence[Hit], asked: frozenset[str], lang: Language) -> Hit:
    """Return the passage to answer from.

    A symptom is often described somewhere and defined in a row of the fault table that is named
    like it; a parameter's own row is named by nothing more than what was asked for. A row that
    shares no word with the question, only its heading, is passed over for the text beside it.

    Args:
        hits: Passages, best first; at least one.
        asked: Terms of the question.
        lang: Language of the answer.
    """
    first = best(hits, lang)
    asked = asked - named_by(first) - GENERIC
    floor = NEAR * max(hit.score for hit in hits)
    near = [hit for hit in hits if hit is not first and hit.score >= floor and _beside(hit, first)]
    if structured(first) and not shared(asked, " ".join(f.value for f in first.passage.fields)):
        texts = [(_weight(shared(asked, hit.passage.text)), hit) for hit in near if _is_text(hit)]
        most, hit = max(texts, key=lambda one: one[0], default=(0.0, first))
        return hit if most else first
    whole, part = _named(first, asked, lang)
    for hit in near:
        if not structured(hit):
            continue
        definition = define(hit.passage, code="", lang=lang)
        if not structured(first) and not (definition.causes or definition.actions):
            continue
        most, share = _of_name(definition, asked)
        if most >= max(_LEAST, whole) and share > part:
            first, whole, part = hit, most, share
    return first


def code_meant(hits: Sequence[Hit], code: str, question: str, unknown_codes: Sequence[str]) -> str:
    """Return the code a question is about: where the first is only a product's name, another."""
    rows = [hit for hit in hits if hit.by == "code" and structured(hit)]
    if not code or canonical(code) in map(canonical, unknown_codes) or not rows:
        return code
    if not all(of_another(hit, code) for hit in rows):
        return code
    asked = set(map(canonical, words_of(question)))
    cells = (define(hit.passage, code="", lang="en").code for hit in rows)
    return next((cell for cell in cells if cell and canonical(cell) in asked), code)


def with_code(hits: Sequence[Hit], coded: Sequence[Hit], code: str) -> list[Hit]:
    """Return the passages with the code, in the order found: words may know better than it."""
    places = {identity(hit) for hit in coded}
    return [
        hit
        for hit in hits
        if identity(hit) in places or (names(hit.passage, code) and not of_another(hit, code))
    ]


def of_another(hit: Hit, code: str) -> bool:
    """Return whether a passage found by a code is plainly about another one."""
    return bool(code) and is_of_another_code(hit.passage, code)


def _beside(hit: Hit, first: Hit) -> bool:
    """Return whether two passages are of one manual: a document, or a folder of them."""
    one, other = (PurePosixPath(h.document.file).parent.parent for h in (hit, first))
    same = hit.document.doc_id == first.document.doc_id
    return same or (one == other and one.name != "")


def _is_text(hit: Hit) -> bool:
    return hit.passage.kind == "text"


def _named(first: Hit, asked: frozenset[str], lang: Language) -> tuple[float, float]:
    """Return what a name must have more than the first passage has, in weight and in share."""
    if structured(first):
        definition = define(first.passage, code="", lang=lang)
        return _of_name(definition, asked) if definition.name else (_weight(asked), 1.0)
    told = tell(first, asked, room=0)
    return _weight(shared(asked, f"{told.head} {told.best}")), _HALF


def _of_name(definition: Definition, asked: frozenset[str]) -> tuple[float, float]:
    """Return what a name has of the question, and which share of the name that is."""
    has = _weight(shared(asked, definition.name))
    # `Ramp time 1`: what only counts is no part of the name.
    return has, has / (_weight(terms(_NUMBER.sub(" ", definition.name))) or 1.0)


def _weight(found: frozenset[str]) -> float:
    return sum(map(weight, found))
