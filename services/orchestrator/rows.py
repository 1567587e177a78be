"""What the ledger knows, as rows, written inside a transaction of its own."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from schemas.answers import Answer
from schemas.errors import RejectedEvent
from schemas.faults import Priority
from services.orchestrator.again import Stands, give_again, latest
from services.orchestrator.board import Changes
from services.orchestrator.made import Record
from services.orchestrator.records import Again, Deeds, Entry, Job, Outgoing, Work

_RANK: dict[Priority, int] = {"critical": 0, "warning": 1, "advice": 2}
_encode = msgspec.json.encode

_KEEP = """
INSERT INTO event (id, kind, topic, body, received, trace, digest, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_TAKE_ON = """
INSERT INTO job (id, answer_id, place, question, body, priority, front, state, received_at,
    deadline_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 'due', ?, ?)
ON CONFLICT (place, answer_id) DO UPDATE SET
    question = excluded.question, body = excluded.body,
    priority = excluded.priority, state = 'due', reason = '', attempts = attempts + 1,
    received_at = excluded.received_at, deadline_at = excluded.deadline_at, lease_until = NULL
WHERE state IN ('done', 'failed') OR question <> excluded.question
"""
_BEGIN = """
UPDATE job SET state = 'working', attempts = ?, lease_until = ?
WHERE id = ? AND attempts = ? AND state = 'due'
"""
# A trigger has put down the time of the commit.
_BEGUN_AT = """
UPDATE job SET history = json_replace(history, '$[#-1][1]', ?)
WHERE id = ? AND attempts = ? AND state = 'working'
"""
_GIVE = """
INSERT INTO answer (id, answer_id, place, stage, body, created, generation, made)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, body = excluded.body,
    created = excluded.created, generation = excluded.generation,
    made = coalesce(excluded.made, iif(?9, made, NULL))
"""
_MADE = """
INSERT INTO made (id, body, request, created) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
_POST = """
INSERT INTO outbox (topic, payload, retain, content_type, correlation, trace, expiry_s, id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPEN = "place = ? AND answer_id = ? AND state IN ('due', 'working')"


def keep(db: sqlite3.Connection, entries: Sequence[tuple[int, Entry]]) -> None:
    """Keep what came in, under its numbers."""
    bodies = [(n, e, _encode(e.message)) for n, e in entries]
    db.executemany(
        _KEEP,
        [
            (n, _kind(e), e.topic, body, e.received, e.trace, e.digest, e.payload)
            for n, e, body in bodies
        ],
    )
    db.executemany(
        "INSERT INTO feedback (answer_id, body, received) VALUES (?, ?, ?)",
        [(e.answer_id, body, e.received) for _, e, body in bodies if _kind(e) == "feedback"],
    )


def refuse(db: sqlite3.Connection, events: Sequence[RejectedEvent]) -> None:
    """Keep what could not be used."""
    db.executemany(
        "INSERT INTO rejected (topic, reason, head, size, received) VALUES (?, ?, ?, ?, ?)",
        [(e.topic, e.reason, e.head, e.size, e.received) for e in events],
    )


def take_on(
    db: sqlite3.Connection, works: Sequence[tuple[int, Work, bool]], at: float, until: float
) -> None:
    """Make jobs of new work: the event's number, the work, whether it goes to the front."""
    db.executemany(_TAKE_ON, [_row(n, work, front, at, until) for n, work, front in works])


def repeat(
    db: sqlite3.Connection,
    again: Sequence[tuple[int, Again]],
    standing: Stands,
    at: float,
    until: float,
) -> list[Outgoing]:
    """Return the answers that go out once more; make work of those whose job is lost."""
    messages = []
    for n, one in latest(again):
        rank = _RANK[one.alarm.priority]
        told, known = give_again(db, one, standing, rank=rank, at=at, until=until)
        messages += told
        if not known and one.work is not None:
            take_on(db, [(n, one.work, one.front)], at, until)
    return messages


def do(db: sqlite3.Connection, deeds: Deeds) -> None:
    """Change open jobs as the alarms want it; mostly there is nothing to do."""
    for place, answer_id, alarm in deeds.urgent:
        db.execute(
            f"UPDATE job SET priority = ? WHERE {_OPEN}",  # noqa: S608
            (_RANK[alarm.priority], place, answer_id),
        )
    for place, answer_id in deeds.fronts:
        db.execute(
            f"UPDATE job SET front = 1 WHERE {_OPEN}",  # noqa: S608
            (place, answer_id),
        )


def begin(db: sqlite3.Connection, jobs: Sequence[Job], at: float, until: float) -> None:
    """Say that jobs are being worked on since `at`, unless they were asked anew meanwhile."""
    db.executemany(_BEGIN, [(job.attempts, until, job.id, job.attempts - 1) for job in jobs])
    # SQLite's clock cuts to milliseconds: a time that was rounded up would lie before the next.
    begun = math.floor(at * 1000) / 1000
    db.executemany(_BEGUN_AT, [(begun, job.id, job.attempts) for job in jobs])


def prolong(db: sqlite3.Connection, leases: Sequence[tuple[float, int]]) -> None:
    """Write the new leases of jobs in work: until when, and which."""
    db.executemany("UPDATE job SET lease_until = ? WHERE id = ? AND state = 'working'", leases)


def give(
    db: sqlite3.Connection,
    job: Job,
    answer: Answer,
    *,
    generation: int | None,
    state: str,
    why: str,
    record: Record | None = None,
) -> None:
    """Keep an answer, what it was made with, and the job's new state where it has one."""
    body, place = _encode(answer), job.work.place
    if record is not None:
        keep_record(db, record)
    made = record.id if record else None
    row = (job.id, answer.id, place, answer.stage, body, answer.created, generation, made)
    # An answer of the model's that is given once more keeps what it was made with.
    db.execute(_GIVE, (*row, bool(answer.prompt)))
    if state:
        # Not where it was asked anew meanwhile, with other words.
        db.execute(
            "UPDATE job SET state = ?, reason = ? WHERE id = ? AND attempts = ?",
            (state, why, job.id, job.attempts),
        )


def keep_record(db: sqlite3.Connection, record: Record) -> None:
    """Keep what an answer was made with, once."""
    db.execute(_MADE, (record.id, record.body, record.request, record.created))


def post(db: sqlite3.Connection, messages: Sequence[tuple[int, Outgoing]]) -> None:
    """Put messages into the outbox, under their numbers."""
    db.executemany(_POST, [(*astuple(message)[:-1], n) for n, message in messages])


def forget(db: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Take messages out of the outbox."""
    db.executemany("DELETE FROM outbox WHERE id = ?", [(n,) for n in ids])


def remember(db: sqlite3.Connection, changes: Changes) -> None:
    """Write the alarms and areas that changed."""
    alarms = changes.alarms.items()
    db.executemany(
        "INSERT INTO alarm (asset, code, body) VALUES (?, ?, ?)"
        " ON CONFLICT (asset, code) DO UPDATE SET body = excluded.body",
        [(*key, _encode(standing)) for key, standing in alarms if standing is not None],
    )
    db.executemany(
        "DELETE FROM alarm WHERE asset = ? AND code = ?",
        [key for key, standing in alarms if standing is None],
    )
    areas = changes.areas.items()
    db.executemany(
        "INSERT INTO area (area, body) VALUES (?, ?)"
        " ON CONFLICT (area) DO UPDATE SET body = excluded.body",
        [(name, _encode(area)) for name, area in areas if area is not None],
    )
    db.executemany(
        "DELETE FROM area WHERE area = ?", [(name,) for name, area in areas if area is None]
    )


def _kind(entry: Entry) -> str:
    return type(entry.message).__name__.lower()


def _row(event: int, work: Work, front: bool, at: float, until: float) -> tuple[Any, ...]:
    """Return the values of `_TAKE_ON`."""
    body, rank = _encode(work), _RANK[work.priority]
    return (event, work.answer_id, work.place, work.question, body, rank, front, at, until)
