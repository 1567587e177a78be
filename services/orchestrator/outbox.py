"""From the ledger to the broker: what was committed leaves, in order, at least once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from services.orchestrator.ledger import Ledger
from services.orchestrator.records import Outgoing
from services.runtime.bus import Bus
from services.runtime.errors import Rejected, Retryable
from services.runtime.messages import Properties
from services.runtime.process import Health
from services.runtime.retained import Retained

log = logging.getLogger(__name__)

_BATCH = 100
_RETRY_S = 0.5
_TIDY_S = 1.0
_AWAY_S = 0.2
"""A broker that is killed takes along what it confirmed and had not handed on yet. So a message
is forgotten only when the connection has stood for so long after its PUBACK, and else sent again.
A delayed acknowledgement keeps it from a subscriber for 40 ms. A loop that is blocked for longer
than this may forget before it reads that the connection has ended."""
_RESTORED_AT_ONCE = 20
"""Messages sent again because the broker lost them, between two looks for what is new."""
_SUSPICIOUS = 3
"""Connections lost while publishing, one after the other, until messages go one by one."""
_POISON = 5
"""Connections lost over one message alone in flight, one after the other, until it is set aside."""
_CLOSED = "the broker closed the connection each time this was published"


Make = Callable[[], Awaitable[Outgoing | None]]
"""Makes a message when its turn comes; None where there is nothing to send any more."""


class Outbox:
    """Publishes what the ledger holds for publishing, and forgets what the broker has.

    Also, when nothing new is due, what the broker had and lost. That needs no rows of its own: it
    follows from the ledger, each message when its turn comes, so that it never goes back behind
    one that left before.
    """

    def __init__(self, ledger: Ledger, bus: Bus, health: Health | None = None) -> None:
        self._ledger = ledger
        self._bus = bus
        self._retained: Retained | None = None
        self._lost: deque[Make] = deque()
        self._leaving: deque[tuple[float, int]] = deque()
        self._again: set[int] = set()
        self._connection = 0
        self._health = health
        self._refused: set[str] = set()
        self._due = asyncio.Event()
        self._due.set()
        self._idle = asyncio.Event()

    def wake(self) -> None:
        """Say that something new was committed."""
        self._idle.clear()
        self._due.set()

    def look_after(self, retained: Retained) -> None:
        """Have `retained` know what the broker confirms, and when nothing more comes."""
        self._retained = retained

    def restore(self, lost: Sequence[Make]) -> None:
        """Send again what the broker lost, instead of what was to be restored before.

        Args:
            lost: what makes the messages.
        """
        self._lost = deque(lost)
        self.wake()

    async def drained(self) -> None:
        """Wait until all that was committed is with the broker."""
        await self._idle.wait()
        await self._forget(0.0)

    async def run(self) -> None:
        """Publish for ever; a broker that is away is waited for."""
        lost = alone = 0
        while True:
            try:
                await self._wait()
                more = True
                while more:
                    await self._forget(_AWAY_S)
                    batch = await self._ledger.outbox(0, 1 if lost >= _SUSPICIOUS else _BATCH)
                    # Also one that came while the ledger was read: what the last had goes first.
                    if self._begin(await self._bus.next_connection()):
                        continue
                    if not batch:
                        more = await self._restore()
                    elif alone >= _POISON:
                        await self._set_aside(batch[0], _CLOSED)
                    elif failure := await self._leave(batch):
                        # A ledger that fails, a broker that is slow or away: no message's fault.
                        if type(failure) is Retryable:
                            alone += lost >= _SUSPICIOUS
                            lost += 1
                        raise failure
                    lost = alone = 0
                if not self._due.is_set():
                    self._idle.set()
            except Retryable as error:
                log.info("the outbox waits: %s", error)
                self._due.set()
                await asyncio.sleep(_RETRY_S)

    async def _wait(self) -> None:
        """Wait for something new; in a quiet moment forget what was sent."""
        try:
            async with asyncio.timeout(_TIDY_S):
                await self._due.wait()
        except TimeoutError:
            await self._forget(0.0)
            with contextlib.suppress(Retryable):  # a full disk: the next commit forgets them
                await self._ledger.settle()
            if self._retained:
                with contextlib.suppress(Retryable):  # the next quiet moment does it
                    await self._retained.mark()
            await self._due.wait()
        self._due.clear()

    def _begin(self, connection: int) -> bool:
        """Return whether a connection is a new one: it takes what the last may not have had."""
        if connection == self._connection:
            return False
        self._connection = connection
        self._again = {number for _, number in self._leaving}
        self._leaving.clear()
        self._ledger.back()
        return True

    async def _forget(self, after_s: float) -> None:
        """Forget what the broker has had for long enough, over a connection that still stands."""
        if not self._leaving:
            return
        if not self._bus.connected or await self._bus.next_connection() != self._connection:
            self._due.set()  # with the next connection it goes out again
            return
        until, gone = asyncio.get_running_loop().time() - after_s, list[int]()
        while self._leaving and self._leaving[0][0] <= until:
            gone.append(self._leaving.popleft()[1])
        if gone:
            with contextlib.suppress(Retryable):  # it knows them all the same
                await self._ledger.sent(gone)

    async def _set_aside(self, message: Outgoing, reason: str) -> None:
        """Give up on a message that the broker does not take; the ledger keeps why."""
        log.error("set aside what the broker does not take on %r: %s", message.topic, reason)
        self._refused.add(message.topic)
        self._tell()
        await self._ledger.set_aside(message, reason)

    def _tell(self) -> None:
        """Say what topics the broker refused, until it takes something there."""
        if self._health is None:
            return
        if not self._refused:
            self._health.well("outbox")
            return
        first = min(self._refused)
        self._health.trouble(
            "outbox",
            f"the broker does not take what is published on {first} and {len(self._refused) - 1}"
            " other topics: look at its log and its access rules",
        )

    async def _leave(self, batch: list[Outgoing]) -> Retryable | None:
        """Publish a batch, all in flight together; the order on the wire is kept.

        Returns:
            Why some of it could not leave; None where all of it did.
        """
        results = await asyncio.gather(*map(self._publish, batch), return_exceptions=True)
        gone: list[int] = []
        refused: list[tuple[Outgoing, str]] = []
        lost: Retryable | None = None
        for message, result in zip(batch, results, strict=True):
            if isinstance(result, Retryable):
                lost = lost or result
            elif isinstance(result, Rejected):
                # It would be refused for ever and hold up all behind it.
                refused.append((message, str(result)))
            elif isinstance(result, BaseException):
                raise result
            else:
                gone.append(message.id)
                if message.topic in self._refused:
                    self._refused.discard(message.topic)
                    self._tell()
        for message, reason in refused:
            await self._set_aside(message, reason)
        await self._note(gone)
        return lost

    async def _note(self, confirmed: list[int]) -> None:
        """Take note of what the broker has; what it was sent for the second time is gone at once.

        Else a message that ends connections would have those before it sent again for ever.
        """
        at = asyncio.get_running_loop().time()
        first = [number for number in confirmed if number not in self._again]
        self._leaving.extend((at, number) for number in first)
        self._ledger.leaving(first)
        if second := self._again.intersection(confirmed):
            self._again -= second
            with contextlib.suppress(Retryable):  # it knows them all the same
                await self._ledger.sent(second)

    async def _restore(self) -> bool:
        """Send a few messages that the broker lost; return whether there were any."""
        some = [self._lost.popleft() for _ in range(min(_RESTORED_AT_ONCE, len(self._lost)))]
        messages = [message for one in some if (message := await one())]
        for result in await asyncio.gather(*map(self._publish, messages), return_exceptions=True):
            if isinstance(result, Retryable | Rejected):
                # After the next connect it is looked for again.
                log.info("not restored: %s", result)
            elif isinstance(result, BaseException):
                raise result
        return bool(some)

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
        if message.retain and self._retained:
            self._retained.sent()


def traceparent(trace: str) -> str:
    """Return the W3C header for a trace id, with a span of our own."""
    return f"00-{trace}-{secrets.token_hex(8)}-01"
