"""The orchestrator's door: faults, questions and feedback in; answers, displays and alarms out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import ClassVar

import msgspec

from schemas.channels import STATUS
from schemas.errors import RejectedEvent
from schemas.health import ServiceStatus
from services.orchestrator.flow import Flow
from services.orchestrator.intake import Intake
from services.orchestrator.ledger import Entry, Job, Ledger
from services.orchestrator.mending import LEDGER
from services.orchestrator.outbox import Outbox
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import Retryable
from services.runtime.log import trace_id
from services.runtime.messages import Delivery, Inbox
from services.runtime.process import Context
from services.runtime.salvage import mend, watch

log = logging.getLogger(__name__)

_COMMIT_AGAIN_S = 1.0
_COUNT_EVERY_S = 5.0


class OrchestratorService:
    """Decides what happens to a fault; owns the ledger.

    In:  the triggers' topics, `andon/ask/<client>`, `andon/feedback/<answer id>`,
         `andon/status/<service>` (of the bridge).
    Out: `andon/answer/…`, `andon/display/…`, `andon/alarm/<asset>` through the outbox;
         `andon/stream/…` directly.
    Asks: retriever/search, llm_bridge/generate.
    """

    name: ClassVar[str] = "orchestrator"
    keeps_session: ClassVar[bool] = True

    def __init__(self, config: Config) -> None:
        self._config = config
        self._model_ready = False
        self._work = asyncio.Event()
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._closing = contextlib.AsyncExitStack()

    async def start(self, context: Context) -> None:
        """Open the ledger, take up what was left, and listen."""
        self._context = context
        path = self._config.data_dir / "ledger.db"
        await mend(path, LEDGER, context.health)
        self._ledger = await Ledger.open(path)
        self._closing.push_async_callback(self._ledger.close)
        if left := await self._ledger.release():
            log.info("%d answers were left unfinished and are taken up again", left)
        self._outbox = Outbox(self._ledger, context.bus)
        self._intake = Intake(self._config, await self._ledger.alarms())
        self._flow = Flow(
            self._config,
            self._ledger,
            context.bus,
            context.caller,
            committed=self._outbox.wake,
            model_ready=lambda: self._model_ready,
        )
        messages = await context.bus.consume(*self._intake.filters)
        statuses = await context.bus.consume(
            STATUS.topic(self._config.prefix, service="llm_bridge")
        )
        self._work.set()
        self._listening = context.spawn(self._listen(messages), "listen")
        context.spawn(self._watch_model(statuses), "watch model")
        self._dispatching = context.spawn(self._dispatch(), "dispatch")
        context.spawn(self._outbox.run(), "outbox")
        context.spawn(self._renew(), "leases")
        context.spawn(watch(self._ledger.database), "watch the ledger")

    async def drain(self) -> None:
        """Take nothing new, finish the answers in work, send what is committed."""
        self._listening.cancel()
        self._dispatching.cancel()
        if self._busy:
            await asyncio.wait(self._busy.values())
        if self._context.bus.connected:
            await self._outbox.drained()

    async def close(self) -> None:
        """Close the ledger."""
        await self._closing.aclose()

    async def _listen(self, messages: Inbox) -> None:
        """Commit what arrived together, then ack it, in order of arrival."""
        while True:
            batch = await messages.batch()
            await self._accept(batch)
            for delivery in batch:
                self._context.bus.ack(delivery)
            self._work.set()
            self._outbox.wake()

    async def _accept(self, batch: list[Delivery]) -> None:
        """Write a batch into the ledger; a ledger that cannot be written is waited for."""
        received = now()
        while True:
            read = [self._intake.read(delivery, received) for delivery in batch]
            entries: list[Entry] = [e for one in read if isinstance(one, list) for e in one]
            rejected = [one for one in read if isinstance(one, RejectedEvent)]
            try:
                await self._ledger.accept(
                    entries, rejected, deadline_s=self._config.orchestrator.deadline_s
                )
            except Retryable as error:
                self._context.health.trouble("ledger", f"faults wait unacknowledged: {error}")
                await asyncio.sleep(_COMMIT_AGAIN_S)
                await self._restore()
                continue
            self._context.health.well("ledger")
            for one in rejected:
                log.warning("rejected a message on %s: %s", one.topic, one.reason)
            return

    async def _restore(self) -> None:
        """Go back to the alarms of the last commit; a disk that cannot be read is waited for."""
        while True:
            try:
                self._intake.restore(await self._ledger.alarms())
            except Retryable as error:
                self._context.health.trouble("ledger", str(error))
                await asyncio.sleep(_COMMIT_AGAIN_S)
            else:
                return

    async def _watch_model(self, statuses: Inbox) -> None:
        """Know whether the bridge has a model to ask."""
        while True:
            delivery = await statuses.get()
            try:
                status: ServiceStatus = STATUS.decode(delivery.payload)
            except msgspec.DecodeError as error:
                log.warning("unreadable status of the bridge: %s", error)
            else:
                self._model_ready = status.state == "ready" and bool(status.facts.get("model"))
            self._context.bus.ack(delivery)

    async def _dispatch(self) -> None:
        """Give due jobs to workers, most urgent first."""
        settings = self._config.orchestrator
        while True:
            # Wakes by itself as well, for jobs whose lease ran out.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.lease_s):
                    await self._work.wait()
            self._work.clear()
            free = settings.workers - len(self._busy)
            if free <= 0:
                continue
            try:
                jobs = await self._ledger.claim(free, lease_s=settings.lease_s)
            except Retryable as error:
                self._context.health.trouble("dispatch", str(error))
                await asyncio.sleep(_COMMIT_AGAIN_S)
                self._work.set()
                continue
            self._context.health.well("dispatch")
            for job in jobs:
                if job.id in self._busy:
                    continue  # its lease ran out while it waits for the disk
                task = self._context.spawn(self._do(job), f"answer {job.work.answer_id}")
                self._busy[job.id] = task

    async def _do(self, job: Job) -> None:
        trace_id.set(job.work.trace)
        try:
            await self._until_written(job)
        except Exception as error:
            # One answer must not end the service; the job keeps the reason.
            log.exception("answer %s failed", job.work.answer_id)
            await self._ledger.fail(job, f"{type(error).__name__}: {error}")
        finally:
            del self._busy[job.id]
            self._work.set()

    async def _until_written(self, job: Job) -> None:
        """Answer; a ledger that cannot be written is waited for."""
        while True:
            try:
                await self._flow.run(job)
            except Retryable as error:
                self._context.health.trouble("answers", f"an answer waits: {error}")
                await asyncio.sleep(_COMMIT_AGAIN_S)
            else:
                self._context.health.well("answers")
                return

    async def _renew(self) -> None:
        """Keep the leases of jobs in work, and the figures of the status."""
        while True:
            await asyncio.sleep(min(_COUNT_EVERY_S, self._config.orchestrator.lease_s / 3))
            try:
                if self._busy:
                    await self._ledger.extend(
                        list(self._busy), lease_s=self._config.orchestrator.lease_s
                    )
                self._context.health.facts.update(await self._ledger.counts())
            except Retryable as error:
                self._context.health.trouble("leases", str(error))
            else:
                self._context.health.well("leases")
