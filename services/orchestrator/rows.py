"""Rows of the ledger that jobs and alarms become, written inside a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiosqlite
import msgspec

from schemas.faults import Priority
from services.orchestrator.board import Changes
from services.orchestrator.records import Deeds, Work

_RANK: dict[Priority, int] = {"critical": 0, "warning": 1, "advice": 2}
_encode = msgspec.json.encode

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
_GIVE_AGAIN = """
UPDATE job SET state = 'due', reason = '', attempts = attempts + 1, lease_until = NULL,
    received_at = :at, deadline_at = :deadline, priority = :priority, front = :front,
    body = json_set(CAST(body AS TEXT), '$.occurrences', :occurrences,
        '$.first_seen', :first_seen, '$.last_seen', :last_seen)
WHERE place = :place AND answer_id = :answer_id AND state IN ('done', 'failed')
"""
_OPEN = "place = ? AND answer_id = ? AND state IN ('due', 'working')"


async def take_on(
    db: aiosqlite.Connection, works: Sequence[tuple[int, Work, bool]], at: float, until: float
) -> None:
    """Make jobs of new work: the event's number, the work, whether it goes to the front."""
    await db.executemany(_TAKE_ON, [_row(n, work, front, at, until) for n, work, front in works])


async def do(db: aiosqlite.Connection, deeds: Deeds, at: float, until: float) -> None:
    """Change open and finished jobs as the alarms want it; mostly there is nothing to do."""
    for one in deeds.again:
        values = {
            "at": at,
            "deadline": until,
            "priority": _RANK[one.alarm.priority],
            "front": one.front,
            "occurrences": one.alarm.occurrences,
            "first_seen": one.alarm.first_seen,
            "last_seen": one.alarm.last_seen,
            "place": one.place,
            "answer_id": one.answer_id,
        }
        await db.execute(_GIVE_AGAIN, values)
    for place, answer_id, alarm in deeds.urgent:
        await db.execute(
            f"UPDATE job SET priority = ? WHERE {_OPEN}",  # noqa: S608
            (_RANK[alarm.priority], place, answer_id),
        )
    for place, answer_id in deeds.fronts:
        await db.execute(
            f"UPDATE job SET front = 1 WHERE {_OPEN}",  # noqa: S608
            (place, answer_id),
        )


async def remember(db: aiosqlite.Connection, changes: Changes) -> None:
    """Write the alarms and areas that changed."""
    alarms = changes.alarms.items()
    await db.executemany(
        "INSERT INTO alarm (asset, code, body) VALUES (?, ?, ?)"
        " ON CONFLICT (asset, code) DO UPDATE SET body = excluded.body",
        [(*key, _encode(standing)) for key, standing in alarms if standing is not None],
    )
    await db.executemany(
        "DELETE FROM alarm WHERE asset = ? AND code = ?",
        [key for key, standing in alarms if standing is None],
    )
    areas = changes.areas.items()
    await db.executemany(
        "INSERT INTO area (area, body) VALUES (?, ?)"
        " ON CONFLICT (area) DO UPDATE SET body = excluded.body",
        [(name, _encode(area)) for name, area in areas if area is not None],
    )
    await db.executemany(
        "DELETE FROM area WHERE area = ?", [(name,) for name, area in areas if area is None]
    )


def _row(event: int, work: Work, front: bool, at: float, until: float) -> tuple[Any, ...]:
    """Return the values of `_TAKE_ON`."""
    body, rank = _encode(work), _RANK[work.priority]
    return (event, work.answer_id, work.place, work.question, body, rank, front, at, until)
