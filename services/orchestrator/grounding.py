"""Does the model's answer stand on its passages?

A statement is supported when the passages it cites exist, when every fault code, parameter
number and number with a unit in it stands in one of them, and when it shares at least one word
with them (where both are in the same language). No more is claimed: what cannot be looked up
is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.generation import Generated, Point, PromptPassage
from services.orchestrator.facts import facts
from services.orchestrator.language import has_ideographs
from services.orchestrator.sentences import terms


@dataclass(frozen=True, slots=True)
class Doubt:
    """A statement that does not stand on its passages."""

    statement: str
    """As the model wrote it."""
    why: str
    """What is wrong, for a person: `cites [4], which it was not given`."""


@dataclass(frozen=True, slots=True)
class Grounding:
    """What of an answer stands on its passages."""

    summary_stands: bool
    """Whether the summary's facts stand in the passages."""
    causes: list[Point]
    """The supported ones, in order."""
    actions: list[Point]
    """The supported ones, in order."""
    doubts: list[Doubt]
    """The unsupported statements: summary, causes, actions."""
    share: float
    """Supported statements among all, the summary counted as one; 0 to 1."""
    grounded: bool
    """Whether every statement is supported and at least one cites a passage."""


def ground(generated: Generated, passages: Sequence[PromptPassage]) -> Grounding:
    """Check each statement of a model's answer against the passages it was given.

    Args:
        generated: The answer.
        passages: The passages of the request, best first; only the first
            `generated.passages_used` were seen by the model.
    """
    seen = {passage.n: passage for passage in passages[: max(0, generated.passages_used)]}
    doubts: list[Doubt] = []
    if why := _contradicts(generated.summary, list(seen.values())):
        doubts.append(Doubt(generated.summary, why))
    summary_stands = not doubts
    causes = _kept(generated.causes, seen, doubts)
    actions = _kept(generated.actions, seen, doubts)
    statements = 1 + len(generated.causes) + len(generated.actions)
    return Grounding(
        summary_stands=summary_stands,
        causes=causes,
        actions=actions,
        doubts=doubts,
        share=(statements - len(doubts)) / statements,
        grounded=not doubts and bool(causes or actions),
    )


def _kept(
    points: Sequence[Point], seen: dict[int, PromptPassage], doubts: list[Doubt]
) -> list[Point]:
    kept: list[Point] = []
    for point in points:
        if why := _unsupported(point, seen):
            doubts.append(Doubt(point.text, why))
        else:
            kept.append(point)
    return kept


def _unsupported(point: Point, seen: dict[int, PromptPassage]) -> str:
    """Return why a point does not stand on its passages, empty when it does."""
    if not point.passages:
        return "cites no passage"
    absent = sorted({n for n in point.passages if n not in seen})
    if absent:
        return f"cites {_numbers(absent)}, which it was not given"
    cited = [seen[n] for n in dict.fromkeys(point.passages)]
    return _contradicts(point.text, cited) or _has_nothing_of(point.text, cited)


def _contradicts(statement: str, cited: Sequence[PromptPassage]) -> str:
    """Return which codes and quantities of a statement are in none of the passages."""
    said = facts(statement)
    missing = said.all_written()
    for passage in cited:
        missing &= facts(passage.text).lacks(said)
    where = _numbers([passage.n for passage in cited]) or "any passage"
    return f"{', '.join(sorted(missing))} not in {where}" if missing else ""


def _has_nothing_of(statement: str, cited: Sequence[PromptPassage]) -> str:
    """Say so when a statement shares no word with what it cites; across languages none is due."""
    same = [p for p in cited if has_ideographs(p.text) == has_ideographs(statement)]
    said = terms(statement)
    if len(same) < len(cited) or not said or any(said & terms(p.text) for p in same):
        return ""
    return f"shares no word with {_numbers([passage.n for passage in cited])}"


def _numbers(numbers: Sequence[int]) -> str:
    return " ".join(f"[{n}]" for n in numbers)
