"""An answer out of passages, without any model.

A row of a fault table or a fault entry says everything a fitter asks for; here its columns
become summary, causes and actions. Running text gives its sentences nearest to the question.
What the manuals do not have is said, never guessed from a neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.answers import Citation, Language
from schemas.retrieval import Hit
from services.orchestrator.choice import (
    best,
    best_definition,
    distinct,
    identity,
    spoken,
    structured,
    to_cite,
)
from services.orchestrator.cues import is_action, is_cause
from services.orchestrator.definition import (
    Definition,
    canonical,
    define,
    is_of_another_code,
)
from services.orchestrator.phrases import phrases
from services.orchestrator.quote import citations, quote
from services.orchestrator.running import nearest, tell
from services.orchestrator.sentences import overlap, shared, terms
from services.orchestrator.wording import (
    LONGEST_TAIL,
    bearing_of,
    sentence_of,
    squeezed,
    summary_of,
    titled,
    told_of,
)

_MOST_RELATED = 3
"""Passages behind the first that say something in the text."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What the passages answer; the fields are those of `schemas.answers.Answer`."""

    summary: str
    """One sentence."""
    causes: list[str]
    """In the manual's words and order."""
    actions: list[str]
    """In the manual's words and order."""
    text: str
    """The whole answer, [n] referring to the citations."""
    citations: list[Citation]
    """Numbered from 1; the passage that answers first."""
    answered_by: Literal["extract", "none"]
    """`none` when nothing was found."""
    note: str
    """Unknown code, other language, more than one meaning; empty for none of these."""


def extract(
    hits: Sequence[Hit],
    *,
    question: str,
    code: str,
    lang: Language,
    unknown_codes: Sequence[str] = (),
) -> Extract:
    """Answer from passages alone.

    Args:
        hits: Passages, best first.
        question: What was asked.
        code: Fault code from the payload, empty when there is none.
        lang: Language of the answer; the manual's words stay as they are.
        unknown_codes: Codes of the question that no document has.

    Returns:
        The answer. A code no passage defines is never answered from another code's row.
    """
    words = phrases(lang)
    hits = distinct(hits)
    unknown = _unknown(hits, code, unknown_codes)
    missing = words.unknown.format(codes=words.comma.join(unknown)) if unknown else ""
    coded = [hit for hit in hits if hit.by == "code" and not _of_another(hit, code)]
    if code in unknown or (unknown and not coded):
        return _without_code(hits, missing, question, lang)
    if not hits:
        return _nothing(words.nothing)
    asked = terms(f"{code} {question}")
    defining = [hit for hit in coded if structured(hit)]
    first = defining[0] if defining else best(coded or hits, lang)
    if structured(first):
        rows = defining or [first]
        return _defined(rows, hits, code=code, asked=asked, lang=lang, missing=missing)
    return _from_text(first, hits, asked=asked, lang=lang, missing=missing)


def _unknown(hits: Sequence[Hit], code: str, unknown_codes: Sequence[str]) -> list[str]:
    """Return the codes asked for that the manuals do not have, each once, as first spelled."""
    asked = list(unknown_codes)
    known = any(hit.by == "code" and not _of_another(hit, code) for hit in hits)
    if code and (not known or canonical(code) in map(canonical, unknown_codes)):
        asked.insert(0, code)
    once: dict[str, str] = {}
    for spelled in asked:
        once.setdefault(canonical(spelled), spelled)
    return list(once.values())


def _of_another(hit: Hit, code: str) -> bool:
    return bool(code) and is_of_another_code(hit.passage, code)


def _nothing(summary: str) -> Extract:
    return Extract(
        summary=summary,
        causes=[],
        actions=[],
        text=summary,
        citations=[],
        answered_by="none",
        note=summary,
    )


def _without_code(hits: Sequence[Hit], missing: str, question: str, lang: Language) -> Extract:
    """Say that the code is unknown; cite running text that shares other words with the question."""
    about = frozenset(t for t in terms(question) if not any(c.isdigit() for c in t))
    related = [
        (hit, sentence)
        for hit in hits
        if hit.passage.kind == "text" and overlap(about, sentence := nearest(hit, about)[0][0]) >= 2
    ]
    if not related:
        return _nothing(missing)
    bearing = {identity(hit): sentence for hit, sentence in related}
    cited = to_cite([], [hit for hit, _ in related])
    lines = [f"{bearing[identity(hit)]} [{n}]" for n, hit in enumerate(cited, 1)]
    return Extract(
        summary=missing,
        causes=[],
        actions=[],
        text="\n".join([missing, "", phrases(lang).related, *lines]),
        citations=citations(cited, bearing),
        answered_by="extract",
        note=missing,
    )


def _defined(
    defining: Sequence[Hit],
    hits: Sequence[Hit],
    *,
    code: str,
    asked: frozenset[str],
    lang: Language,
    missing: str,
) -> Extract:
    """Answer from a row or an entry."""
    words = phrases(lang)
    hit, main = best_definition(defining, code, lang)
    others = [
        (other, define(other.passage, code=code, lang=lang))
        for other in defining
        if identity(other) != identity(hit) and spoken(other) == spoken(hit)
    ]
    differing = [(o, d) for o, d in others if d.name and _key(d) != _key(main)]
    used = [hit, *(other for other, _ in differing)]
    rest = [h for h in hits if h.by == "code" or h.passage.kind == "text" or hit.by != "code"]
    cited = to_cite(used, rest)
    numbers = {identity(h): n for n, h in enumerate(cited, 1)}
    summary = summary_of(main, code) or quote(hit.passage.text, limit=LONGEST_TAIL)
    lines = told_of(main, code, summary, words)
    also = [
        f"{titled(o, hit, summary_of(d))} [{numbers[identity(o)]}]"
        for o, d in differing
        if identity(o) in numbers
    ]
    if also:
        lines += ["", words.also, *dict.fromkeys(also)]
    bearing: dict[tuple[str, int, int], str] = {}
    if hit.by != "code":
        lines += _related(cited, asked, "\n".join(lines), lang, bearing)
    same_code = any(canonical(d.code) == canonical(main.code) for _, d in differing)
    return Extract(
        summary=summary,
        causes=main.causes,
        actions=main.actions,
        text="\n".join(lines),
        citations=citations(cited, bearing),
        answered_by="extract",
        note=_note(missing, words.several if same_code else "", _other_language(hit, lang)),
    )


def _key(definition: Definition) -> tuple[str, str]:
    return canonical(definition.code), canonical(definition.name)


def _from_text(
    hit: Hit, hits: Sequence[Hit], *, asked: frozenset[str], lang: Language, missing: str
) -> Extract:
    """Answer from what running text says on the question, and the passages beside it."""
    # The document's title says which machine is meant, not what is asked about it.
    asked = asked - terms(f"{hit.document.title} {hit.document.file}") or asked
    told = tell(hit, asked)
    cited = to_cite([hit], hits)
    bearing = {identity(hit): bearing_of(hit, told)}
    lines = [f"{line} [1]" for line in (told.head, *told.sentences) if line]
    lines += _related(cited, asked, "\n".join(lines), lang, bearing)
    return Extract(
        summary=sentence_of(told),
        causes=[sentence for sentence in told.sentences if is_cause(sentence)],
        actions=[sentence for sentence in told.sentences if is_action(sentence)],
        text="\n".join(lines),
        citations=citations(cited, bearing),
        answered_by="extract",
        note=_note(missing, _other_language(hit, lang)),
    )


def _related(
    cited: Sequence[Hit],
    asked: frozenset[str],
    said: str,
    lang: Language,
    bearing: dict[tuple[str, int, int], str],
) -> list[str]:
    """Return what the passages behind the first say on the question, a sentence of each.

    Args:
        cited: The passages in the order of their numbers, the first answers already.
        asked: Terms of the question.
        said: What the answer says so far: nothing is said twice.
        lang: Language of the answer.
        bearing: Takes the words that the quotes begin with.
    """
    known = shared(asked, said)
    seen = squeezed(said)
    lines: list[str] = []
    for n, hit in enumerate(cited[1:], 2):
        if structured(hit):
            sentence = summary_of(define(hit.passage, code="", lang=lang))
        else:
            told = tell(hit, asked, room=0)
            bearing[identity(hit)] = bearing_of(hit, told)
            sentence = sentence_of(told)
        gained = shared(asked, sentence)
        new = squeezed(sentence)
        if not new or new in seen or not (gained - known or len(gained) * 2 > len(known)):
            continue
        if not gained or len(lines) >= _MOST_RELATED:
            continue
        seen += new
        lines.append(f"{titled(hit, cited[0], sentence)} [{n}]")
    return ["", phrases(lang).related, *lines] if lines else []


def _other_language(hit: Hit, lang: Language) -> str:
    return "" if spoken(hit) == lang else phrases(lang).only


def _note(*parts: str) -> str:
    return " ".join(part for part in parts if part)
