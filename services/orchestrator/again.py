"""A repetition: the answer that stands goes out once more, with no search and no model."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas.answers import Answer
from services.orchestrator.publication import given
from services.orchestrator.records import Again, Outgoing, Work, counted

_FIND = """
SELECT job.id, job.state, job.body, answer.body, answer.generation
FROM job LEFT JOIN answer ON answer.id = job.id AND answer.answer_id = job.answer_id
WHERE job.answer_id = ? AND job.place = ?
"""
_GIVE_AGAIN = """
UPDATE job SET state = 'due', reason = '', attempts = attempts + 1, lease_until = NULL,
    received_at = ?, deadline_at = ?, priority = ?, front = ? WHERE id = ?
"""


@dataclass(frozen=True, slots=True)
class Stands:
    """What tells whether an answer still stands, and how it goes out."""

    prefix: str = "andon"
    """Of Andon's topics."""
    expiry_s: int = 604_800
    """Seconds until the broker forgets it."""
    generation: int | None = None
    """Of the corpus; None where it is not known, as nothing says that a manual changed."""
    anew_before: str = ""
    """An answer made before, RFC 3339 UTC, that the model was not asked about, is worked out anew;
    empty where there is no model to ask."""

    def holds(self, answer: Answer, generation: int | None) -> bool:
        """Return whether an answer may go out again, made from that generation of the corpus."""
        if answer.stage != "final" or generation is None:
            return False  # nothing was searched for it
        if self.generation is not None and self.generation != generation:
            return False
        unasked = answer.answered_by == "extract" and not answer.timings_ms.model
        return not (unasked and answer.created < self.anew_before)


def give_again(
    db: sqlite3.Connection, one: Again, standing: Stands, *, rank: int, at: float, until: float
) -> tuple[list[Outgoing], bool]:
    """Return what goes out, and whether there is such work at all.

    Where no answer stands the work is due again; where it is open there is nothing to do.

    Args:
        db: the ledger, in a transaction.
        one: whose answer.
        standing: whether it stands.
        rank: of the alarm's priority.
        at: now, s since 1970.
        until: the deadline of work that is due again, s since 1970.
    """
    row = db.execute(_FIND, (one.answer_id, one.place)).fetchone()
    if row is None:
        return [], False
    number, state, work_body, body, generation = row
    if state not in ("done", "failed"):
        return [], True
    answer = msgspec.json.decode(body, type=Answer) if body else None
    if answer is None or not standing.holds(answer, generation):
        db.execute(_GIVE_AGAIN, (at, until, rank, one.front, number))
        return [], True
    work = msgspec.json.decode(work_body, type=Work)
    told = counted(answer, one.alarm)
    prefix, expiry_s = standing.prefix, standing.expiry_s
    return given(told, prefix, one.place, expiry_s, work.copies, stands=one.stands), True


def latest(again: Sequence[tuple[int, Again]]) -> list[tuple[int, Again]]:
    """Return of several repetitions of an answer the last one, each with its event's number."""
    return list({(one.place, one.answer_id): (n, one) for n, one in again}.values())
