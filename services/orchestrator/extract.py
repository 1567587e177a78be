"""An answer out of passages, without any model.

A row of a fault table or a fault entry says everything a fitter asks for; here its columns
become summary, causes and actions. Running text gives its sentences nearest to the question.
What the manuals do not have is said, never guessed from a neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.answers import Citation, Language
from schemas.retrieval import Hit
from services.orchestrator.alike import alike
from services.orchestrator.choice import (
    best_definition,
    distinct,
    identity,
    named_by,
    of_the_question,
    spoken,
    structured,
    to_cite,
)
from services.orchestrator.cues import is_cause, is_step
from services.orchestrator.definition import (
    Definition,
    canonical,
    define,
    is_long,
    names,
)
from services.orchestrator.language import speaks
from services.orchestrator.meant import code_meant, meant, of_another, with_code
from services.orchestrator.phrases import Phrases, phrases
from services.orchestrator.quote import citations, quote
from services.orchestrator.related import related
from services.orchestrator.running import nearest, tell
from services.orchestrator.sentences import GENERIC, overlap, terms, terms_asked
from services.orchestrator.wording import (
    LONGEST_TAIL,
    bearing_of,
    called,
    listed,
    quoting,
    sentence_of,
    summary_of,
    titled,
    told_of,
    unmarked,
)

_MAKER = re.compile(r"[A-Z][A-Za-z]{2,}")


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
    code = code_meant(hits, code, question, unknown_codes)
    unknown = _unknown(hits, code, unknown_codes)
    missing = _missing(unknown, near or {}, words)
    coded = [hit for hit in hits if hit.by == "code" and not of_another(hit, code)]
    if code in unknown or (unknown and not coded):
        return _without_code(hits, missing, question, lang)
    if not hits:
        return _nothing(words.nothing)
    asked = terms_asked(f"{code} {question}")
    defining = [hit for hit in coded if structured(hit)]
    first = defining[0] if defining else meant(with_code(hits, coded, code) or hits, asked, lang)
    if structured(first) and (defining or not is_long(first)):
        rows = defining or [first]
        return _defined(rows, hits, code=code, asked=asked, lang=lang, missing=missing)
    return _from_text(first, hits, asked=asked, lang=lang, missing=missing)


def _unknown(hits: Sequence[Hit], code: str, unknown_codes: Sequence[str]) -> list[str]:
    """Return the codes asked for that the manuals do not have, each once, as first spelled."""
    asked = list(unknown_codes)
    known = any(hit.by == "code" and not of_another(hit, code) for hit in hits)
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
    makers = dict.fromkeys(maker for code in unknown if (maker := split_maker(code)[0]))
    if makers:
        # What others mean by its codes is no help.
        return words.stranger.format(maker=words.comma.join(makers))
    said = words.unknown.format(codes=words.comma.join(unknown))
    spelled = {canonical(code): offered for code, offered in near.items()}
    offered = dict.fromkeys(one for code in unknown for one in spelled.get(canonical(code), ()))
    return said + (words.near.format(codes=words.comma.join(offered)) if offered else "")


def split_maker(code: str) -> tuple[str, str]:
    """Return whose an unknown code is, where no manual speaks of the maker, and the code."""
    maker, _, own = code.rpartition(" ")
    return (maker, own) if _MAKER.match(maker) else ("", code)


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
    answering, beside = of_the_question(defining, asked)
    hit, main = best_definition(answering, code, lang)
    if not (main.name or main.causes or main.actions):
        # It only mentions the code: the one that was found first may define it.
        hit, main = defining[0], define(defining[0].passage, code=code, lang=lang)
    others = [
        (other, define(other.passage, code=code, lang=lang))
        for other in (*answering, *beside)
        if identity(other) != identity(hit) and spoken(other) == spoken(hit)
    ]
    differing = [(o, d) for o, d in others if d.name and not alike(d, main)]
    used = [hit, *(other for other, _ in differing)]
    rest = [h for h in hits if h.by == "code" or h.passage.kind == "text" or _belongs(h, hit, code)]
    cited = to_cite(used, rest)
    numbers = {identity(h): n for n, h in enumerate(cited, 1)}
    if foreign := _only(hit, main, lang):
        words, main = quoting(words), called(main, hit, words)
    summary = summary_of(main, code, asked) or quote(hit.passage.text, limit=LONGEST_TAIL)
    lines = told_of(main, code=code, asked=asked, summary=summary, words=words)
    lines += listed(hit, lines)
    if foreign and not (main.causes or main.actions):
        lines.insert(0, words.original)
    also = [
        f"{titled(o, hit, summary_of(d))} [{numbers[identity(o)]}]"
        for o, d in differing
        if identity(o) in numbers
    ]
    if also:
        lines += ["", words.also, *dict.fromkeys(also)]
    bearing: dict[tuple[str, int, int], str] = {}
    if hit.by == "code":
        asked = asked - terms(code) - GENERIC
    more = [(n, h) for n, h in enumerate(cited, 1) if n > len(used) and _belongs(h, hit, code)]
    if asked and more:
        lines += related(hit, more, asked=asked, said=lines, lang=lang, bearing=bearing)
    same_code = any(canonical(d.code) == canonical(main.code) for _, d in differing)
    return Extract(
        summary=summary,
        causes=main.causes,
        actions=main.actions,
        text="\n".join(lines),
        citations=citations(cited, bearing),
        answered_by="extract",
        note=_note(missing, words.several if same_code else "", foreign),
    )


def _belongs(other: Hit, hit: Hit, code: str) -> bool:
    """Return whether a passage may stand beside a row: never a neighbour of a code's entry."""
    if hit.by != "code":
        return True
    beside = other.document.doc_id == hit.document.doc_id or not canonical(code).isdigit()
    return beside and names(other.passage, code)


def _from_text(
    hit: Hit, hits: Sequence[Hit], *, asked: frozenset[str], lang: Language, missing: str
) -> Extract:
    """Answer from what running text says on the question, and the passages beside it."""
    words = phrases(lang)
    asked = asked - named_by(hit) or asked
    told = tell(hit, asked)
    said = [unmarked(sentence) for sentence in told.sentences]
    cited = to_cite([hit], hits)
    bearing = {identity(hit): bearing_of(hit, told)}
    note = _other_language(hit, lang)
    lines = [f"{line} [1]" for line in (told.head, *told.sentences) if line]
    lines += listed(hit, lines, begun=True)
    if note:
        lines.insert(0, words.original)
    more = list(enumerate(cited, 1))[1:]
    lines += related(hit, more, asked=asked, said=lines, lang=lang, bearing=bearing)
    return Extract(
        summary=sentence_of(told),
        causes=[sentence for sentence in said if is_cause(sentence)],
        actions=[sentence for sentence in said if is_step(sentence)],
        text="\n".join(lines),
        citations=citations(cited, bearing),
        answered_by="extract",
        note=_note(missing, note),
    )


def _only(hit: Hit, main: Definition, lang: Language) -> str:
    """Say so when a row speaks but the other language; one of two columns may be the right."""
    other = define(hit.passage, code=main.code, lang="en" if lang == "zh" else "zh")
    if main.name and main.name != other.name and speaks(main.name, lang):
        return ""  # it has the fault's name in both
    said = " ".join((main.name, main.meaning, *main.causes, *main.actions))
    said = said if said.strip() else " ".join(field.value for field in main.rest)
    return "" if speaks(said, lang) else phrases(lang).only


def _other_language(hit: Hit, lang: Language) -> str:
    return "" if spoken(hit) == lang else phrases(lang).only


def _note(*parts: str) -> str:
    return " ".join(part for part in parts if part)
