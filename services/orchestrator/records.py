"""What the ledger keeps, and what it is told to do, as typed values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec.structs import replace

from schemas.answers import Answer, Ask, Feedback
from schemas.errors import RejectedEvent
from schemas.faults import Alarm, Fault, Priority
from schemas.retrieval import Search
from services.orchestrator.effects import Forgotten


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """Where else an answer goes: a topic of the asker's own."""

    topic: str
    """Topic without wildcards."""
    correlation: bytes | None = None
    """MQTT 5 correlation data, given back unchanged."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be answered."""

    answer_id: str
    """Id of the answer to be."""
    place: str
    """Where it is published: the asset, or `ask/<client>`."""
    asset: str | None
    """The machine; None for a question without one."""
    code: str
    """Fault code, empty where there is none."""
    key: str = ""
    """Of the alarm, which its asset and this name; empty where there is none."""
    question: str
    """What the manuals are asked."""
    text: str = ""
    """The machine's own words, empty where there are none."""
    lang: Literal["en", "zh"]
    """Language of the answer."""
    priority: Priority
    """How urgent."""
    trace: str
    """W3C trace id."""
    copies: list[Copy] = []
    """Where it goes besides."""
    occurrences: int = 1
    """Reports of the alarm so far."""
    first_seen: str
    """First report, RFC 3339 UTC."""
    last_seen: str
    """Latest report, RFC 3339 UTC."""


def search(work: Work, passages: int) -> Search:
    """Return what is searched for: so many passages, best first."""
    return Search(
        question=work.question,
        code=work.code,
        asset=work.asset or "",
        lang=work.lang,
        limit=passages,
    )


def current(work: Work, alarm: Alarm) -> Work:
    """Return the work with what its alarm has come to."""
    return msgspec.structs.replace(
        work,
        priority=alarm.priority,
        occurrences=alarm.occurrences,
        first_seen=alarm.first_seen,
        last_seen=alarm.last_seen,
    )


def counted(answer: Answer, told: Work | Alarm) -> Answer:
    """Return an answer with how often its alarm was reported, and when."""
    return msgspec.structs.replace(
        answer,
        occurrences=told.occurrences,
        first_seen=told.first_seen,
        last_seen=told.last_seen,
    )


@dataclass(frozen=True, slots=True)
class Job:
    """Work with a place in the queue."""

    id: int
    work: Work
    attempts: int
    """How often it was begun, this time included."""
    received_at: float
    """Seconds since 1970."""
    deadline_at: float
    """Seconds since 1970."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way out."""

    topic: str
    payload: bytes
    retain: bool = False
    content_type: str = ""
    correlation: bytes | None = None
    trace: str = ""
    expiry_s: int | None = None
    """Seconds until the broker forgets it; None for never."""
    id: int = 0
    """Its number in the outbox; 0 before it is there."""


@dataclass(frozen=True, slots=True)
class Again:
    """An answer that is to go out once more, unless its job is open anyway."""

    place: str
    answer_id: str
    alarm: Alarm
    front: bool = False
    stands: bool = True
    """Whether it is the one to stand on the topics of its place."""
    work: Work | None = None
    """What to do where the job is lost; None where the report does not say it."""


@dataclass(slots=True)
class Deeds:
    """What one commit does besides keeping the messages themselves."""

    works: list[tuple[Work, bool]] = field(default_factory=list)
    """New work, and whether it goes to the front."""
    again: list[Again] = field(default_factory=list)
    """Answers to be given once more."""
    urgent: list[tuple[str, str, Alarm]] = field(default_factory=list)
    """Place and answer id of open work that has the alarm's priority now."""
    fronts: list[tuple[str, str]] = field(default_factory=list)
    """Place and answer id of open work that goes to the front."""
    cleared: list[tuple[str, str]] = field(default_factory=list)
    """Place and answer id of alarms that are gone: what their passages gave is enough."""
    outgoing: list[Outgoing] = field(default_factory=list)
    """What goes out."""
    forgotten: list[Forgotten] = field(default_factory=list)
    """Alarms that made room; to be logged."""


class Entry(msgspec.Struct, frozen=True):
    """What one accepted message adds to the ledger."""

    topic: str
    message: Fault | Ask | Feedback
    received: str
    """RFC 3339 UTC."""
    trace: str = ""
    work: Work | None = None
    """The answer a person asks for."""
    answer_id: str = ""
    """The answer a feedback is about."""
    digest: bytes | None = None
    """To know the message when the broker sends it again."""
    payload: bytes | None = None
    """The message as it came, see `as_received`."""
    deeds: Deeds | None = None
    """What a fault brings about."""


def as_received(entries: Sequence[Entry], payload: bytes) -> list[Entry]:
    """Return a message's entries, the first with what came where that was a fault."""
    return [
        replace(entry, payload=payload) if n == 0 and isinstance(entry.message, Fault) else entry
        for n, entry in enumerate(entries)
    ]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that could not be used, and what its sender is told."""

    event: RejectedEvent
    outgoing: tuple[Outgoing, ...] = ()
