"""What to prepare while the language model is idle, and when (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from schemas.retrieval import Unit
from services.orchestrator.columns import role_of

_DAY = 24 * 60
"""Minutes."""
_TELLS = frozenset({"cause", "action", "both"})


@dataclass(frozen=True, slots=True)
class Basis:
    """What a prepared answer was made with; another one makes it due again."""

    generation: int
    """Of the corpus."""
    model: str
    """The language model, as `made.known_as` has it."""
    prompt: str
    """Versions of the prompts."""

    def __str__(self) -> str:
        """Return what tells it from others, short: it stands beside each code of a plant."""
        whole = f"{self.generation} {self.prompt} {self.model}".encode()
        return blake2b(whole, digest_size=8).hexdigest()


def closes(hours: Sequence[str], moment: datetime) -> datetime | None:
    """Return when the open span ends that a moment lies in; None where it never does.

    Spans that meet or overlap are one.

    Args:
        hours: `22:00-06:00`, the end not included; none: always. From and to being the same is
            the whole day.
        moment: local time; outside of the spans it is the end itself.
    """
    now = moment.hour * 60 + moment.minute
    left = 0
    while more := max((_left(span, (now + left) % _DAY) for span in hours), default=_DAY):
        left += more
        if left >= _DAY:
            return None
    begun = timedelta(seconds=moment.second, microseconds=moment.microsecond)
    return moment + timedelta(minutes=left) - begun if left else moment


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


def _left(span: str, now: int) -> int:
    """Return how many minutes of a span are left at a minute of the day; 0 outside of it."""
    begin, end = (_minutes(part) for part in span.split("-"))
    # One that goes past midnight, or around to where it began, ends a day later.
    if end <= begin:
        end += _DAY
    for at in (now, now + _DAY):
        if begin <= at < end:
            return end - at
    return 0


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
