"""What becomes of a damaged ledger: every row that can be read goes on, and makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.answers import Answer
from schemas.faults import Alarm
from services.orchestrator.ledger import MIGRATIONS, Work
from services.runtime.salvage import Plan

_OPEN = "SELECT body FROM job WHERE state IN ('due', 'working')"
_MEND = """
    -- The work holds all that an answer needs; only what it came from is lost.
    INSERT INTO event (id, kind, topic, body, received, trace)
    SELECT event_id, CASE WHEN place LIKE 'ask/%' THEN 'ask' ELSE 'fault' END, '', '{}', '', ''
    FROM job WHERE event_id NOT IN (SELECT id FROM event) GROUP BY event_id;
"""


def _decodes(kind: Any, *, settled: tuple[str, ...] = ()) -> Any:
    """Return a test of rows whose body must be a `kind`, but in the states named."""
    decoder = msgspec.json.Decoder(kind)

    def test(row: Mapping[str, Any]) -> bool:
        if settled and row["state"] in settled:
            return True
        try:
            decoder.decode(row["body"])
        except (msgspec.MsgspecError, TypeError):
            return False
        return True

    return test


LEDGER = Plan(
    migrations=MIGRATIONS,
    recover=True,
    keep={
        "job": _decodes(Work, settled=("done", "failed")),
        "alarm": _decodes(Alarm),
        "answer": _decodes(Answer),
    },
    readable={
        _OPEN: msgspec.json.Decoder(Work).decode,
        "SELECT body FROM alarm": msgspec.json.Decoder(Alarm).decode,
    },
    mend=_MEND,
    consequence="some faults and answers of the past may be missing from the record",
)
"""For `ledger.db`."""
