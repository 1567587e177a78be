"""The ledger: every accepted message, the work it makes, and what still has to go out."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from schemas.answers import Answer
from schemas.errors import RejectedEvent
from services.orchestrator.again import Stands
from services.orchestrator.alarms import Standing
from services.orchestrator.board import Changes
from services.orchestrator.floods import Area
from services.orchestrator.made import Record
from services.orchestrator.records import Deeds, Entry, Job, Outgoing, Refusal, Work
from services.orchestrator.rows import (
    begin,
    do,
    forget,
    give,
    keep,
    post,
    prolong,
    refuse,
    remember,
    repeat,
    take_on,
)
from services.runtime.clock import now
from services.runtime.errors import Retryable
from services.runtime.sqlite import Database, open_database

MIGRATIONS = tuple(
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("ledger.sql", *(f"ledger_{number}.sql" for number in range(2, 6)))
)
_GONE_MOST = 500
_STANDS = Stands()


class Ledger:
    """`ledger.db`: a commit here is the promise an ack gives."""

    def __init__(
        self, database: Database, last_event: int, last_outgoing: int, last_made: int
    ) -> None:
        self._db = database
        self._next_event = last_event + 1
        self._next_outgoing = last_outgoing + 1
        self._last_made = last_made
        self._gone: set[int] = set()
        self._leaving: set[int] = set()
        self._claimed: set[int] = set()

    @classmethod
    async def open(cls, path: Path) -> Ledger:
        """Open or create the file.

        Raises:
            Retryable: the disk is full or read-only.
            Damaged: it is damaged; see `services.orchestrator.mending`.
            Fatal: it cannot be opened, or was written by a newer Andon.
        """
        database = await open_database(path, MIGRATIONS, synchronous="FULL", sparing=True)
        [row] = await database.fetch(
            "SELECT (SELECT coalesce(max(id), 0) FROM event) AS event,"
            " (SELECT coalesce(max(id), 0) FROM outbox) AS outgoing,"
            " (SELECT coalesce(max(id), 0) FROM made) AS made"
        )
        return cls(database, row["event"], row["outgoing"], row["made"])

    @property
    def database(self) -> Database:
        """Return the file, for those who keep it small or watch it."""
        return self._db

    async def close(self) -> None:
        """Close the file."""
        try:
            with suppress(Retryable):  # what is not forgotten goes out once more
                await self.settle()
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
        standing: Stands = _STANDS,
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
            standing: which answers of before still stand.

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
        again = [(n, one) for n, done in todo for one in done.again]
        messages = [message for _, one in todo for message in one.outgoing]
        messages += [message for refusal in refusals for message in refusal.outgoing]

        def write(db: sqlite3.Connection) -> None:
            keep(db, numbered)
            take_on(db, works, at, until)
            for _, one in todo:
                do(db, one)
            remember(db, changes)
            refuse(db, [refusal.event for refusal in refusals])
            self._post(db, [*messages, *repeat(db, again, standing, at, until)])

        await self._db.write(write)

    async def standings(self) -> list[Standing]:
        """Return the alarms that are remembered."""
        rows = await self._db.fetch("SELECT body FROM alarm")
        return [msgspec.json.decode(row["body"], type=Standing) for row in rows]

    async def areas(self) -> list[Area]:
        """Return the areas that had alarms lately."""
        rows = await self._db.fetch("SELECT body FROM area")
        return [msgspec.json.decode(row["body"], type=Area) for row in rows]

    async def claim(self, limit: int, *, lease_s: float) -> list[Job]:
        """Take the most urgent work that is due.

        That it is being worked on goes to the disk with the next commit: a process that dies
        before has not lost anything, the work is still due.
        """
        at = time.time()
        taken = frozenset(self._claimed)
        rows = await self._db.fetch(
            "SELECT id, body, attempts, received_at, deadline_at FROM job WHERE state = 'due'"
            " ORDER BY priority, front DESC, id LIMIT ?",
            (limit + len(taken),),
        )
        jobs = [
            Job(
                row["id"],
                msgspec.json.decode(row["body"], type=Work),
                row["attempts"] + 1,
                row["received_at"],
                row["deadline_at"],
            )
            for row in rows
            if row["id"] not in taken
        ][:limit]
        if jobs:
            ids = [job.id for job in jobs]
            self._claimed.update(ids)
            self._db.later(
                partial(begin, jobs=jobs, at=at, until=at + lease_s),
                partial(self._claimed.difference_update, ids),
            )
        return jobs

    def extend(self, job_ids: Iterable[int], *, lease_s: float) -> None:
        """Say that these jobs are still being worked on; goes to the disk as `claim` does."""
        leases = [(time.time() + lease_s, job_id) for job_id in job_ids]
        self._db.later(partial(prolong, leases=leases), lambda: None)

    async def release(self, *, all_of_it: bool) -> int:
        """Make work due again that nobody works on; return how much that is.

        Args:
            all_of_it: for the start, as what an earlier process began is nobody's; otherwise
                only where the lease ran out.
        """
        late = float("inf") if all_of_it else time.time()
        return await self._db.write(
            lambda db: (
                db.execute(
                    "UPDATE job SET state = 'due', lease_until = NULL"
                    " WHERE state = 'working' AND lease_until < ?",
                    (late,),
                ).rowcount
            )
        )

    async def digests(self, limit: int) -> list[bytes]:
        """Return what the latest events are known by, oldest first."""
        rows = await self._db.fetch("SELECT digest FROM event ORDER BY id DESC LIMIT ?", (limit,))
        return [row["digest"] for row in reversed(rows) if row["digest"] is not None]

    async def answer(
        self,
        job: Job,
        answer: Answer,
        outgoing: Sequence[Outgoing],
        *,
        done: bool,
        failed: str = "",
        generation: int | None = None,
        record: Record | None = None,
    ) -> None:
        """Keep an answer and what goes out with it, with the job's new state, in one commit.

        Args:
            job: whose answer it is.
            answer: the answer.
            outgoing: what goes out.
            done: whether the job is done with it.
            failed: why the job is given up for good; empty where it is not.
            generation: of the corpus it was made from; None where that could not be searched,
                or the alarm went before the model was heard: it is not to be given again.
            record: what the model was asked and gave, where it took part.
        """

        def write(db: sqlite3.Connection) -> None:
            state = "failed" if failed else "done" if done else ""
            give(db, job, answer, generation=generation, state=state, why=failed, record=record)
            self._post(db, outgoing)

        await self._db.write(write)

    def number(self) -> int:
        """Return a number for what an answer is made with, not given before."""
        self._last_made += 1
        return self._last_made

    async def given(self, job: Job) -> Answer | None:
        """Return the answer that stands for a job, None where there is none to its question yet."""
        row = await self._db.first(
            "SELECT body FROM answer WHERE id = ? AND answer_id = ?", (job.id, job.work.answer_id)
        )
        answer = msgspec.json.decode(row["body"], type=Answer) if row else None
        return answer if answer and answer.question == job.work.question else None

    async def set_aside(self, message: Outgoing, reason: str) -> None:
        """Take a message out of the outbox that cannot leave, and keep why."""
        head = message.payload[:256].decode("utf-8", "backslashreplace")
        event = RejectedEvent(
            topic=message.topic,
            reason=reason,
            head=head,
            size=len(message.payload),
            received=now(),
        )

        def write(db: sqlite3.Connection) -> None:
            refuse(db, [event])
            forget(db, [message.id])

        await self._db.write(write)

    def _post(self, db: sqlite3.Connection, outgoing: Sequence[Outgoing]) -> None:
        post(db, list(enumerate(outgoing, start=self._next_outgoing)))
        self._next_outgoing += len(outgoing)

    async def outbox(self, after: int, limit: int = 100) -> list[Outgoing]:
        """Return what is to go out, in order, beginning behind number `after`."""
        gone = self._gone | self._leaving  # those of now: meanwhile a commit may forget them
        rows = await self._db.fetch(
            "SELECT * FROM outbox WHERE id > ? ORDER BY id LIMIT ?", (after, limit + len(gone))
        )
        waiting = [row for row in rows if row["id"] not in gone][:limit]
        return [msgspec.convert(dict(row), Outgoing, strict=False) for row in waiting]

    def leaving(self, ids: Iterable[int]) -> None:
        """Take note of messages the broker confirmed, and may still lose: their rows stay."""
        self._leaving.update(ids)

    def back(self) -> None:
        """Have all that was `leaving` go out again."""
        self._leaving.clear()

    async def sent(self, ids: Iterable[int]) -> None:
        """Take note of messages that are gone; their rows go with the next commit.

        A commit of its own for each would write the disk as much again. A process that dies
        before sends them once more, with the same ids.
        """
        gone = list(ids)
        self._gone.update(gone)
        self._leaving.difference_update(gone)
        self._db.later(partial(forget, ids=gone), partial(self._gone.difference_update, gone))
        if len(self._gone) >= _GONE_MOST:
            await self.settle()

    async def settle(self) -> None:
        """Commit what waits for a commit to go along with: what was sent, what was begun."""
        await self._db.flush()

    async def counts(self) -> dict[str, int]:
        """Return how many jobs are open, and how many messages were refused or wait to go out.

        From indexes of few rows: refused messages have numbers without gaps and leave in order.
        """
        row = await self._db.first(
            "SELECT (SELECT count(*) FROM job WHERE state = 'due')"
            " + (SELECT count(*) FROM job WHERE state = 'working') AS jobs_open,"
            " (SELECT count(*) FROM job WHERE state = 'failed') AS jobs_failed,"
            " (SELECT coalesce(max(id), 0) FROM rejected)"
            " - (SELECT coalesce(min(id), 1) - 1 FROM rejected) AS rejected,"
            " (SELECT count(*) FROM outbox) AS outbox"
        )
        counted = dict(row) if row else {}
        return {
            **counted,
            "outbox": max(0, counted.get("outbox", 0) - len(self._gone | self._leaving)),
        }
