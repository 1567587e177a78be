"""The ledger: every accepted message, the work it makes, and what still has to go out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiosqlite
import msgspec

from schemas.answers import Answer, Ask, Feedback
from schemas.faults import Fault
from services.orchestrator.alarms import Standing
from services.orchestrator.board import Changes
from services.orchestrator.floods import Area
from services.orchestrator.records import Deeds, Entry, Job, Outgoing, Refusal, Work
from services.orchestrator.rows import do, remember, take_on
from services.runtime.clock import now
from services.runtime.errors import Retryable
from services.runtime.sqlite import Database, open_database

MIGRATIONS = (Path(__file__).with_name("ledger.sql").read_text(encoding="utf-8"),)
_GONE_MOST = 500

_encode = msgspec.json.encode


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
            Retryable: the disk is full or read-only.
            Damaged: it is damaged; see `services.orchestrator.mending`.
            Fatal: it cannot be opened, or was written by a newer Andon.
        """
        database = await open_database(path, MIGRATIONS, synchronous="FULL", shrinks=True)
        [row] = await database.fetch(
            "SELECT (SELECT coalesce(max(id), 0) FROM event) AS event,"
            " (SELECT coalesce(max(id), 0) FROM outbox) AS outgoing"
        )
        return cls(database, row["event"], row["outgoing"])

    @property
    def database(self) -> Database:
        """Return the file, for those who keep it small or watch it."""
        return self._db

    async def close(self) -> None:
        """Close the file."""
        try:
            with suppress(Retryable):  # what is not forgotten goes out once more
                await self.forget()
        finally:
            await self._db.close()

    async def accept(
        self,
        entries: Sequence[Entry],
        refusals: Sequence[Refusal],
        changes: Changes,
        *,
        deadline_s: float,
        deeds: Sequence[Deeds] = (),
    ) -> None:
        """Take in messages that arrived together, or what time brought about, in one commit.

        A question that is asked again under the same id while it is being worked on is not
        worked on twice; asked again later, or with other words, it is answered anew.

        Args:
            entries: what was understood.
            refusals: what was not.
            changes: the alarms and areas that are different now.
            deadline_s: how long an answer may take, seconds.
            deeds: what has to be done besides what the entries bring about.

        Raises:
            Retryable: nothing was written; do not ack.
        """
        at = time.time()
        until = at + deadline_s
        numbered = list(enumerate(entries, start=self._next_event))
        self._next_event += len(numbered)
        last = self._next_event - 1
        todo = [(n, e.deeds) for n, e in numbered if e.deeds] + [(last, one) for one in deeds]
        works = [(n, e.work, False) for n, e in numbered if e.work]
        works += [(n, work, front) for n, one in todo for work, front in one.works]
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
            await take_on(db, works, at, until)
            for _, one in todo:
                await do(db, one, at, until)
            await remember(db, changes)
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
            messages = [message for _, one in todo for message in one.outgoing]
            messages += [message for refusal in refusals for message in refusal.outgoing]
            await self._post(db, messages)

    async def standings(self) -> list[Standing]:
        """Return the alarms that are remembered."""
        rows = await self._db.fetch("SELECT body FROM alarm")
        return [msgspec.json.decode(row["body"], type=Standing) for row in rows]

    async def areas(self) -> list[Area]:
        """Return the areas that had alarms lately."""
        rows = await self._db.fetch("SELECT body FROM area")
        return [msgspec.json.decode(row["body"], type=Area) for row in rows]

    async def claim(self, limit: int, *, lease_s: float) -> list[Job]:
        """Take the most urgent work that is due."""
        at = time.time()
        async with (
            self._db.transaction() as db,
            db.execute(
                "UPDATE job SET state = 'working', attempts = attempts + 1, lease_until = ?"
                " WHERE id IN (SELECT id FROM job WHERE state = 'due'"
                " ORDER BY priority, front DESC, id LIMIT ?)"
                " RETURNING id, body, priority, front, attempts, received_at, deadline_at",
                (at + lease_s, limit),
            ) as cursor,
        ):
            rows = await cursor.fetchall()
        # RETURNING keeps no order.
        rows = sorted(rows, key=lambda row: (row["priority"], -row["front"], row["id"]))
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

    async def release(self, *, all_of_it: bool) -> int:
        """Make work due again that nobody works on; return how much that is.

        Args:
            all_of_it: for the start, as what an earlier process began is nobody's; otherwise
                only where the lease ran out.
        """
        late = float("inf") if all_of_it else time.time()
        async with (
            self._db.transaction() as db,
            db.execute(
                "UPDATE job SET state = 'due', lease_until = NULL"
                " WHERE state = 'working' AND lease_until < ?",
                (late,),
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

    async def given(self, job: Job) -> Answer | None:
        """Return the answer that stands for a job, None where there is none yet."""
        row = await self._db.first(
            "SELECT body FROM answer WHERE id = ? AND answer_id = ?", (job.id, job.work.answer_id)
        )
        return msgspec.json.decode(row["body"], type=Answer) if row else None

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
