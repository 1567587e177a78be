"""What becomes of a damaged ledger: every row that can be read goes on, and makes sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from schemas.answers import Answer
from services.orchestrator.alarms import Standing
from services.orchestrator.floods import Area
from services.orchestrator.ledger import MIGRATIONS
from services.orchestrator.records import Outgoing, Work
from services.runtime.recovery import RowTest
from services.runtime.salvage import Plan

_OPEN = "SELECT body FROM job WHERE state IN ('due', 'working')"
_MEND = """
    -- The work holds all that an answer needs; only what it came from is lost. Of an answer whose
    -- job is lost as well the number must not be given away again.
    INSERT INTO event (id, kind, topic, body, received, trace)
    SELECT id, CASE WHEN place LIKE 'ask/%' THEN 'ask' ELSE 'fault' END, '', CAST('{}' AS BLOB),
        received, ''
    FROM (
        SELECT id, place, strftime('%Y-%m-%dT%H:%M:%fZ', received_at, 'unixepoch') AS received
        FROM job
        UNION ALL
        SELECT id, place, created FROM answer WHERE id NOT IN (SELECT id FROM job)
    ) WHERE id NOT IN (SELECT id FROM event);
"""
_LATEST_S = 32_503_680_000.0  # the year 3000
_History = msgspec.json.Decoder(list[tuple[str, float]])


def _all_of(*checks: Callable[[Mapping[str, Any]], object]) -> RowTest:
    """Return a test of rows on which none of the checks may stumble."""

    def test(row: Mapping[str, Any]) -> bool:
        try:
            for check in checks:
                check(row)
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            return False
        return True

    return test


def _body(kind: Any) -> Callable[[Mapping[str, Any]], object]:
    decoder = msgspec.json.Decoder(kind)
    return lambda row: decoder.decode(row["body"])


def _time(name: str) -> Callable[[Mapping[str, Any]], object]:
    return lambda row: datetime.fromisoformat(row[name])


def _job(row: Mapping[str, Any]) -> None:
    """Check what a later change of a job, or its leaving, would stumble on."""
    _History.decode(row["history"])
    if not 0 <= row["received_at"] < _LATEST_S:
        raise ValueError(f"received at {row['received_at']}")


def _outgoing(row: Mapping[str, Any]) -> None:
    msgspec.convert(dict(row), Outgoing, strict=False)


LEDGER = Plan(
    migrations=MIGRATIONS,
    recover=True,
    sparing=True,
    keep={
        "event": _all_of(_body(Any), _time("received")),
        "rejected": _all_of(_time("received")),
        "job": _all_of(_body(Work), _job),
        "answer": _all_of(_body(Answer), _time("created")),
        "alarm": _all_of(_body(Standing)),
        "area": _all_of(_body(Area)),
        "feedback": _all_of(_body(Any), _time("received")),
        "outbox": _all_of(_outgoing),
    },
    readable={
        _OPEN: msgspec.json.Decoder(Work).decode,
        "SELECT body FROM alarm": msgspec.json.Decoder(Standing).decode,
        "SELECT body FROM area": msgspec.json.Decoder(Area).decode,
    },
    mend=_MEND,
    consequence="some faults and answers of the past may be missing from the record",
)
"""For `ledger.db`."""
