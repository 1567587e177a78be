"""The ledger: every accepted message, the work it makes, and what still has to go out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import aiosqlite
import msgspec

from schemas.answers import Answer, Ask, Feedback
from schemas.errors import RejectedEvent
from schemas.faults import Alarm, Fault, Priority
from services.runtime.clock import now
from services.runtime.errors import Retryable
from services.runtime.sqlite import Database, open_database

MIGRATIONS = tuple(
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("ledger.sql", "ledger_2.sql")
)
_GONE_MOST = 500
_RANK: dict[Priority, int] = {"critical": 0, "warning": 1, "advice": 2}

_encode = msgspec.json.encode

_TAKE_ON = """
INSERT INTO job (id, answer_id, place, question, body, priority, state, received_at,
    deadline_at)
VALUES (?, ?, ?, ?, ?, ?, 'due', ?, ?)
ON CONFLICT (place, answer_id) DO UPDATE SET
    question = excluded.question, body = excluded.body,
    priority = excluded.priority, state = 'due', reason = '', attempts = attempts + 1,
    received_at = excluded.received_at, deadline_at = excluded.deadline_at, lease_until = NULL
WHERE state IN ('done', 'failed') OR question <> excluded.question
"""


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
    digest: bytes | None = None
    """Of the payload, to know it when the broker sends it again."""
    outgoing: tuple[Outgoing, ...] = ()
    """What goes out because of it."""
    payload: bytes | None = None
    """The message as it came, see `as_received`."""


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


class Ledger:
    """`ledger.db`: a commit here is the promise an ack gives."""

    def __init__(self, database: Database, last_event: int, last_outgoing: int) -> None:
        self._db = database
        self._next_event = last_event + 1
        self._next_outgoing = last_outgoing + 1
        self._gone: set[int] = set()

    @classmethod
    async def open(cls, path: Path) -> Ledger:
        """Open or create the file.

        Raises:
            Fatal: it cannot be opened, is damaged, or was written by a newer Andon.
        """
        database = await open_database(path, MIGRATIONS, synchronous="FULL", shrinks=True)
        [row] = await database.fetch(
            "SELECT (SELECT coalesce(max(id), 0) FROM event) AS event,"
            " (SELECT coalesce(max(id), 0) FROM outbox) AS outgoing"
        )
        return cls(database, row["event"], row["outgoing"])

    @property
    def database(self) -> Database:
        """Return the file, for those who keep it small."""
        return self._db

    async def close(self) -> None:
        """Close the file."""
        with suppress(Retryable):  # what is not forgotten goes out once more
            await self.forget()
        await self._db.close()

    async def accept(
        self, entries: Sequence[Entry], refusals: Sequence[Refusal], *, deadline_s: float
    ) -> None:
        """Take in messages that arrived together, in one commit.

        A question that is asked again under the same id while it is being worked on is not
        worked on twice; asked again later, or with other words, it is answered anew.

        Raises:
            Retryable: nothing was written; do not ack.
        """
        at = time.time()
        numbered = list(enumerate(entries, start=self._next_event))
        self._next_event += len(numbered)
        # A statement a table and not a row: each costs a change of threads.
        async with self._forgetting() as db:
            await db.executemany(
                "INSERT INTO event (id, kind, topic, body, received, trace, digest, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        n,
                        _kind(e.message),
                        e.topic,
                        _encode(e.message),
                        e.received,
                        e.trace,
                        e.digest,
                        e.payload,
                    )
                    for n, e in numbered
                ],
            )
            await db.executemany(
                _TAKE_ON,
                [
                    (
                        n,
                        work.answer_id,
                        work.place,
                        work.question,
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
                [
                    (e.topic, e.reason, e.head, e.size, e.received)
                    for e in (refusal.event for refusal in refusals)
                ],
            )
            told = [one.outgoing for one in entries] + [one.outgoing for one in refusals]
            await self._post(db, [message for messages in told for message in messages])

    async def alarms(self) -> dict[tuple[str, str], Alarm]:
        """Return the alarms by asset and code."""
        rows = await self._db.fetch("SELECT asset, code, body FROM alarm")
        return {(r["asset"], r["code"]): msgspec.json.decode(r["body"], type=Alarm) for r in rows}

    async def claim(self, limit: int, *, lease_s: float) -> list[Job]:
        """Take the most urgent work that is due, or whose worker's lease ran out."""
        at = time.time()
        async with (
            self._db.transaction() as db,
            db.execute(
                "UPDATE job SET state = 'working', attempts = attempts + 1, lease_until = ?"
                " WHERE id IN (SELECT id FROM job WHERE state = 'due'"
                " OR (state = 'working' AND lease_until < ?) ORDER BY priority, id LIMIT ?)"
                " RETURNING id, body, priority, attempts, received_at, deadline_at",
                (at + lease_s, at, limit),
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

    async def last_digest(self, topic: str) -> bytes | None:
        """Return the digest of the newest event of a topic."""
        row = await self._db.first(
            "SELECT digest FROM event WHERE topic = ? ORDER BY id DESC LIMIT 1", (topic,)
        )
        return row["digest"] if row else None

    async def answer(
        self,
        job: Job,
        answer: Answer,
        outgoing: Sequence[Outgoing],
        *,
        done: bool,
        failed: str = "",
    ) -> None:
        """Keep an answer and what goes out with it, with the job's new state, in one commit.

        Args:
            job: whose answer it is.
            answer: the answer.
            outgoing: what goes out.
            done: whether the job is done with it.
            failed: why the job is given up for good; empty where it is not.
        """
        async with self._forgetting() as db:
            await db.execute(
                "INSERT INTO answer (id, answer_id, place, stage, body, created)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET stage = excluded.stage, body = excluded.body, created = excluded.created",
                (job.id, answer.id, job.work.place, answer.stage, _encode(answer), answer.created),
            )
            if done or failed:
                # Not where it was asked anew meanwhile, with other words.
                await db.execute(
                    "UPDATE job SET state = ?, reason = ? WHERE id = ? AND attempts = ?",
                    ("failed" if failed else "done", failed, job.id, job.attempts),
                )
            await self._post(db, outgoing)

    async def set_aside(self, message: Outgoing, reason: str) -> None:
        """Take a message out of the outbox that cannot leave, and keep why."""
        async with self._db.transaction() as db:
            await db.execute(
                "INSERT INTO rejected (topic, reason, head, size, received) VALUES (?, ?, ?, ?, ?)",
                (
                    message.topic,
                    reason,
                    message.payload[:256].decode("utf-8", "backslashreplace"),
                    len(message.payload),
                    now(),
                ),
            )
            await db.execute("DELETE FROM outbox WHERE id = ?", (message.id,))

    async def _post(self, db: aiosqlite.Connection, outgoing: Sequence[Outgoing]) -> None:
        numbered = list(enumerate(outgoing, start=self._next_outgoing))
        self._next_outgoing += len(numbered)
        await db.executemany(
            "INSERT INTO outbox"
            " (id, topic, payload, retain, content_type, correlation, trace, expiry_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    n,
                    o.topic,
                    o.payload,
                    o.retain,
                    o.content_type,
                    o.correlation,
                    o.trace,
                    o.expiry_s,
                )
                for n, o in numbered
            ],
        )

    async def outbox(self, after: int, limit: int = 100) -> list[Outgoing]:
        """Return what is to go out, in order, beginning behind number `after`."""
        gone = frozenset(self._gone)  # those of now: meanwhile a commit may forget them
        rows = await self._db.fetch(
            "SELECT * FROM outbox WHERE id > ? ORDER BY id LIMIT ?", (after, limit + len(gone))
        )
        waiting = [row for row in rows if row["id"] not in gone][:limit]
        return [msgspec.convert(dict(row), Outgoing, strict=False) for row in waiting]

    async def sent(self, ids: Iterable[int]) -> None:
        """Take note of messages the broker has; their rows go with the next commit.

        A commit of its own for each would write the disk as much again. A process that dies
        before sends them once more, with the same ids.
        """
        self._gone.update(ids)
        if len(self._gone) >= _GONE_MOST:
            await self.forget()

    async def forget(self) -> None:
        """Remove the rows of messages the broker has, now."""
        if self._gone:
            async with self._forgetting():
                pass

    @asynccontextmanager
    async def _forgetting(self) -> AsyncIterator[aiosqlite.Connection]:
        """Open a transaction that also removes what was sent."""
        async with self._db.transaction() as db:
            gone = tuple(self._gone)
            await db.executemany("DELETE FROM outbox WHERE id = ?", [(i,) for i in gone])
            yield db
        self._gone.difference_update(gone)

    async def counts(self) -> dict[str, int]:
        """Return how many jobs are open, and how many messages were refused or wait to go out."""
        row = await self._db.first(
            "SELECT (SELECT count(*) FROM job WHERE state IN ('due', 'working')) AS jobs_open,"
            " (SELECT count(*) FROM job WHERE state = 'failed') AS jobs_failed,"
            " (SELECT count(*) FROM rejected) AS rejected,"
            " (SELECT count(*) FROM outbox) AS outbox"
        )
        counted = dict(row) if row else {}
        return {**counted, "outbox": max(0, counted.get("outbox", 0) - len(self._gone))}


def _kind(message: Fault | Ask | Feedback) -> str:
    return type(message).__name__.lower()
