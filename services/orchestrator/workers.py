"""Who works on which answer: due jobs are taken up, most urgent first, and kept in work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from services.orchestrator.arrivals import AGAIN_S
from services.orchestrator.flow import Flow
from services.orchestrator.ledger import Ledger
from services.orchestrator.records import Job
from services.runtime.bus import Bus
from services.runtime.config import Orchestrator
from services.runtime.errors import Damaged, Retryable
from services.runtime.log import trace_id
from services.runtime.process import Health

log = logging.getLogger(__name__)

_COUNT_EVERY_S = 5.0

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Workers:
    """Gives each job a worker, which is free again when the passages are out."""

    def __init__(
        self,
        settings: Orchestrator,
        ledger: Ledger,
        bus: Bus,
        health: Health,
        *,
        flow: Flow,
        spawn: Spawn,
        count: Callable[[], Mapping[str, str | int]],
    ) -> None:
        """Prepare.

        Args:
            settings: how many workers, and for how long a job is theirs.
            ledger: the jobs.
            bus: without it nothing can be searched for.
            health: told what goes wrong, and how many jobs there are.
            flow: the way of an answer.
            spawn: starts a task that lives no longer than the service.
            count: returns what else there is to be counted, for the status.
        """
        self._settings = settings
        self._ledger = ledger
        self._bus = bus
        self._health = health
        self._flow = flow
        self._spawn = spawn
        self._count = count
        self._work = asyncio.Event()
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._with_model: dict[int, asyncio.Task[None]] = {}
        self._worked_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether any of them works; those whose answer waits for the model left aside."""
        return bool(self._busy)

    def idle_since(self) -> float | None:
        """Return since when no answer is in work, seconds that never step back; None: one is."""
        return None if self._busy or self._with_model else self._worked_at

    def wake(self) -> None:
        """Say that there may be jobs."""
        self._work.set()

    async def drained(self) -> None:
        """Return when the answers in work are given."""
        if working := [*self._busy.values(), *self._with_model.values()]:
            await asyncio.wait(working)

    async def dispatch(self) -> None:
        """Give due jobs to workers, most urgent first; forever."""
        settings = self._settings
        while True:
            await self._work.wait()
            # Without it nothing can be searched for: what is late would be final with no passages.
            await self._bus.wait_connected()
            self._work.clear()
            free = settings.workers - len(self._busy)
            if free <= 0:
                continue
            try:
                jobs = await self._ledger.claim(free, lease_s=settings.lease_s)
            except Retryable as error:
                self._health.trouble("dispatch", str(error))
                await asyncio.sleep(AGAIN_S)
                self._work.set()
                continue
            self._health.well("dispatch")
            for job in jobs:
                former = self._busy.get(job.id) or self._with_model.pop(job.id, None)
                task = self._spawn(self._do(job, former), f"answer {job.work.answer_id}")
                self._busy[job.id] = task

    async def renew(self) -> None:
        """Keep the leases of jobs in work, and the figures of the status; forever."""
        while True:
            await asyncio.sleep(min(_COUNT_EVERY_S, self._settings.lease_s / 3))
            try:
                if working := [*self._busy, *self._with_model]:
                    self._ledger.extend(working, lease_s=self._settings.lease_s)
                if await self._ledger.release(all_of_it=False):
                    self._work.set()
                self._health.facts.update(await self._ledger.counts(), **self._count())
            except Retryable as error:
                self._health.trouble("leases", str(error))
            else:
                self._health.well("leases")

    async def _do(self, job: Job, former: asyncio.Task[None] | None) -> None:
        """Answer a job: a worker's time until its passages are out, the model's after that.

        Args:
            job: the job.
            former: who answers it already. It was asked anew with other words, or a clock set
                forward made the lease look old; that answer is not wanted any more.
        """
        trace_id.set(job.work.trace)
        me = asyncio.current_task()
        try:
            if former is not None:
                former.cancel()
                await asyncio.wait([former])
            draft = await self._flow.passages(job)
            if draft is not None:
                self._with_model[job.id] = self._busy.pop(job.id)
                self._work.set()
                await self._flow.model(job, draft)
        except Damaged:
            raise  # the process ends, and the next one takes the job up again
        except Retryable as error:
            # The lease runs out and the job is taken up again.
            self._health.trouble("answers", f"an answer waits: {error}")
        except Exception as error:
            # One answer must not end the service; the job keeps the reason.
            log.exception("answer %s failed", job.work.answer_id)
            await self._give_up(job, f"{type(error).__name__}: {error}")
        else:
            self._health.well("answers")
        finally:
            for held in (self._busy, self._with_model):
                if held.get(job.id) is me:
                    del held[job.id]
            self._worked_at = time.monotonic()
            self._work.set()

    async def _give_up(self, job: Job, reason: str) -> None:
        try:
            await self._flow.give_up(job, reason)
        except Retryable as error:
            self._health.trouble("answers", f"an answer waits: {error}")
