"""An answer out of passages, without any model.

A row of a fault table or a fault entry says everything a fitter asks for; here its columns
become summary, causes and actions. Running text gives its sentences nearest to the question.
What the manuals do not have is said, never guessed from a neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    plain,
)
from services.orchestrator.phrases import Phrases, phrases
from services.orchestrator.quote import quote
from services.orchestrator.running import nearest, sentences_of
from services.orchestrator.sentences import overlap, sentences, terms

_ROUND_ABOUT = range(-1, 5)
"""Sentences round the best one, relative to it, that may give its causes and actions."""

_STOPS = " .。;；:：,，"

_LONGEST_TAIL = 160
"""Characters of the first cause, or of the meaning, in a summary."""


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
    near: Mapping[str, Sequence[str]] | None = None,
) -> Extract:
    """Answer from passages alone.

    Args:
        hits: Passages, best first.
        question: What was asked.
        code: Fault code from the payload, empty when there is none.
        lang: Language of the answer; the manual's words stay as they are.
        unknown_codes: Codes of the question that no document has.
        near: By unknown code, those that may have been meant.

    Returns:
        The answer. A code no passage defines is never answered from another code's row.
    """
    words = phrases(lang)
    hits = distinct(hits)
    unknown = _unknown(hits, code, unknown_codes)
    missing = _missing(unknown, near or {}, words)
    coded = [hit for hit in hits if hit.by == "code" and not _of_another(hit, code)]
    if code in unknown or (unknown and not coded):
        return _without_code(hits, missing, question, lang)
    if not hits:
        return _nothing(words.nothing)
    defining = [hit for hit in coded if structured(hit)]
    if defining:
        return _defined(defining, hits, code, lang, missing)
    first = best(coded or hits, lang)
    if structured(first):
        return _defined([first], hits, code, lang, missing)
    return _from_text(first, hits, f"{code} {question}", lang, missing)


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


def _missing(unknown: Sequence[str], near: Mapping[str, Sequence[str]], words: Phrases) -> str:
    """Say which codes no manual has, and which of those it has may have been meant."""
    if not unknown:
        return ""
    said = words.unknown.format(codes=words.comma.join(unknown))
    spelled = {canonical(code): offered for code, offered in near.items()}
    offered = dict.fromkeys(one for code in unknown for one in spelled.get(canonical(code), ()))
    return said + (words.near.format(codes=words.comma.join(offered)) if offered else "")


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
    defining: Sequence[Hit], hits: Sequence[Hit], code: str, lang: Language, missing: str
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
    rest = [h for h in hits if h.by == "code" or h.passage.kind == "text"]
    cited = to_cite(used, rest)
    numbers = {identity(h): n for n, h in enumerate(cited, 1)}
    summary = _summary(main, code, words)
    if not any(character.isalnum() for character in summary):
        summary = quote(hit.passage.text, limit=_LONGEST_TAIL)
    lines = [f"{summary} [1]"]
    if main.meaning and main.meaning not in summary:
        lines += ["", f"{main.meaning} [1]"]
    lines += _section(words.causes, main.causes) + _section(words.actions, main.actions)
    if main.reaction:
        lines += ["", f"{words.reaction}{words.colon}{main.reaction} [1]"]
    lines += _section(words.notes, main.asides)
    if main.rest:
        lines += ["", *(f"{plain(f.name)}{words.colon}{plain(f.value)} [1]" for f in main.rest)]
    also = [
        f"{_summary(d, '', words)} [{numbers[identity(o)]}]"
        for o, d in differing
        if identity(o) in numbers
    ]
    if also:
        lines += ["", words.also, *also]
    same_code = any(canonical(d.code) == canonical(main.code) for _, d in differing)
    return Extract(
        summary=summary,
        causes=main.causes,
        actions=main.actions,
        text="\n".join(lines),
        citations=citations(cited, {}),
        answered_by="extract",
        note=_note(missing, words.several if same_code else "", _other_language(hit, lang)),
    )


def _key(definition: Definition) -> tuple[str, str]:
    return canonical(definition.code), canonical(definition.name)


def _summary(definition: Definition, code: str, words: Phrases) -> str:
    """Return code, name and first cause as one sentence in the language's punctuation."""
    printed = definition.code
    if code and canonical(printed) != canonical(code):
        printed = code
    head = " ".join(part for part in (printed, definition.name) if part)
    tail = next((cause for cause in definition.causes if cause[-1] not in ":："), "")
    tail = tail or definition.meaning
    if not tail and not definition.actions:
        tail = words.comma.join(f"{plain(f.name)} {plain(f.value)}" for f in definition.rest)
    if not tail and not definition.name:
        tail = next(iter(definition.actions), "")
    tail = next(iter(sentences(tail)), "")
    if len(tail) > _LONGEST_TAIL:
        tail = quote(tail, limit=_LONGEST_TAIL) + "…"
    parts = (part.rstrip(_STOPS) for part in (head, tail))
    return words.colon.join(part for part in parts if part) + words.stop


def _section(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    return ["", title, *(f"{n}. {entry} [1]" for n, entry in enumerate(entries, 1))]


def _from_text(
    hit: Hit, hits: Sequence[Hit], question: str, lang: Language, missing: str
) -> Extract:
    """Answer from the sentences of running text that are nearest to the question."""
    words = phrases(lang)
    # The document's title says which machine is meant, not what is asked about it.
    asked = terms(question)
    asked = asked - terms(f"{hit.document.title} {hit.document.file}") or asked
    ranked = nearest(hit, asked)
    summary, place = ranked[0]
    found = sentences_of(hit)
    near = [found[place + step] for step in _ROUND_ABOUT if 0 <= place + step < len(found)]
    causes = [sentence for sentence in near if is_cause(sentence)]
    actions = [sentence for sentence in near if is_action(sentence)]
    told = sorted(place for _, place in ranked[:3] if overlap(asked, found[place]))
    lines = [f"{found[place]} [1]" for place in told] or [f"{summary} [1]"]
    lines += _section(words.causes, causes) + _section(words.actions, actions)
    cited = to_cite([hit], hits)
    bearing = {identity(h): nearest(h, asked)[0][0] for h in cited if not structured(h)}
    return Extract(
        summary=summary,
        causes=causes,
        actions=actions,
        text="\n".join(lines),
        citations=citations(cited, bearing),
        answered_by="extract",
        note=_note(missing, _other_language(hit, lang)),
    )


def citations(hits: Sequence[Hit], bearing: dict[tuple[str, int, int], str]) -> list[Citation]:
    """Return where each passage stands, numbered from 1.

    Args:
        hits: Passages.
        bearing: By `choice.identity`, the words a quote begins with; the beginning where missing.
    """
    return [
        Citation(
            n=n,
            document=hit.document.title,
            file=hit.document.file,
            doc_id=hit.document.doc_id,
            revision=hit.document.revision,
            page=hit.passage.page,
            section=hit.passage.section,
            quote=quote(hit.passage.text, bearing.get(identity(hit), "")),
            score=round(min(1.0, max(0.0, hit.score)), 3),
        )
        for n, hit in enumerate(hits, 1)
    ]


def _other_language(hit: Hit, lang: Language) -> str:
    return "" if spoken(hit) == lang else phrases(lang).only


def _note(*parts: str) -> str:
    return " ".join(part for part in parts if part)
