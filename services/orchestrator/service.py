"""The orchestrator's door: faults, questions and feedback in; answers, displays and alarms out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from typing import ClassVar

from schemas.channel import Rpc
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
)
from services.orchestrator.again import Stands
from services.orchestrator.arrivals import Arrivals, Upon
from services.orchestrator.asking import Asking
from services.orchestrator.board import Board
from services.orchestrator.flow import Flow
from services.orchestrator.housekeeping import Housekeeping
from services.orchestrator.intake import Intake, filters
from services.orchestrator.ledger import Ledger
from services.orchestrator.mending import LEDGER
from services.orchestrator.others import OTHERS, Others
from services.orchestrator.outbox import Outbox
from services.orchestrator.plan import Plan
from services.orchestrator.prepared import Prepared
from services.orchestrator.preparing import Preparing, Wanted
from services.orchestrator.redelivered import REMEMBERED, Redelivered
from services.orchestrator.refresh import Refresh
from services.orchestrator.standing import Kept
from services.orchestrator.tracing import Tracing
from services.orchestrator.versions import Versions
from services.orchestrator.workers import Workers
from services.runtime.clock import stamp
from services.runtime.config import Config
from services.runtime.messages import Inbox
from services.runtime.process import Context
from services.runtime.retained import Retained
from services.runtime.rpc import Handler
from services.runtime.salvage import mend, watch

log = logging.getLogger(__name__)


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
        self.others = Others()
        self._warm = False
        self._closing = contextlib.AsyncExitStack()

    async def start(self, context: Context) -> None:
        """Open the ledger, take up what was left, and listen."""
        self._context = context
        settings = self._config.orchestrator
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
        board = Board(settings.alarms, await self._ledger.standings(), await self._ledger.areas())
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
            model_ready=lambda: self.others.model_ready,
            prepared=self._prepared,
            model=lambda: self.others.model,
            alarm=board.now,
        )
        self._workers = Workers(
            settings,
            self._ledger,
            context.bus,
            context.health,
            flow=self._flow,
            spawn=context.spawn,
            count=lambda: {"prompts": self._versions.own},
        )
        arrivals = Arrivals(
            self._ledger,
            context.bus,
            context.health,
            intake=Intake(self._config, board),
            redelivered=Redelivered(await self._ledger.digests(REMEMBERED)),
            flow=self._flow,
            deadline_s=settings.deadline_s,
            upon=Upon(self._stands, self._news),
        )
        await self._begin(context, arrivals, messages, retained, asking)
        await self._serve(context, asking)

    async def _begin(
        self,
        context: Context,
        arrivals: Arrivals,
        messages: Inbox,
        retained: Retained,
        asking: Asking,
    ) -> None:
        """Start all that goes on for as long as the service lives."""
        settings = self._config.orchestrator
        # QoS 0: while we are away the broker must keep faults for us, and not every status.
        topics = [STATUS.topic(self._config.prefix, service=one) for one in OTHERS]
        statuses = await context.bus.consume(*topics, qos=0)
        refresh = Refresh(
            self._ledger, context.caller, deadline_s=settings.deadline_s, wake=self._workers.wake
        )
        context.spawn(refresh.run(), "refresh answers")
        self._workers.wake()
        self._listening = context.spawn(arrivals.listen(messages), "listen")
        watching = self.others.watch(
            context.bus, statuses, asked=self._load_prompts, corpus=refresh.heard
        )
        context.spawn(watching, "watch the others")
        self._dispatching = context.spawn(self._workers.dispatch(), "dispatch")
        context.spawn(self._outbox.run(), "outbox")
        context.spawn(retained.run(), "retained")
        context.spawn(self._workers.renew(), "leases")
        if settings.use_model and settings.night.enabled:
            context.spawn(self._preparing(asking).run(), "prepare answers")
        keeping = Housekeeping(
            self._ledger.database,
            self._config.data_dir / "history",
            keep_days=settings.keep_days,
            history_days=settings.history_days,
            quiet=lambda: not self._workers.busy,
            health=context.health,
        )
        context.spawn(keeping.run(), "housekeeping")
        context.spawn(watch(self._ledger.database), "watch the ledger")

    async def _serve(self, context: Context, asking: Asking) -> None:
        """Answer what other processes ask about prompts and answers."""
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
        context, others = self._context, self.others
        wanted = Wanted(
            idle_since=self._workers.idle_since,
            model=lambda: others.model if others.model_ready else "",
            generation=lambda: others.generation,
            flow=self._flow,
            asking=asking,
            number=self._ledger.number,
            stopping=context.stopping,
        )
        plan = Plan(self._ledger.database)
        return Preparing(
            self._config, self._prepared, plan, context.caller, context.health, wanted=wanted
        )

    async def drain(self) -> None:
        """Take nothing new, finish the answers in work, send what is committed."""
        self._listening.cancel()
        self._dispatching.cancel()
        await self._workers.drained()
        if self._context.bus.connected:
            await self._outbox.drained()

    async def close(self) -> None:
        """Close the ledger."""
        await self._closing.aclose()

    def _news(self) -> None:
        """There is something new in the ledger."""
        self._workers.wake()
        self._outbox.wake()

    def _load_prompts(self) -> None:
        """Load the prompts before the first question needs them."""
        if self._config.orchestrator.use_model and not self._warm:
            self._warm = True
            self._context.spawn(asyncio.to_thread(self._versions.warm), "load the prompts")

    def _stands(self, at: float) -> Stands:
        """Return which answers of before may go out again, at a time in s since 1970."""
        settings = self._config.orchestrator
        asks = settings.use_model and self.others.model_ready
        return Stands(
            prefix=self._config.prefix,
            expiry_s=settings.answers_stand_s,
            generation=self.others.generation,
            anew_before=stamp(datetime.fromtimestamp(at - settings.reuse_s, UTC)) if asks else "",
        )
