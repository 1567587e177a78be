"""Messages that come in: committed together, then acked; what is acked is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.orchestrator import sparkplug
from services.orchestrator.again import Stands
from services.orchestrator.flow import Flow
from services.orchestrator.intake import Intake
from services.orchestrator.ledger import Ledger
from services.orchestrator.rebirths import Rebirths
from services.orchestrator.records import Deeds, Entry, Refusal, as_received
from services.orchestrator.redelivered import Redelivered
from services.orchestrator.steady import onward
from services.runtime.bus import Bus
from services.runtime.clock import now
from services.runtime.errors import Retryable
from services.runtime.messages import Delivery, Inbox
from services.runtime.process import Health

log = logging.getLogger(__name__)

AGAIN_S = 1.0
"""Pause until the ledger is tried again, s."""
_AT_ONCE = 200
"""Messages of one commit, at most: more are no faster, and an urgent answer waits for each."""
_TICK_S = 1.0
"""Alarms are looked at this often for what time brings about."""


@dataclass(frozen=True, slots=True)
class Upon:
    """What has to be known and done when something arrives."""

    stands: Callable[[float], Stands]
    """Returns which answers of before may go out again, at a time in s since 1970."""
    news: Callable[[], None]
    """Called when there is something new in the ledger."""


class Arrivals:
    """Takes faults, questions and feedback into the ledger, and what time brings about."""

    def __init__(
        self,
        ledger: Ledger,
        bus: Bus,
        health: Health,
        *,
        intake: Intake,
        redelivered: Redelivered,
        flow: Flow,
        deadline_s: float,
        upon: Upon,
    ) -> None:
        """Prepare.

        Args:
            ledger: where they are kept.
            bus: where they are acked.
            health: told while the ledger cannot be written.
            intake: what a message says, and what it does to the alarms.
            redelivered: which messages are there already.
            flow: told of answers that became more urgent, or are not wanted any more.
            deadline_s: how long an answer may take.
            upon: the rest of the service.
        """
        self._ledger = ledger
        self._bus = bus
        self._health = health
        self._intake = intake
        self._redelivered = redelivered
        self._flow = flow
        self._deadline_s = deadline_s
        self._upon = upon
        self._dropped = 0
        self._rebirths = Rebirths()
        self._clock = onward()

    async def listen(self, messages: Inbox) -> None:
        """Commit what arrived together, then ack it, in order of arrival; forever."""
        while True:
            batch: list[Delivery] = []
            with contextlib.suppress(TimeoutError):  # the alarms change with time as well
                async with asyncio.timeout(_TICK_S):
                    batch = await messages.batch(_AT_ONCE)
            news = await self._accept(batch)
            for delivery in batch:
                self._bus.ack(delivery)
            if news:
                self._upon.news()
            self._tell_dropped(messages.dropped)
            await self._ask_for_births()

    def _tell_dropped(self, dropped: int) -> None:
        """Say how many faults were lost that nobody had promised to keep."""
        if dropped > self._dropped:
            log.error(
                "%d messages sent with QoS 0 found no room while others waited for the disk;"
                " faults that must not be lost are published with QoS 1",
                dropped - self._dropped,
            )
            self._health.facts["dropped"] = self._dropped = dropped

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
                self._health.trouble("ledger", f"faults wait unacknowledged: {error}")
                self._intake.restore()
                await asyncio.sleep(AGAIN_S)
            else:
                self._health.well("ledger")
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
            deadline_s=self._deadline_s,
            deeds=[due] if due else [],
            standing=self._upon.stands(at),
        )
        self._intake.committed()
        self._redelivered.taken(batch)
        for done in [*(e.deeds for e in entries), due]:
            for place, answer_id, alarm in done.urgent if done else ():
                self._flow.escalate(place, answer_id, alarm.priority)
            for place, answer_id in done.cleared if done else ():
                self._flow.release(place, answer_id)
        _tell(entries, refusals, due)
        return True

    async def _ask_for_births(self) -> None:
        """Ask Sparkplug edge nodes that cannot be understood to introduce themselves again."""
        for group, edge in self._intake.rebirths():
            if not self._rebirths.due((group, edge), at := time.time()):
                continue
            topic = sparkplug.rebirth_topic(group, edge)
            try:
                await self._bus.publish(topic, sparkplug.rebirth(int(at * 1000)), qos=0)
            except Retryable as error:
                # Its next message asks again.
                log.warning("could not ask for a rebirth: %s", error)
            else:
                self._rebirths.asked((group, edge), at)
                log.info("asked the edge node %s/%s for a rebirth", group, edge)


def _tell(entries: Sequence[Entry], refusals: Sequence[Refusal], due: Deeds | None) -> None:
    for refusal in refusals:
        event = refusal.event
        log.warning("rejected a message on %s: %s", event.topic, event.reason)
    for done in [*(e.deeds for e in entries), due]:
        for gone in done.forgotten if done else ():
            log.warning("too many alarms: %s %s made room", gone.asset, gone.key)
