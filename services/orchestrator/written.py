"""What the language model wrote, in the form of an answer (pure)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.answers import Answer
from schemas.generation import Generated, Point
from schemas.retrieval import Hit
from services.orchestrator.grounding import Grounding, ground
from services.orchestrator.notes import join, note
from services.orchestrator.phrases import phrases
from services.orchestrator.prompt import passages
from services.orchestrator.quote import citations

LEAST_SHARE = 0.5
"""Share of supported statements below which the manual's own words are the better answer."""


def check(_answer: Answer, generated: Generated, hits: Sequence[Hit]) -> Grounding:
    """Return what of a model's answer stands on the passages it was given; as `written`."""
    return ground(generated, passages(hits))


def written(answer: Answer, generated: Generated, hits: Sequence[Hit]) -> Answer:
    """Return the model's answer with its unsupported statements left out.

    Args:
        answer: what the passages gave by themselves; stands where the model's does not.
        generated: what the model wrote.
        hits: the passages it was given, in the order it was given them.
    """
    checked = check(answer, generated, hits)
    points = [*checked.causes, *checked.actions]
    if checked.share < LEAST_SHARE or not points:
        return msgspec.structs.replace(
            answer, stage="final", note=join(answer.note, note("not_grounded", answer.lang))
        )
    words = phrases(answer.lang)
    summary = generated.summary if checked.summary_stands else answer.summary
    lines = [summary]
    lines += _section(words.causes, checked.causes) + _section(words.actions, checked.actions)
    return msgspec.structs.replace(
        answer,
        stage="final",
        summary=summary,
        causes=[point.text for point in checked.causes],
        actions=[point.text for point in checked.actions],
        text="\n".join(lines),
        citations=citations(hits, {}),
        answered_by="model",
        model=generated.model,
        grounded=checked.grounded,
    )


def _section(title: str, points: Sequence[Point]) -> list[str]:
    if not points:
        return []
    rows = []
    for n, point in enumerate(points, start=1):
        marks = "".join(f" [{number}]" for number in point.passages)
        rows.append(f"{n}. {point.text}{marks}")
    return ["", title, *rows]
