"""MQTT as the services see it: messages, queues of them, requests and replies.

`Bus` holds everything that does not depend on how bytes travel. `mqtt.MqttBus` carries it over
a broker, `fake_bus.FakeBus` inside one process; both pass the same suite of tests.

Rules that hold for both:

- Every message that arrives goes to each inbox whose subscription it matched, at least once.
  Filters that overlap, even inside one inbox, may bring a message more than once.
- A QoS 1 message is the broker's until `ack`. Ack after the commit and in order of arrival.
  What is not acked comes again after the next reconnect, marked `duplicate`; what arrived and a
  broker that was killed does not know any more stays in its inbox.
- Nothing is queued here while the broker is away: `publish` raises, the outbox owns the retry.
- Retained messages come, marked `retain`, once a process and inbox, and again when the broker
  has lost our session or the inbox takes QoS 0: updates missed while away are in them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from schemas.errors import Problem
from services.runtime.calls import (
    NO_SUBSCRIBERS,
    Acked,
    Call,
    Calls,
    encode_problem,
    puback_error,
)
from services.runtime.errors import (
    AndonError,
    DeadlineExceeded,
    Ended,
    Rejected,
    Retryable,
    Unavailable,
)
from services.runtime.messages import NO_PROPERTIES, Delivery, Inbox, Properties
from services.runtime.routing import Router

log = logging.getLogger(__name__)

MAX_PACKET = 2 * 1024 * 1024
"""Bytes of a message, both ways: a larger one would cost a process its memory. The broker ends
the connection of who sends it one."""
_HEAD = 2048
"""Bytes kept for what goes along with topic and payload."""
PUBLISH_TIMEOUT_S = 10.0
"""Default wait for the broker's PUBACK."""


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
        self.disputed: str | None = None
        """What was said of another client with our client id, until we had peace for a while."""
        self._on_connection = on_connection
        self._most = MAX_PACKET
        self._online = asyncio.Event()
        self._number = 0
        self._newly = asyncio.Event()
        self._reply_topic = reply_topic
        self._router = Router(self._confirm)
        self._router.add(Inbox([reply_topic], qos=1))
        self._calls = Calls()

    # -- what a transport supplies ------------------------------------------------------------

    @abstractmethod
    async def start(self) -> None:
        """Start connecting, and keep connecting until `close`. Does not wait for the broker."""

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye and stop; nothing waits in the process afterwards."""

    @abstractmethod
    async def failed(self) -> None:
        """Wait for the bus to break for a reason of its own, and raise that.

        Nothing flows any more then, and nothing else would tell: whoever runs a bus in a process
        that shall live waits for this beside its work.
        """

    @abstractmethod
    async def _subscribe(self, inbox: Inbox) -> None:
        """Subscribe a new inbox if connected, and wait for the broker's word."""

    @abstractmethod
    def _unsubscribe(self, inbox: Inbox) -> None:
        """Tell the broker, if connected, that nobody reads these filters any more."""

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

    async def next_connection(self, last: int = 0) -> int:
        """Wait until connected, and not by connection number `last`; return the number."""
        while not self.connected or self._number == last:
            await self._newly.wait()
        return self._number

    async def consume(self, *filters: str, qos: int = 1) -> Inbox:
        """Subscribe, now and after each reconnect; returns the inbox the messages come to.

        Connected, it returns when the broker has confirmed. Offline, it returns at once. What
        the broker queued for an earlier process with the same client id comes at the connect,
        and waits `STRAY_GRACE_S` for its `consume`; after that it is acked and logged. The
        time does not begin before the end of `starting`.

        Raises:
            Fatal: a filter is malformed or already consumed.
            Rejected: the broker refuses the subscription.
        """
        inbox = Inbox(filters, qos)
        self._router.add(inbox)
        await self._subscribe(inbox)
        return inbox

    def unsubscribe(self, inbox: Inbox) -> None:
        """Have nothing new come to an inbox; what is on its way still does."""
        self._unsubscribe(inbox)

    def release(self, inbox: Inbox) -> None:
        """Unsubscribe an inbox; for QoS 0, where nothing of it waits for an ack."""
        self._router.remove(inbox)
        self._unsubscribe(inbox)

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """For the time until all is consumed that will be, however long that takes."""
        self._router.expect(True)
        try:
            yield
        finally:
            self._router.expect(False)

    def ack(self, delivery: Delivery) -> None:
        """Tell the broker that the message is safe with us; it will not come again.

        Acks in order of arrival are the caller's duty. A second ack does nothing. Nor does one
        from before a reconnect: message ids start over, it could ack another message. The
        broker sends the message again.
        """
        self._router.ack(delivery)

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
            Rejected: the broker refuses it, or would for its size.
        """
        self._check_size(topic, payload)
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
            Rejected: it is too large to be sent.
            AndonError: the kind of error the service replied with.
        """
        call = self._ask(topic, payload, deadline_s, properties)
        try:
            while True:
                reply, last = await call.next()
                if last:
                    return reply
        finally:
            self._calls.end(call)

    async def stream(
        self,
        topic: str,
        payload: bytes,
        *,
        deadline_s: float,
        properties: Properties | None = None,
    ) -> AsyncGenerator[bytes, None]:
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
            self._calls.end(call)

    def give_up(self, below: str) -> None:
        """Fail the requests under way on topics that begin so: who was asked is gone."""
        self._calls.fail(Ended, "the service ended before it replied", below=below)

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
            Rejected: the request names no response topic, or the reply is too large.
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
            self._check_size(asked.response_topic, payload)
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
        problem = Problem(
            kind=error.kind, operation=error.operation, reason=error.reason, hint=error.hint
        )
        await self.reply(request, encode_problem(problem), error_kind=error.kind)

    def _ask(
        self, topic: str, payload: bytes, deadline_s: float, properties: Properties | None
    ) -> Call:
        if deadline_s <= 0:
            raise DeadlineExceeded(f"request {topic}", "the deadline had passed before asking")
        self._check_size(topic, payload)
        given = properties or NO_PROPERTIES
        call = self._calls.begin(topic, deadline_s)
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
            self._calls.end(call)
            raise
        return call

    def _check_size(self, topic: str, payload: bytes) -> None:
        """Refuse what the broker would end the connection for, each time it is tried again.

        Raises:
            Rejected: it is too large.
        """
        if len(topic) + len(payload) + _HEAD > self._most:
            raise Rejected(
                f"publish {topic}",
                f"the message has {len(payload)} bytes, the broker takes {self._most - _HEAD}",
                "what it holds must be sent in smaller pieces",
            )

    # -- what a transport reports -------------------------------------------------------------

    def _session(self, *, present: bool) -> None:
        """A connection begins; `present`: the broker still has our session."""
        if present:
            self._router.resumed()
        else:
            self._calls.fail(Retryable, "the broker lost our session, and the reply with it")

    def _set_online(self, online: bool) -> None:
        """Messages flow now, or do not any more."""
        if online == self._online.is_set():
            return
        if online:
            # A broker sends again what was not acked before it confirms a subscription; inside
            # one process that takes a turn of the loop.
            asyncio.get_running_loop().call_soon(self._router.settled)
            self.last_error = None
            self._online.set()
            self._number += 1
            newly, self._newly = self._newly, asyncio.Event()
            newly.set()
        else:
            self._online.clear()
        if self._on_connection:
            # Not from inside the transport's own callbacks, where an exception would hurt.
            asyncio.get_running_loop().call_soon(self._on_connection, online)

    def _lost(self) -> None:
        """The connection is gone."""
        self._router.lost()
        self._set_online(False)

    def _shut(self) -> None:
        """No connection will come again: end what still waits."""
        self._router.close()
        self._calls.fail(Unavailable, "this process is stopping")

    def _arrived(self, delivery: Delivery, mid: int, identifiers: Sequence[int]) -> None:
        """A message came; see `Router.route`."""
        if delivery.topic != self._reply_topic:
            self._router.route(delivery, mid, identifiers)
            return
        if delivery.qos:
            self._confirm(mid)
        properties = delivery.properties
        if call := self._calls.find(properties.correlation):
            call.replied(delivery.payload, properties.get("status") or "ok")
        else:
            log.debug("a reply came too late on %s", delivery.topic)


def _settle(done: asyncio.Future[int | AndonError], reason: int | AndonError) -> None:
    if not done.done():
        done.set_result(reason)
