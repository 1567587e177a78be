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
from collections.abc import AsyncGenerator, Iterator
from functools import partial

from schemas.errors import Problem
from services.runtime.calls import NO_SUBSCRIBERS, Call, encode_problem, puback_error
from services.runtime.errors import AndonError, DeadlineExceeded, Ended, Rejected
from services.runtime.messages import NO_PROPERTIES, Delivery, Inbox, Properties
from services.runtime.transport import Transport

log = logging.getLogger(__name__)

_HEAD = 2048
"""Bytes kept for what goes along with topic and payload."""
PUBLISH_TIMEOUT_S = 10.0
"""Default wait for the broker's PUBACK."""


class Bus(Transport):
    """Messages out and in, requests and replies, over one connection.

    For how it begins and ends see `Transport`.
    """

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


def _settle(done: asyncio.Future[int | AndonError], reason: int | AndonError) -> None:
    if not done.done():
        done.set_result(reason)
