"""From the ledger to the broker: what was committed leaves, in order, at least once."""

from __future__ import annotations

import asyncio
import logging
import secrets

from services.orchestrator.ledger import Ledger, Outgoing
from services.runtime.bus import Bus
from services.runtime.errors import Rejected, Retryable
from services.runtime.messages import Properties

log = logging.getLogger(__name__)

_BATCH = 100
_RETRY_S = 0.5


class Outbox:
    """Publishes what the ledger holds for publishing, and forgets what the broker has."""

    def __init__(self, ledger: Ledger, bus: Bus) -> None:
        self._ledger = ledger
        self._bus = bus
        self._due = asyncio.Event()
        self._due.set()
        self._idle = asyncio.Event()
        self._gone: set[int] = set()
        """With the broker, and not yet forgotten: the disk may be full for hours."""

    def wake(self) -> None:
        """Say that something new was committed."""
        self._idle.clear()
        self._due.set()

    async def drained(self) -> None:
        """Wait until all that was committed is with the broker."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish for ever; a broker that is away is waited for."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self._bus.wait_connected()
            try:
                while batch := await self._ledger.outbox(0, _BATCH + len(self._gone)):
                    await self._leave([m for m in batch if m.id not in self._gone])
                if not self._due.is_set():
                    self._idle.set()
            except Retryable as error:
                log.info("the outbox waits: %s", error)
                self._due.set()
                await asyncio.sleep(_RETRY_S)

    async def _leave(self, batch: list[Outgoing]) -> None:
        """Publish a batch, all in flight together; the order on the wire is kept."""
        results = await asyncio.gather(*map(self._publish, batch), return_exceptions=True)
        lost: Retryable | None = None
        for message, result in zip(batch, results, strict=True):
            if isinstance(result, Retryable):
                lost = lost or result
            elif isinstance(result, Rejected):
                # It would be refused for ever and hold up all behind it; the ledger has the answer.
                log.error("the broker refuses %s: %s", message.topic, result)
                self._gone.add(message.id)
            elif isinstance(result, BaseException):
                raise result
            else:
                self._gone.add(message.id)
        if self._gone:
            await self._ledger.sent(self._gone)
            self._gone.clear()
        if lost:
            raise lost

    async def _publish(self, message: Outgoing) -> None:
        user = (("traceparent", traceparent(message.trace)),) if message.trace else ()
        await self._bus.publish(
            message.topic,
            message.payload,
            retain=message.retain,
            properties=Properties(
                content_type=message.content_type or None,
                correlation=message.correlation,
                expiry_s=message.expiry_s,
                user=user,
            ),
        )


def traceparent(trace: str) -> str:
    """Return the W3C header for a trace id, with a span of our own."""
    return f"00-{trace}-{secrets.token_hex(8)}-01"
