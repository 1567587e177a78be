"""What we retained at the broker: does it still have it?

A broker that was killed, or lost its file, has what it wrote last, or nothing. To find that out
after every short disconnect must cost next to nothing, so a service leaves a mark: a retained
message with a new content, put when all it had retained was confirmed and nothing more came for a
moment. If the broker has the latest mark, it has all that came before it. If not, or if something
was sent since, or at the start of the process, the service looks at what is retained and puts
right what differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Sequence
from typing import Protocol

from services.runtime.bus import Bus
from services.runtime.errors import DeadlineExceeded, Rejected, Retryable
from services.runtime.messages import Inbox

log = logging.getLogger(__name__)

_AGAIN_S = 1.0
_LOOK_S = 20.0
"""Limit for the broker to send what it retains; a topic it did not send by then counts as gone."""


class Owner(Protocol):
    """Who knows what should be retained."""

    @property
    def filters(self) -> Sequence[str]:
        """The topics it retains messages on."""

    def begin(self) -> None:
        """Forget what was seen: the broker sends it anew."""

    def seen(self, topic: str, payload: bytes) -> None:
        """Take note of what the broker retains."""

    async def settle(self) -> int:
        """Have put right what was not seen as it should be; return how many messages that takes.

        Raises:
            Retryable: it cannot be told now.
        """


class Retained:
    """Watches over one service's retained messages."""

    def __init__(self, bus: Bus, mark_topic: str, owner: Owner) -> None:
        self._bus = bus
        self._topic = mark_topic
        self._owner = owner
        self._in_doubt = True
        self._mark = b""
        self._sent = 0
        self._marked = -1
        self._forbidden = False

    def sent(self) -> None:
        """Say that the broker confirmed a retained message."""
        self._sent += 1

    async def mark(self) -> None:
        """Say that all that was retained is confirmed. For a quiet moment.

        Raises:
            Retryable: the broker does not take it; the next one says as much.
        """
        if self._marked == self._sent or self._forbidden:
            return
        sent, mark = self._sent, secrets.token_hex(8).encode()
        await self._bus.publish(self._topic, mark, retain=True)
        self._mark, self._marked = mark, sent

    async def run(self) -> None:
        """Look after each connect whether anything is missing, for as long as the broker allows."""
        try:
            await self._watch()
        except Rejected as error:
            # The work goes on; only what the broker loses stays lost until its next change.
            self._forbidden = True
            log.error("what the broker retains is not looked after: %s", error)  # noqa: TRY400

    async def _watch(self) -> None:
        marks = await self._bus.consume(self._topic, qos=0)
        connection = 0
        while True:
            connection = await self._bus.next_connection(connection)
            # Before the first await: what is sent over this connection is no cause for doubt.
            self._in_doubt = self._in_doubt or self._marked != self._sent
            try:
                if self._in_doubt or await self._fence(marks) != self._mark:
                    self._in_doubt = True
                    await self._look(marks)
                    self._in_doubt = False
            except Retryable as error:
                log.info("what the broker retains cannot be seen now: %s", error)
                await asyncio.sleep(_AGAIN_S)
                connection = 0

    async def _look(self, marks: Inbox) -> None:
        self._owner.begin()
        inbox = await self._bus.consume(*self._owner.filters, qos=0)
        try:
            taking = asyncio.create_task(self._take(inbox), name="look at what is retained")
            try:
                with contextlib.suppress(DeadlineExceeded):
                    await self._fence(marks)
            finally:
                taking.cancel()
                await asyncio.wait([taking])
            for delivery in inbox.drain(len(inbox)):
                self._owner.seen(delivery.topic, delivery.payload)
        finally:
            self._bus.release(inbox)
        if missing := await self._owner.settle():
            log.warning("%d retained messages are not as they should be: sent again", missing)

    async def _take(self, inbox: Inbox) -> None:
        while True:
            delivery = await inbox.get()
            self._owner.seen(delivery.topic, delivery.payload)

    async def _fence(self, marks: Inbox) -> bytes:
        """Wait until all that was retained is here; return the mark, empty where there is none.

        A message to ourselves comes behind what the broker sent because we subscribed.
        """
        fence, mark = b"?" + secrets.token_hex(8).encode(), b""
        await self._bus.publish(self._topic, fence)
        try:
            async with asyncio.timeout(_LOOK_S):
                while (delivery := await marks.get()).payload != fence:
                    if delivery.retain:
                        mark = delivery.payload
        except TimeoutError:
            raise DeadlineExceeded("read what is retained", "the broker is too slow") from None
        return mark
