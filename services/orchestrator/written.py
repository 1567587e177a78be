"""What the language model wrote, in the form of an answer (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas.answers import Answer, Extract
from schemas.generation import Generated, PromptPassage
from schemas.retrieval import Hit
from services.orchestrator.definition import define, is_of_another_code, names, words_of
from services.orchestrator.grounding import Checked, Grounding, ground
from services.orchestrator.language import has_ideographs
from services.orchestrator.notes import join, note
from services.orchestrator.phrases import Phrases, phrases
from services.orchestrator.prompt import passages
from services.orchestrator.quote import citations


@dataclass(frozen=True, slots=True)
class Bearing:
    """What passages have to do with the code asked for; see `ground`."""

    of_another: list[int]
    """Numbers of those that are the entry of another fault."""
    naming: list[int] | None
    """Numbers of those that have it; None where none was asked for."""


def bearing(answer: Answer, hits: Sequence[Hit]) -> Bearing:
    """Return what passages have to do with the code an answer is about; as `written`."""
    codes = _asked(answer)
    return Bearing(
        of_another=[n for n, hit in enumerate(hits, 1) if _is_of_another(hit, codes)],
        naming=[n for n, hit in enumerate(hits, 1) if _names(hit, codes)] if codes else None,
    )


def check(generated: Generated, shown: Sequence[PromptPassage], bears: Bearing) -> Grounding:
    """Return what of a model's answer stands on the passages it was given."""
    return ground(generated, shown, of_another=bears.of_another, naming=bears.naming)


def written(
    answer: Answer,
    generated: Generated,
    hits: Sequence[Hit],
    *,
    least: float,
    checked: Grounding | None = None,
) -> Answer:
    """Return the model's answer, with what does not stand on the manuals marked in its text.

    Args:
        answer: what the passages gave by themselves; it goes along where the model's is doubtful.
        generated: what the model wrote.
        hits: the passages it was given, in the order it was given them: those that `answer` cites
            first, as it numbers them.
        least: the share of supported statements from which on it is grounded.
        checked: what `check` said of it, where that was asked already.
    """
    checked = checked or check(generated, passages(hits), bearing(answer, hits))
    grounded = checked.holds(least)
    words = phrases(answer.lang)
    first = checked.summary.point.text if checked.summary_stands else answer.summary
    cited = citations(hits, {})
    return msgspec.structs.replace(
        answer,
        stage="final",
        summary=first if grounded else answer.summary,
        causes=[point.text for point in checked.causes],
        actions=[point.text for point in checked.actions],
        text="\n".join(_lines(first, checked, words)),
        # Those of the manuals' own words quote what these rest on.
        citations=[*answer.citations, *cited[len(answer.citations) :]],
        answered_by="model",
        model=generated.model,
        grounded=grounded,
        extract=None if grounded else _extract(answer),
        note=join(answer.note, _note(checked, answer, grounded=grounded)),
    )


def _asked(answer: Answer) -> list[str]:
    """Return the codes asked about: the answer's, and what in the question is spelled like one."""
    if not answer.code:
        return []
    like = [
        word
        for word in words_of(answer.question)
        if any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
    ]
    return list(dict.fromkeys((answer.code, *like)))


def _is_of_another(hit: Hit, codes: Sequence[str]) -> bool:
    """Return whether a passage is the entry of a fault that nobody asked about.

    A parameter's row has a code too; it is causes and remedies that belong to one fault alone.
    """
    if not codes or not hit.passage.fields or _names(hit, codes):
        return False
    if not all(is_of_another_code(hit.passage, code) for code in codes):
        return False
    entry = define(hit.passage, code="", lang="zh" if has_ideographs(hit.passage.text) else "en")
    return bool(entry.causes or entry.actions)


def _names(hit: Hit, codes: Sequence[str]) -> bool:
    """Return whether a passage has one of the codes."""
    by_code = hit.by == "code" and not is_of_another_code(hit.passage, codes[0])
    return by_code or any(names(hit.passage, code) for code in codes)


def _lines(summary: str, checked: Grounding, words: Phrases) -> list[str]:
    """Return the text: what is supported, then the rest under a heading of its own."""
    lines = [summary]
    for title, parts in zip((words.causes, words.actions), checked.parts, strict=True):
        standing = [part.point for part in parts if part.stands]
        if standing:
            lines += ["", title]
            lines += [f"{n}. {p.text}{_marks(p.passages)}" for n, p in enumerate(standing, 1)]
    if checked.doubtful:
        lines += ["", words.unsupported, *(_marked(part, words) for part in checked.doubtful)]
    return lines


def _marked(part: Checked, words: Phrases) -> str:
    """Return a doubtful part with a mark before each sentence that is not supported."""
    said = (
        f"{words.mark} {statement}" if why else f"{statement}{_marks(part.point.passages)}"
        for statement, why in part.statements
    )
    return f"- {' '.join(said)}"


def _marks(numbers: Sequence[int]) -> str:
    return "".join(f" [{number}]" for number in numbers)


def _extract(answer: Answer) -> Extract:
    return Extract(
        summary=answer.summary, causes=answer.causes, actions=answer.actions, text=answer.text
    )


def _note(checked: Grounding, answer: Answer, *, grounded: bool) -> str:
    if grounded and not checked.doubts:
        return ""
    doubts, every = len(checked.doubts), checked.statements
    key = "doubts" if grounded else "not_grounded"
    return note(key, answer.lang).format(doubts=doubts, all=every, stand=every - doubts)
