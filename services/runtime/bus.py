"""MQTT as the services see it: messages, queues of them, requests and replies.

`Bus` holds everything that does not depend on how bytes travel. `mqtt.MqttBus` carries it over
a broker, `fake_bus.FakeBus` inside one process; both pass the same suite of tests.

Rules that hold for both:

- Every message that arrives goes to each inbox whose subscription it matched, at least once.
  Filters that overlap, even inside one inbox, may bring a message more than once.
- A QoS 1 message is the broker's until `ack`. Ack after the commit and in order of arrival.
  What is not acked comes again after the next reconnect, marked `duplicate`.
- Nothing is queued here while the broker is away: `publish` raises, the outbox owns the retry.
- Retained messages come again, marked `retain`, after each reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import count
from types import TracebackType
from typing import Self

import msgspec

from services.runtime.errors import (
    KINDS,
    AndonError,
    DeadlineExceeded,
    Fatal,
    Rejected,
    Retryable,
    Unavailable,
)
from services.runtime.messages import (
    NO_PROPERTIES,
    AckToken,
    Delivery,
    Inbox,
    Properties,
    check_filter,
)

log = logging.getLogger(__name__)

STRAY_GRACE_S = 10.0
"""How long a message that no inbox wants is kept unacked, waiting for its `consume`."""
PUBLISH_TIMEOUT_S = 10.0
"""Default wait for the broker's PUBACK."""
NO_SUBSCRIBERS = 16
"""PUBACK reason: stored, but no subscription matches (MQTT 5, 3.4.2.1)."""
QUOTA_EXCEEDED = 151
"""PUBACK reason: the broker's limit is reached, later it may not be (MQTT 5, 3.4.2.1)."""


class Problem(msgspec.Struct, frozen=True):
    """Payload of an error reply, as MessagePack map."""

    kind: str
    """One of `errors.KINDS`."""
    operation: str
    """What was being done."""
    reason: str
    """Why it failed."""
    hint: str = ""
    """What a person can do about it."""


_decode_problem = msgspec.msgpack.Decoder(Problem).decode
_encode = msgspec.msgpack.Encoder().encode

Acked = Callable[[int | AndonError], None]
"""Told once what became of a QoS 1 message: the PUBACK's reason, or why none will come."""


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


class _Call:
    """A request that waits for its replies."""

    __slots__ = ("correlation", "operation", "replies", "timer")

    def __init__(self, operation: str, correlation: bytes) -> None:
        self.operation = operation
        self.correlation = correlation
        self.replies: asyncio.Queue[tuple[bytes, bool] | AndonError] = asyncio.Queue()
        self.timer: asyncio.TimerHandle | None = None

    def fail(self, error: AndonError) -> None:
        self.replies.put_nowait(error)

    def expire(self) -> None:
        self.fail(DeadlineExceeded(self.operation, "no reply within the deadline"))

    def sent(self, reason: int | AndonError) -> None:
        """The broker's PUBACK to the request."""
        if reason == NO_SUBSCRIBERS:
            self.fail(Unavailable(self.operation, "nobody serves this", "is the service running?"))
        elif error := puback_error(self.operation, reason):
            self.fail(error)

    def replied(self, payload: bytes, status: str) -> None:
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


class Bus(ABC):
    """Messages out and in, requests and replies, over one connection.

    An async context manager: entering starts it and does not wait for the broker, leaving says
    goodbye to the broker (no will) and ends every task.
    """

    def __init__(
        self,
        client_id: str,
        *,
        reply_topic: str,
        on_connection: Callable[[bool], None] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            client_id: the broker's name for our session; one process at a time may use it.
            reply_topic: where replies to our requests come, by custom
                `<prefix>/reply/<client_id>`. Nobody else may subscribe or publish there but
                the services we ask.
            on_connection: called in the loop with True when messages flow, False when not.
        """
        self.client_id = client_id
        self.last_error: str | None = None
        """Why the broker is not connected, in words for a person; None while it is."""
        self._on_connection = on_connection
        self._epoch = 1
        self._online = asyncio.Event()
        self._replies = Inbox([reply_topic], qos=1)
        self._reply_topic = reply_topic
        self._inboxes: dict[int, Inbox] = {self._replies.identifier: self._replies}
        self._strays: list[Delivery] = []
        self._stray_timer: asyncio.TimerHandle | None = None
        self._calls: dict[bytes, _Call] = {}
        # A reply to a request of an earlier process must not pass for one of ours.
        self._call_prefix = os.urandom(8)
        self._call_numbers = count(1)

    # -- what a transport supplies ------------------------------------------------------------

    @abstractmethod
    async def start(self) -> None:
        """Start connecting, and keep connecting until `close`. Does not wait for the broker."""

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye and stop; nothing waits in the process afterwards."""

    @abstractmethod
    async def _subscribe(self, inbox: Inbox) -> None:
        """Subscribe a new inbox if connected, and wait for the broker's word."""

    @abstractmethod
    def _send(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties | None,
        acked: Acked | None,
    ) -> None:
        """Send at once or raise Unavailable; tell `acked` later what became of it (QoS 1)."""

    @abstractmethod
    def _confirm(self, mid: int) -> None:
        """Send the PUBACK for message `mid` of the present connection."""

    # -- messages -----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the broker has us and our subscriptions."""
        return self._online.is_set()

    async def wait_connected(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until `connected`, at most `timeout` seconds. Raises Unavailable after that."""
        try:
            async with asyncio.timeout(timeout):
                await self._online.wait()
        except TimeoutError:
            raise Unavailable("connect", self.last_error or "the broker does not answer") from None

    async def consume(self, *filters: str, qos: int = 1) -> Inbox:
        """Subscribe, now and after each reconnect; returns the inbox the messages come to.

        Connected, it returns when the broker has confirmed. Offline, it returns at once. What
        the broker queued for an earlier process with the same client id comes at the connect,
        and waits `STRAY_GRACE_S` for its `consume`; after that it is acked and logged.

        Raises:
            Fatal: a filter is malformed or already consumed.
            Rejected: the broker refuses the subscription.
        """
        inbox = Inbox(filters, qos)
        taken = {one for other in self._inboxes.values() for one in other.filters}
        for one in filters:
            check_filter(one)
            if one in taken:
                raise Fatal("subscribe", f"{one} is consumed twice", "share one inbox")
        while inbox.identifier in self._inboxes:
            inbox.identifier = inbox.identifier % 268_435_455 + 1
        self._inboxes[inbox.identifier] = inbox
        strays, self._strays = self._strays, []
        for delivery in strays:
            if inbox.matches(delivery.topic):
                inbox.put(delivery)
            else:
                self._strays.append(delivery)
        await self._subscribe(inbox)
        return inbox

    def ack(self, delivery: Delivery) -> None:
        """Tell the broker that the message is safe with us; it will not come again.

        Acks in order of arrival are the caller's duty. A second ack does nothing. Nor does one
        from before a reconnect: message ids start over, it could ack another message. The
        broker sends the message again.
        """
        token = delivery.token
        if token is None or token.epoch != self._epoch or token not in token.group:
            return
        token.group.discard(token)
        if not token.group:
            self._confirm(token.mid)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        properties: Properties | None = None,
        timeout: float = PUBLISH_TIMEOUT_S,  # noqa: ASYNC109
    ) -> bool:
        """Publish; with QoS 1, return when the broker has it.

        Returns:
            False when the broker says that nobody subscribes to it; True otherwise.

        Raises:
            Unavailable: not connected; the message was not sent and will not be.
            Retryable: the connection broke before the broker confirmed; it may have the message.
            DeadlineExceeded: no confirmation within `timeout` seconds; it may have the message.
            Rejected: the broker refuses it.
        """
        if qos == 0:
            self._send(topic, payload, qos=0, retain=retain, properties=properties, acked=None)
            return True
        done: asyncio.Future[int | AndonError] = asyncio.get_running_loop().create_future()
        self._send(
            topic,
            payload,
            qos=qos,
            retain=retain,
            properties=properties,
            acked=partial(_settle, done),
        )
        try:
            async with asyncio.timeout(timeout):
                reason = await done
        except TimeoutError:
            raise DeadlineExceeded(f"publish {topic}", "the broker did not confirm") from None
        if error := puback_error(topic, reason):
            raise error
        return reason != NO_SUBSCRIBERS

    # -- requests and replies -----------------------------------------------------------------

    async def request(
        self,
        topic: str,
        payload: bytes,
        *,
        deadline_s: float,
        properties: Properties | None = None,
    ) -> bytes:
        """Ask, and wait for the last reply; pieces before it are left out.

        Args:
            topic: where the service listens.
            payload: the question, encoded.
            deadline_s: seconds until the answer is of no use, which is also how long the
                broker keeps the question for a service that is away.
            properties: content type and user properties; the rest is filled in.

        Raises:
            Unavailable: not connected, or nobody serves the topic.
            DeadlineExceeded: no reply in time.
            AndonError: the kind of error the service replied with.
        """
        call = self._ask(topic, payload, deadline_s, properties)
        try:
            while True:
                reply, last = await call.next()
                if last:
                    return reply
        finally:
            self._hang_up(call)

    async def stream(
        self,
        topic: str,
        payload: bytes,
        *,
        deadline_s: float,
        properties: Properties | None = None,
    ) -> AsyncIterator[bytes]:
        """Ask, and yield each reply, the last included; as `request` for the rest.

        The deadline is the whole stream's. Close it early with `contextlib.aclosing`.
        """
        call = self._ask(topic, payload, deadline_s, properties)
        try:
            last = False
            while not last:
                reply, last = await call.next()
                yield reply
        finally:
            self._hang_up(call)

    async def reply(
        self,
        request: Delivery,
        payload: bytes,
        *,
        more: bool = False,
        error_kind: str | None = None,
    ) -> None:
        """Answer a request; with `more` set, further replies follow.

        All go with QoS 1 and keep their order; only the last waits for the broker. A reply
        lives no longer than its request's deadline. One that nobody waits for any more is
        no error.

        Raises:
            Rejected: the request names no response topic.
            Unavailable: not connected.
            Retryable: the connection broke before the broker confirmed.
        """
        asked = request.properties
        if not asked.response_topic:
            raise Rejected(
                f"reply to {request.topic}",
                "the request has no response topic",
                "the sender must use MQTT 5 and set one",
            )
        status = f"error:{error_kind}" if error_kind else "more" if more else "ok"
        user: tuple[tuple[str, str], ...] = (("status", status),)
        if asked.traceparent:
            user += (("traceparent", asked.traceparent),)
        properties = Properties(correlation=asked.correlation, expiry_s=asked.expiry_s, user=user)
        if more:
            self._send(
                asked.response_topic,
                payload,
                qos=1,
                retain=False,
                properties=properties,
                acked=None,
            )
        elif not await self.publish(asked.response_topic, payload, properties=properties):
            log.info("nobody waits for the reply to %s any more", request.topic)

    async def reply_error(self, request: Delivery, error: AndonError) -> None:
        """Answer a request with an error; raises as `reply`."""
        problem = Problem(error.kind, error.operation, error.reason, error.hint)
        await self.reply(request, _encode(problem), error_kind=error.kind)

    def _ask(
        self, topic: str, payload: bytes, deadline_s: float, properties: Properties | None
    ) -> _Call:
        if deadline_s <= 0:
            raise DeadlineExceeded(f"request {topic}", "the deadline had passed before asking")
        call = _Call(
            f"request {topic}", self._call_prefix + next(self._call_numbers).to_bytes(8, "big")
        )
        given = properties or NO_PROPERTIES
        self._calls[call.correlation] = call
        try:
            self._send(
                topic,
                payload,
                qos=1,
                retain=False,
                properties=Properties(
                    response_topic=self._reply_topic,
                    correlation=call.correlation,
                    content_type=given.content_type,
                    expiry_s=math.ceil(deadline_s),
                    user=given.user,
                ),
                acked=call.sent,
            )
        except BaseException:
            del self._calls[call.correlation]
            raise
        call.timer = asyncio.get_running_loop().call_later(deadline_s, call.expire)
        return call

    def _hang_up(self, call: _Call) -> None:
        if call.timer:
            call.timer.cancel()
        self._calls.pop(call.correlation, None)

    # -- what a transport reports -------------------------------------------------------------

    def _session(self, *, present: bool) -> None:
        """A connection begins; `present`: the broker still has our session."""
        if present:
            for inbox in self._inboxes.values():
                inbox.forget_older(self._epoch)
            self._strays = []
            return
        for call in list(self._calls.values()):
            call.fail(Retryable(call.operation, "the broker lost our session, and the reply"))

    def _set_online(self, online: bool) -> None:
        """Messages flow now, or do not any more."""
        if online == self._online.is_set():
            return
        if online:
            self.last_error = None
            self._online.set()
        else:
            self._online.clear()
        if self._on_connection:
            # Not from inside the transport's own callbacks, where an exception would hurt.
            asyncio.get_running_loop().call_soon(self._on_connection, online)

    def _lost(self) -> None:
        """The connection is gone, and with it the right to ack what came over it."""
        self._epoch += 1
        self._set_online(False)

    def _shut(self) -> None:
        """No connection will come again: end what still waits."""
        if self._stray_timer:
            self._stray_timer.cancel()
            self._stray_timer = None
        for call in list(self._calls.values()):
            call.fail(Unavailable(call.operation, "this process is stopping"))

    def _arrived(self, delivery: Delivery, mid: int, identifiers: Sequence[int]) -> None:
        """A message came; `identifiers`: the subscriptions the broker sent it for."""
        if delivery.topic == self._reply_topic:
            if delivery.qos:
                self._confirm(mid)
            self._replied(delivery)
            return
        inboxes = [self._inboxes[one] for one in identifiers if one in self._inboxes]
        if not inboxes:
            # No identifiers, or those of an earlier process that subscribed otherwise.
            inboxes = [one for one in self._inboxes.values() if one.matches(delivery.topic)]
        group: set[AckToken] = set()
        for inbox in inboxes:
            inbox.put(self._stamped(delivery, mid, group))
        if not inboxes:
            self._strays.append(self._stamped(delivery, mid, group))
            if self._stray_timer is None:
                self._stray_timer = asyncio.get_running_loop().call_later(
                    STRAY_GRACE_S, self._drop_strays
                )

    def _stamped(self, delivery: Delivery, mid: int, group: set[AckToken]) -> Delivery:
        if not delivery.qos:
            return delivery
        return msgspec.structs.replace(delivery, token=AckToken(self._epoch, mid, group))

    def _replied(self, delivery: Delivery) -> None:
        properties = delivery.properties
        call = self._calls.get(properties.correlation or b"")
        if call is None:
            log.debug("a reply came too late on %s", delivery.topic)
        else:
            call.replied(delivery.payload, properties.get("status") or "ok")

    def _drop_strays(self) -> None:
        """Left unacked, messages nobody wants would fill the broker's window and stop the rest."""
        self._stray_timer = None
        strays, self._strays = self._strays, []
        for delivery in strays:
            log.warning(
                "dropped a message on %s: an earlier configuration subscribed to it, this one "
                "does not",
                delivery.topic,
            )
            self.ack(delivery)


def _settle(done: asyncio.Future[int | AndonError], reason: int | AndonError) -> None:
    if not done.done():
        done.set_result(reason)
