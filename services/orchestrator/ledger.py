"""The ledger: every accepted message, the work it makes, and what still has to go out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiosqlite
import msgspec

from schemas.answers import Answer, Ask, Feedback
from schemas.errors import RejectedEvent
from schemas.faults import Alarm, Fault, Priority
from services.runtime.sqlite import Database, open_database

MIGRATIONS = (Path(__file__).with_name("ledger.sql").read_text(encoding="utf-8"),)
_RANK: dict[Priority, int] = {"critical": 0, "warning": 1, "advice": 2}

_encode = msgspec.json.encode


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
    question: str
    """What the manuals are asked."""
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
class Entry:
    """What one accepted message adds to the ledger."""

    topic: str
    message: Fault | Ask | Feedback
    received: str
    """RFC 3339 UTC."""
    trace: str = ""
    work: Work | None = None
    """The answer it asks for."""
    alarm: tuple[str, Alarm] | None = None
    """Asset, and the alarm as it stands now."""
    answer_id: str = ""
    """The answer a feedback is about."""
    outgoing: tuple[Outgoing, ...] = ()
    """What goes out because of it."""


class Ledger:
    """`ledger.db`: a commit here is the promise an ack gives."""

    def __init__(self, database: Database, last_event: int) -> None:
        self._db = database
        self._next_event = last_event + 1

    @property
    def database(self) -> Database:
        """Return the file."""
        return self._db

    @classmethod
    async def open(cls, path: Path) -> Ledger:
        """Open or create the file.

        Raises:
            Fatal: it cannot be opened, is damaged, or was written by a newer Andon.
        """
        database = await open_database(path, MIGRATIONS, synchronous="FULL")
        row = await database.first("SELECT coalesce(max(id), 0) AS last FROM event")
        return cls(database, row["last"] if row else 0)

    async def close(self) -> None:
        """Close the file."""
        await self._db.close()

    async def accept(
        self, entries: Sequence[Entry], rejected: Sequence[RejectedEvent], *, deadline_s: float
    ) -> None:
        """Take in messages that arrived together, in one commit.

        Work that was accepted before, recognised by place and answer id, is not made twice.

        Raises:
            Retryable: nothing was written; do not ack.
        """
        at = time.time()
        numbered = list(enumerate(entries, start=self._next_event))
        self._next_event += len(numbered)
        # A statement a table and not a row: each costs a change of threads.
        async with self._db.transaction() as db:
            await db.executemany(
                "INSERT INTO event (id, kind, topic, body, received, trace)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (n, _kind(e.message), e.topic, _encode(e.message), e.received, e.trace)
                    for n, e in numbered
                ],
            )
            await db.executemany(
                "INSERT OR IGNORE INTO job (event_id, answer_id, place, body, priority, state,"
                " received_at, deadline_at) VALUES (?, ?, ?, ?, ?, 'due', ?, ?)",
                [
                    (
                        n,
                        work.answer_id,
                        work.place,
                        _encode(work),
                        _RANK[work.priority],
                        at,
                        at + deadline_s,
                    )
                    for n, e in numbered
                    if (work := e.work) is not None
                ],
            )
            await db.executemany(
                "INSERT INTO alarm (asset, code, body) VALUES (?, ?, ?)"
                " ON CONFLICT (asset, code) DO UPDATE SET body = excluded.body",
                [
                    (e.alarm[0], e.alarm[1].code, _encode(e.alarm[1]))
                    for e in entries
                    if e.alarm is not None
                ],
            )
            await db.executemany(
                "INSERT INTO feedback (answer_id, body, received) VALUES (?, ?, ?)",
                [
                    (e.answer_id, _encode(e.message), e.received)
                    for e in entries
                    if isinstance(e.message, Feedback)
                ],
            )
            await db.executemany(
                "INSERT INTO rejected (topic, reason, head, size, received) VALUES (?, ?, ?, ?, ?)",
                [(r.topic, r.reason, r.head, r.size, r.received) for r in rejected],
            )
            await self._post(db, [message for e in entries for message in e.outgoing])

    async def alarms(self) -> dict[tuple[str, str], Alarm]:
        """Return the alarms by asset and code."""
        rows = await self._db.fetch("SELECT asset, code, body FROM alarm")
        return {(r["asset"], r["code"]): msgspec.json.decode(r["body"], type=Alarm) for r in rows}

    async def claim(self, limit: int, *, lease_s: float) -> list[Job]:
        """Take the most urgent work that is due, or whose worker's lease ran out."""
        now = time.time()
        async with (
            self._db.transaction() as db,
            db.execute(
                "UPDATE job SET state = 'working', attempts = attempts + 1, lease_until = ?"
                " WHERE id IN (SELECT id FROM job WHERE state = 'due'"
                " OR (state = 'working' AND lease_until < ?) ORDER BY priority, id LIMIT ?)"
                " RETURNING id, body, priority, attempts, received_at, deadline_at",
                (now + lease_s, now, limit),
            ) as cursor,
        ):
            rows = await cursor.fetchall()
        # RETURNING keeps no order.
        rows = sorted(rows, key=lambda row: (row["priority"], row["id"]))
        return [
            Job(
                row["id"],
                msgspec.json.decode(row["body"], type=Work),
                row["attempts"],
                row["received_at"],
                row["deadline_at"],
            )
            for row in rows
        ]

    async def extend(self, job_ids: Iterable[int], *, lease_s: float) -> None:
        """Say that these jobs are still being worked on."""
        async with self._db.transaction() as db:
            await db.executemany(
                "UPDATE job SET lease_until = ? WHERE id = ? AND state = 'working'",
                [(time.time() + lease_s, job_id) for job_id in job_ids],
            )

    async def release(self) -> int:
        """Make everything that was being worked on due again; return how much that is.

        For the start: there is one orchestrator, so what an earlier one began is nobody's.
        """
        async with (
            self._db.transaction() as db,
            db.execute(
                "UPDATE job SET state = 'due', lease_until = NULL WHERE state = 'working'"
            ) as cursor,
        ):
            return cursor.rowcount

    async def answer(
        self, job: Job, answer: Answer, outgoing: Sequence[Outgoing], *, done: bool
    ) -> None:
        """Keep an answer and what goes out with it, with the job's new state, in one commit."""
        async with self._db.transaction() as db:
            await db.execute(
                "INSERT INTO answer (answer_id, place, stage, body, created)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (place, answer_id) DO UPDATE"
                " SET stage = excluded.stage, body = excluded.body, created = excluded.created",
                (answer.id, job.work.place, answer.stage, _encode(answer), answer.created),
            )
            if done:
                await db.execute("UPDATE job SET state = 'done' WHERE id = ?", (job.id,))
            await self._post(db, outgoing)

    async def fail(self, job: Job, reason: str) -> None:
        """Give a job up for good, with the reason."""
        async with self._db.transaction() as db:
            await db.execute(
                "UPDATE job SET state = 'failed', reason = ? WHERE id = ?", (reason, job.id)
            )

    async def _post(self, db: aiosqlite.Connection, outgoing: Sequence[Outgoing]) -> None:
        await db.executemany(
            "INSERT INTO outbox"
            " (topic, payload, retain, content_type, correlation, trace, expiry_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (o.topic, o.payload, o.retain, o.content_type, o.correlation, o.trace, o.expiry_s)
                for o in outgoing
            ],
        )

    async def outbox(self, after: int, limit: int = 100) -> list[Outgoing]:
        """Return what is to go out, in order, beginning behind number `after`."""
        rows = await self._db.fetch(
            "SELECT * FROM outbox WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return [msgspec.convert(dict(row), Outgoing, strict=False) for row in rows]

    async def sent(self, ids: Iterable[int]) -> None:
        """Forget messages the broker has."""
        async with self._db.transaction() as db:
            await db.executemany("DELETE FROM outbox WHERE id = ?", [(i,) for i in ids])

    async def counts(self) -> dict[str, int]:
        """Return how many jobs are open, and how many messages were refused or wait to go out."""
        row = await self._db.first(
            "SELECT (SELECT count(*) FROM job WHERE state IN ('due', 'working')) AS jobs_open,"
            " (SELECT count(*) FROM job WHERE state = 'failed') AS jobs_failed,"
            " (SELECT count(*) FROM rejected) AS rejected,"
            " (SELECT count(*) FROM outbox) AS outbox"
        )
        return dict(row) if row else {}


def _kind(message: Fault | Ask | Feedback) -> str:
    return type(message).__name__.lower()
