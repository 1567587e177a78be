"""The orchestrator's door: faults, questions and feedback in; answers, displays and alarms out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from schemas.channels import (
    ACTIVATE_PROMPT,
    MAKE_AGAIN,
    MARK,
    PROMPT,
    PROMPTS,
    ROLL_BACK_PROMPT,
    SAVE_PROMPT,
    STATUS,
    TRACE,
    TRY_PROMPT,
    Rpc,
)
from schemas.health import ServiceStatus
from services.orchestrator import sparkplug
from services.orchestrator.again import Stands
from services.orchestrator.asking import Asking
from services.orchestrator.board import Board
from services.orchestrator.flow import Flow
from services.orchestrator.housekeeping import Housekeeping
from services.orchestrator.intake import Intake, filters
from services.orchestrator.ledger import Ledger
from services.orchestrator.mending import LEDGER
from services.orchestrator.outbox import Outbox
from services.orchestrator.prepared import Prepared
from services.orchestrator.preparing import Preparing, Wanted
from services.orchestrator.rebirths import Rebirths
from services.orchestrator.records import Deeds, Entry, Job, Refusal, as_received
from services.orchestrator.redelivered import REMEMBERED, Redelivered
from services.orchestrator.refresh import Refresh
from services.orchestrator.standing import Kept
from services.orchestrator.steady import onward
from services.orchestrator.tracing import Tracing
from services.orchestrator.versions import Versions
from services.runtime.clock import now, stamp
from services.runtime.config import Config
from services.runtime.errors import Damaged, Retryable
from services.runtime.log import trace_id
from services.runtime.messages import Delivery, Inbox
from services.runtime.process import Context
from services.runtime.retained import Retained
from services.runtime.rpc import Handler
from services.runtime.salvage import mend, watch

log = logging.getLogger(__name__)

_COMMIT_AGAIN_S = 1.0
_AT_ONCE = 200
"""Messages of one commit, at most: more are no faster, and an urgent answer waits for each."""
_TICK_S = 1.0
"""Alarms are looked at this often for what time brings about."""
_COUNT_EVERY_S = 5.0
_HELPERS = ("llm_bridge", "retriever")


class OrchestratorService:
    """Decides what happens to a fault; owns the ledger.

    In:  the triggers' topics, `andon/ask/<client>`, `andon/feedback/<answer id>`,
         `andon/status/<service>` (of the bridge and the retriever); orchestrator/prompts, prompt,
         save_prompt, activate_prompt, roll_back_prompt, try_prompt, trace, make_again.
    Out: `andon/answer/…`, `andon/display/…`, `andon/alarm/<asset>` through the outbox, and again
         when the broker lost them, which `andon/mark/orchestrator` tells;
         `andon/stream/…` directly, and `spBv1.0/<group>/NCMD/<edge>` to Sparkplug edge nodes.
    Asks: retriever/search, retriever/corpus, retriever/units, llm_bridge/generate.
    """

    name: ClassVar[str] = "orchestrator"
    keeps_session: ClassVar[bool] = True

    def __init__(self, config: Config) -> None:
        self._config = config
        self._model_ready = False
        self._warm = False
        self._model = ""
        """Name of the language model, the last one that was heard of."""
        self._worked_at = time.monotonic()
        self._generation: int | None = None
        self._dropped = 0
        self._work = asyncio.Event()
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._with_model: dict[int, asyncio.Task[None]] = {}
        self._rebirths = Rebirths()
        self._clock = onward()
        self._closing = contextlib.AsyncExitStack()

    async def start(self, context: Context) -> None:
        """Open the ledger, take up what was left, and listen."""
        self._context = context
        # First of all: while the ledger is looked at or mended, faults wait here or at the broker.
        messages = await context.bus.consume(*filters(self._config))
        path = self._config.data_dir / "ledger.db"
        await mend(path, LEDGER, context.health)
        self._ledger = await Ledger.open(path)
        self._closing.push_async_callback(self._ledger.close)
        if left := await self._ledger.release(all_of_it=True):
            log.info("%d answers were left unfinished and are taken up again", left)
        self._outbox = Outbox(self._ledger, context.bus, context.health)
        retained = Retained(
            context.bus,
            MARK.topic(self._config.prefix, service=self.name),
            Kept(self._config, self._ledger, self._outbox.restore),
        )
        self._outbox.look_after(retained)
        board = Board(
            self._config.orchestrator.alarms,
            await self._ledger.standings(),
            await self._ledger.areas(),
        )
        self._intake = Intake(self._config, board)
        self._redelivered = Redelivered(await self._ledger.digests(REMEMBERED))
        self._versions = await Versions.open(self._ledger.database)
        asking = Asking(context.caller)
        self._prepared = Prepared(self._ledger.database)
        await self._prepared.open()
        self._flow = Flow(
            self._config,
            self._ledger,
            context.bus,
            context.caller,
            versions=self._versions,
            asking=asking,
            committed=self._outbox.wake,
            model_ready=lambda: self._model_ready,
            prepared=self._prepared,
            model=lambda: self._model,
            alarm=board.now,
        )
        # QoS 0: while we are away the broker must keep faults for us, and not every status.
        topics = [STATUS.topic(self._config.prefix, service=one) for one in _HELPERS]
        statuses = await context.bus.consume(*topics, qos=0)
        self._refresh = Refresh(
            self._ledger,
            context.caller,
            deadline_s=self._config.orchestrator.deadline_s,
            wake=self._work.set,
        )
        context.spawn(self._refresh.run(), "refresh answers")
        self._work.set()
        self._listening = context.spawn(self._listen(messages), "listen")
        context.spawn(self._watch(statuses), "watch the others")
        self._dispatching = context.spawn(self._dispatch(), "dispatch")
        context.spawn(self._outbox.run(), "outbox")
        context.spawn(retained.run(), "retained")
        context.spawn(self._renew(), "leases")
        if self._config.orchestrator.use_model and self._config.orchestrator.night.enabled:
            context.spawn(self._preparing(asking).run(), "prepare answers")
        keeping = Housekeeping(
            self._ledger.database,
            self._config.data_dir / "history",
            keep_days=self._config.orchestrator.keep_days,
            history_days=self._config.orchestrator.history_days,
            quiet=lambda: not self._busy,
            health=context.health,
        )
        context.spawn(keeping.run(), "housekeeping")
        context.spawn(watch(self._ledger.database), "watch the ledger")
        tracing = Tracing(
            self._config,
            self._ledger.database,
            context.caller,
            versions=self._versions,
            asking=asking,
            stopping=context.stopping,
        )
        served: tuple[tuple[Rpc, Handler], ...] = (
            (PROMPTS, self._versions.listed),
            (PROMPT, self._versions.show),
            (SAVE_PROMPT, self._versions.save),
            (ACTIVATE_PROMPT, self._versions.activate),
            (ROLL_BACK_PROMPT, self._versions.roll_back),
            (TRY_PROMPT, tracing.attempt),
            (TRACE, tracing.trace),
            (MAKE_AGAIN, tracing.make_again),
        )
        for rpc, handler in served:
            await context.server.serve(rpc, handler, at_once=4)

    def _preparing(self, asking: Asking) -> Preparing:
        context = self._context
        wanted = Wanted(
            idle_since=self._idle_since,
            model=lambda: self._model if self._model_ready else "",
            generation=lambda: self._generation,
            flow=self._flow,
            asking=asking,
            number=self._ledger.number,
        )
        return Preparing(self._config, self._prepared, context.caller, context.health, wanted)

    def _idle_since(self) -> float | None:
        return None if self._busy or self._with_model else self._worked_at

    async def drain(self) -> None:
        """Take nothing new, finish the answers in work, send what is committed."""
        self._listening.cancel()
        self._dispatching.cancel()
        if working := [*self._busy.values(), *self._with_model.values()]:
            await asyncio.wait(working)
        if self._context.bus.connected:
            await self._outbox.drained()

    async def close(self) -> None:
        """Close the ledger."""
        await self._closing.aclose()

    async def _listen(self, messages: Inbox) -> None:
        """Commit what arrived together, then ack it, in order of arrival."""
        while True:
            batch: list[Delivery] = []
            with contextlib.suppress(TimeoutError):  # the alarms change with time as well
                async with asyncio.timeout(_TICK_S):
                    batch = await messages.batch(_AT_ONCE)
            news = await self._accept(batch)
            for delivery in batch:
                self._context.bus.ack(delivery)
            if news:
                self._work.set()
                self._outbox.wake()
            self._tell_dropped(messages.dropped)
            await self._ask_for_births()

    def _tell_dropped(self, dropped: int) -> None:
        """Say how many faults were lost that nobody had promised to keep."""
        facts, known = self._context.health.facts, self._dropped
        if dropped > known:
            log.error(
                "%d messages sent with QoS 0 found no room while others waited for the disk;"
                " faults that must not be lost are published with QoS 1",
                dropped - known,
            )
            facts["dropped"] = self._dropped = dropped

    async def _accept(self, batch: list[Delivery]) -> bool:
        """Write a batch, and what time brought about, into the ledger; wait where it cannot be.

        Returns:
            Whether there was anything to write: most messages of an edge node tell no fault.
        """
        received, at = now(), self._clock()
        while True:
            try:
                news = await self._commit(batch, received, at)
            except Retryable as error:
                self._context.health.trouble("ledger", f"faults wait unacknowledged: {error}")
                self._intake.restore()
                await asyncio.sleep(_COMMIT_AGAIN_S)
            else:
                self._context.health.well("ledger")
                return news

    async def _commit(self, batch: list[Delivery], received: str, at: float) -> bool:
        """Try to write; returns whether there was anything to write. Raises Retryable."""
        batch = self._redelivered.new(batch)
        due = self._intake.tick(at)
        read = [self._intake.read(delivery, received, at) for delivery in batch]
        entries: list[Entry] = [
            entry
            for delivery, one in zip(batch, read, strict=True)
            if isinstance(one, list)
            for entry in as_received(one, delivery.payload)
        ]
        refusals = [one for one in read if isinstance(one, Refusal)]
        if not (entries or refusals or due):
            self._intake.committed()
            self._redelivered.taken(batch)
            return False
        await self._ledger.accept(
            entries,
            refusals,
            self._intake.changes(),
            deadline_s=self._config.orchestrator.deadline_s,
            deeds=[due] if due else [],
            standing=self._stands(at),
        )
        self._intake.committed()
        self._redelivered.taken(batch)
        for done in [*(e.deeds for e in entries), due]:
            for place, answer_id, alarm in done.urgent if done else ():
                self._flow.escalate(place, answer_id, alarm.priority)
            for place, answer_id in done.cleared if done else ():
                self._flow.release(place, answer_id)
        self._tell(entries, refusals, due)
        return True

    def _tell(
        self, entries: Sequence[Entry], refusals: Sequence[Refusal], due: Deeds | None
    ) -> None:
        for refusal in refusals:
            event = refusal.event
            log.warning("rejected a message on %s: %s", event.topic, event.reason)
        for done in [*(e.deeds for e in entries), due]:
            for gone in done.forgotten if done else ():
                log.warning("too many alarms: %s %s made room", gone.asset, gone.key)

    async def _ask_for_births(self) -> None:
        """Ask Sparkplug edge nodes that cannot be understood to introduce themselves again."""
        for group, edge in self._intake.rebirths():
            if not self._rebirths.due((group, edge), at := time.time()):
                continue
            topic = sparkplug.rebirth_topic(group, edge)
            try:
                await self._context.bus.publish(topic, sparkplug.rebirth(int(at * 1000)), qos=0)
            except Retryable as error:
                # Its next message asks again.
                log.warning("could not ask for a rebirth: %s", error)
            else:
                self._rebirths.asked((group, edge), at)
                log.info("asked the edge node %s/%s for a rebirth", group, edge)

    async def _watch(self, statuses: Inbox) -> None:
        """Know whether the bridge has a model to ask, and when a manual changed."""
        while True:
            delivery = await statuses.get()
            try:
                status: ServiceStatus = STATUS.decode(delivery.payload)
            except msgspec.DecodeError as error:
                log.warning("unreadable status on %s: %s", delivery.topic, error)
            else:
                self._learn(status)
            self._context.bus.ack(delivery)

    def _learn(self, status: ServiceStatus) -> None:
        if status.service == "llm_bridge":
            name = str(status.facts.get("model") or "")
            self._model_ready = status.state == "ready" and bool(name)
            self._model = name or self._model
            if self._model_ready and self._config.orchestrator.use_model and not self._warm:
                self._warm = True
                self._context.spawn(asyncio.to_thread(self._versions.warm), "load the prompts")
            return
        self._refresh.heard(status)
        if isinstance(generation := status.facts.get("generation"), int):
            self._generation = generation

    def _stands(self, at: float) -> Stands:
        """Return which answers of before may go out again, at a time in s since 1970."""
        settings = self._config.orchestrator
        asks = settings.use_model and self._model_ready
        return Stands(
            prefix=self._config.prefix,
            expiry_s=settings.answers_stand_s,
            generation=self._generation,
            anew_before=stamp(datetime.fromtimestamp(at - settings.reuse_s, UTC)) if asks else "",
        )

    async def _dispatch(self) -> None:
        """Give due jobs to workers, most urgent first."""
        settings = self._config.orchestrator
        while True:
            await self._work.wait()
            # Without it nothing can be searched for: what is late would be final with no passages.
            await self._context.bus.wait_connected()
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
                former = self._busy.get(job.id) or self._with_model.pop(job.id, None)
                task = self._context.spawn(self._do(job, former), f"answer {job.work.answer_id}")
                self._busy[job.id] = task

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
            self._context.health.trouble("answers", f"an answer waits: {error}")
        except Exception as error:
            # One answer must not end the service; the job keeps the reason.
            log.exception("answer %s failed", job.work.answer_id)
            await self._give_up(job, f"{type(error).__name__}: {error}")
        else:
            self._context.health.well("answers")
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
            self._context.health.trouble("answers", f"an answer waits: {error}")

    async def _renew(self) -> None:
        """Keep the leases of jobs in work, and the figures of the status."""
        while True:
            await asyncio.sleep(min(_COUNT_EVERY_S, self._config.orchestrator.lease_s / 3))
            try:
                if working := [*self._busy, *self._with_model]:
                    self._ledger.extend(working, lease_s=self._config.orchestrator.lease_s)
                if await self._ledger.release(all_of_it=False):
                    self._work.set()
                facts = self._context.health.facts
                facts.update(await self._ledger.counts(), prompts=self._versions.own)
            except Retryable as error:
                self._context.health.trouble("leases", str(error))
            else:
                self._context.health.well("leases")
