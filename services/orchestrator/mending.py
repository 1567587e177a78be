"""What becomes of a damaged ledger: every row that can be read goes on, and makes sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from schemas.answers import Answer
from schemas.prompts import PromptName
from services.orchestrator import made
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

    -- An alarm that stands deserves an answer: one whose work is lost is worked on anew, from what
    -- the latest report of it says.
    CREATE TEMP TABLE lost AS SELECT
        row_number() OVER () + (SELECT coalesce(max(id), 0) FROM event) AS id, asset, alarm.code,
        json_extract(CAST(body AS TEXT), '$.alarm') AS alarm,
        (
            SELECT json(CAST(event.body AS TEXT)) FROM event WHERE kind = 'fault'
            AND json_extract(CAST(event.body AS TEXT), '$.asset') = asset
            AND coalesce(json_extract(CAST(event.body AS TEXT), '$.code'), '')
                = coalesce(json_extract(CAST(alarm.body AS TEXT), '$.alarm.code'), '')
            AND json_extract(CAST(event.body AS TEXT), '$.state') IS NOT 'cleared'
            ORDER BY event.id DESC LIMIT 1
        ) AS fault
    FROM alarm
    WHERE json_extract(CAST(body AS TEXT), '$.alarm.state') = 'active' AND NOT EXISTS (
        SELECT 1 FROM job
        WHERE answer_id = json_extract(CAST(alarm.body AS TEXT), '$.alarm.answer_id')
    );
    INSERT INTO event (id, kind, topic, body, received, trace)
    SELECT id, 'fault', '', CAST('{}' AS BLOB), json_extract(alarm, '$.last_seen'), '' FROM lost;
    INSERT INTO job
        (id, answer_id, place, question, body, priority, state, received_at, deadline_at)
    SELECT id, json_extract(alarm, '$.answer_id'), asset, question,
        CAST(json_object(
            'answer_id', json_extract(alarm, '$.answer_id'), 'place', asset, 'asset', asset,
            'code', json_extract(alarm, '$.code'), 'key', code, 'question', question,
            'lang', coalesce(json_extract(fault, '$.lang'), 'en'), 'trace', '',
            'priority', json_extract(alarm, '$.priority'),
            'occurrences', json_extract(alarm, '$.occurrences'),
            'first_seen', json_extract(alarm, '$.first_seen'),
            'last_seen', json_extract(alarm, '$.last_seen')
        ) AS BLOB),
        CASE json_extract(alarm, '$.priority')
            WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END,
        'due', at, at + 60
    FROM (
        SELECT *, (julianday('now') - 2440587.5) * 86400.0 AS at,
            coalesce(json_extract(fault, '$.question'), nullif(json_extract(alarm, '$.code'), ''),
                asset) AS question
        FROM lost
    );
    DROP TABLE lost;

    UPDATE answer SET made = NULL WHERE made NOT IN (SELECT id FROM made);

    -- Without its text a version cannot answer: the one before it does.
    DELETE FROM activation WHERE version > 0 AND NOT EXISTS (
        SELECT 1 FROM prompt WHERE prompt.name = activation.name
        AND prompt.version = activation.version
    );
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


def _text(row: Mapping[str, Any]) -> None:
    msgspec.convert((row["name"], row["body"]), tuple[PromptName, str])


def _activation(row: Mapping[str, Any]) -> None:
    msgspec.convert((row["name"], row["version"]), tuple[PromptName, int])


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
        "prompt": _all_of(_text, _time("created")),
        "activation": _all_of(_activation),
        "shipped": _all_of(_text, _time("created")),
        "made": _all_of(made.read, _time("created")),
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
