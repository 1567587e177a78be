"""Requests that wait for their replies, and what the broker's confirmations mean."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count

import msgspec

from schemas.errors import Problem
from services.runtime.errors import (
    KINDS,
    AndonError,
    DeadlineExceeded,
    Rejected,
    Retryable,
    Unavailable,
)

NO_SUBSCRIBERS = 16
"""PUBACK reason: stored, but no subscription matches (MQTT 5, 3.4.2.1)."""
QUOTA_EXCEEDED = 151
"""PUBACK reason: the broker's limit is reached, later it may not be (MQTT 5, 3.4.2.1)."""
Acked = Callable[[int | AndonError], None]
"""Told once what became of a QoS 1 message: the PUBACK's reason, or why none will come."""


_decode_problem = msgspec.msgpack.Decoder(Problem).decode
encode_problem = msgspec.msgpack.Encoder().encode


def puback_error(topic: str, reason: int | AndonError) -> AndonError | None:
    """What a PUBACK's reason means for the publisher; None when the broker took the message."""
    if isinstance(reason, AndonError):
        return reason
    if reason < 128:
        return None
    operation = f"publish {topic}"
    if reason == QUOTA_EXCEEDED:
        return Retryable(operation, "the broker's quota is exceeded", "it may be out of memory")
    return Rejected(
        operation,
        f"the broker refused the message, reason {reason}",
        "135 means that its access list forbids it" if reason == 135 else "see the broker's log",
    )


class Call:
    """A request that waits for its replies."""

    __slots__ = ("correlation", "operation", "replies", "timer", "topic")

    def __init__(self, operation: str, correlation: bytes, topic: str) -> None:
        self.operation = operation
        self.topic = topic
        self.correlation = correlation
        self.replies: asyncio.Queue[tuple[bytes, bool] | AndonError] = asyncio.Queue()
        self.timer: asyncio.TimerHandle | None = None

    def fail(self, error: AndonError) -> None:
        """Let `next` raise `error`."""
        self.replies.put_nowait(error)

    def expire(self) -> None:
        """The deadline has come."""
        self.fail(DeadlineExceeded(self.operation, "no reply within the deadline"))

    def sent(self, reason: int | AndonError) -> None:
        """The broker's PUBACK to the request."""
        if reason == NO_SUBSCRIBERS:
            self.fail(Unavailable(self.operation, "nobody serves this", "is the service running?"))
        elif error := puback_error(self.operation, reason):
            self.fail(error)

    def replied(self, payload: bytes, status: str) -> None:
        """A reply came; `status` is `ok`, `more` or `error:<kind>`."""
        if not status.startswith("error:"):
            self.replies.put_nowait((payload, status != "more"))
            return
        kind = KINDS.get(status.removeprefix("error:"), Retryable)
        try:
            problem = _decode_problem(payload)
        except msgspec.MsgspecError:
            self.fail(kind(self.operation, "failed, and its error could not be read"))
        else:
            self.fail(kind(problem.operation, problem.reason, problem.hint))

    async def next(self) -> tuple[bytes, bool]:
        """The next reply, and whether it is the last. Raises the error that came instead."""
        reply = await self.replies.get()
        if isinstance(reply, AndonError):
            raise reply
        return reply


class Calls:
    """The requests under way, by their correlation data."""

    def __init__(self) -> None:
        self._calls: dict[bytes, Call] = {}
        # A reply to a request of an earlier process must not pass for one of ours.
        self._prefix = os.urandom(8)
        self._numbers = count(1)

    def begin(self, topic: str, deadline_s: float) -> Call:
        """A new call, which fails by itself after `deadline_s` seconds."""
        correlation = self._prefix + next(self._numbers).to_bytes(8, "big")
        call = Call(f"request {topic}", correlation, topic)
        call.timer = asyncio.get_running_loop().call_later(deadline_s, call.expire)
        self._calls[correlation] = call
        return call

    def end(self, call: Call) -> None:
        """Nobody waits for it any more."""
        if call.timer:
            call.timer.cancel()
        del self._calls[call.correlation]

    def find(self, correlation: bytes | None) -> Call | None:
        """The call a reply belongs to, if it still waits."""
        return self._calls.get(correlation or b"")

    def fail(self, kind: type[AndonError], reason: str, *, below: str = "") -> None:
        """Fail the calls under way, all or those on topics that begin with `below`."""
        for call in self._calls.values():
            if call.topic.startswith(below):
                call.fail(kind(call.operation, reason))
