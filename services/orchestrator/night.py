"""What to prepare while the language model is idle, and when (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import time

from schemas.retrieval import Unit
from services.orchestrator.columns import role_of

_TELLS = frozenset({"cause", "action", "both"})


@dataclass(frozen=True, slots=True)
class Basis:
    """What a prepared answer was made with; another one makes it due again."""

    generation: int
    """Of the corpus."""
    model: str
    """Name of the language model."""
    prompt: str
    """Versions of the prompts."""

    def __str__(self) -> str:
        return f"{self.generation} {self.prompt} {self.model}"


def is_open(hours: Sequence[str], moment: time) -> bool:
    """Return whether a time of the day lies in one of the spans.

    Args:
        hours: `22:00-06:00`, the end not included; none: always. From and to being the same is
            the whole day.
        moment: local time.
    """
    now = moment.hour * 60 + moment.minute
    for span in hours:
        begin, end = (_minutes(part) for part in span.split("-"))
        # One that goes past midnight is all but what lies between its end and its beginning.
        if begin <= now < end if begin < end else not end <= now < begin:
            return True
    return not hours


def rest_s(took_s: float, share: float) -> float:
    """Return how long the model rests after work, so that it works `share` of the time; s."""
    return took_s * (1 / share - 1)


def worth_preparing(unit: Unit) -> bool:
    """Return whether a passage tells of a code what a model could put into an answer.

    Parameters and numbers of parts have neither causes nor remedies.
    """
    return any(role_of(header) in _TELLS for header in unit.headers)


def planned(occurred: Iterable[str], units: Iterable[str]) -> list[str]:
    """Return codes, the most likely first: those that occurred, then those of the manuals.

    Args:
        occurred: most frequent first, as they were reported.
        units: in the order of the manuals.
    """
    return list(dict.fromkeys([*occurred, *units]))


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
