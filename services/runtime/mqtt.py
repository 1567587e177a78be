"""The bus over a real broker, with paho-mqtt and MQTT 5."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from services.runtime.address import BrokerAddress
from services.runtime.backoff import Backoff, Ending, Retries
from services.runtime.bus import Bus
from services.runtime.calls import Acked
from services.runtime.errors import Rejected, Retryable, Unavailable
from services.runtime.link import TICK_S, Link
from services.runtime.messages import Delivery, Inbox, Properties, Will
from services.runtime.paho_client import CONNECT_TIMEOUT_S, PahoClient
from services.runtime.transport import MAX_PACKET
from services.runtime.wire import outgoing

log = logging.getLogger(__name__)

SESSION_EXPIRY_S = 7 * 86_400
"""How long the broker keeps our session and its messages: longer than a plant's holidays is
pointless, shorter than a long weekend loses faults."""
_TAKEN_OVER = 142
"""DISCONNECT reason: another client connected with our client id (MQTT 5, 3.14.2.1)."""
_MAX_INFLIGHT = 20
"""Messages sent and not confirmed; Mosquitto's own default, which it announces."""
_MAX_QUEUED = 10_000
"""Messages waiting for their turn in the window; beyond it `publish` raises Retryable."""


class MqttBus(Bus):
    """A bus over one broker that comes and goes."""

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        reply_topic: str,
        clean_start: bool = False,
        session_expiry_s: int = SESSION_EXPIRY_S,
        will: Will | None = None,
        keepalive: int = 30,
        on_connection: Callable[[bool], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """Prepare; see `Bus` for what is not listed.

        Args:
            address: the broker.
            client_id: as in `Bus`.
            reply_topic: as in `Bus`.
            clean_start: throw away, at each connect, what the broker kept for us.
            session_expiry_s: seconds the broker keeps our session while we are away. With 0,
                a request to us fails at once while we are away, instead of at its deadline.
            will: published by the broker when we vanish.
            keepalive: seconds of silence after which either side asks whether the other lives.
            on_connection: as in `Bus`.
            backoff: waits between tries.
        """
        super().__init__(client_id, reply_topic=reply_topic, on_connection=on_connection)
        self._address = address
        self._clean_start = clean_start
        self._session_expiry_s = session_expiry_s
        self._will = will
        self._keepalive = keepalive
        self._retries = Retries(backoff or Backoff())
        self._crash: Exception | None = None
        self._link: Link | None = None
        self._unacked: dict[int, Acked] = {}
        self._subscribing: dict[int, tuple[Inbox, asyncio.Future[str] | None]] = {}
        self._tls = address.tls_context()
        self._runner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `Bus.start`."""
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name=f"bus {self.client_id}")

    async def failed(self) -> None:
        """See `Bus.failed`."""
        if self._runner is None:
            raise Unavailable("connect", "the bus was not started")
        await asyncio.shield(self._runner)

    async def close(self) -> None:
        """See `Bus.close`; waits for a connect under way, `CONNECT_TIMEOUT_S` at most."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        runner.cancel()
        try:
            await asyncio.wait({runner})
        finally:
            self._shut()
        if not runner.cancelled():
            runner.result()

    # -- staying connected --------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            link = Link(self._client())
            reason = await self._connection(link)
            if self._crash:
                raise self._crash
            reason, delay = self._retries.ended(reason, link.lasted_s)
            if reason is Ending.SUSPECTED:
                self.last_error = (
                    f"{self.last_error}, again and again soon after connecting: probably another "
                    f"client uses the client id {self.client_id!r}; stop one of the two"
                )
            if reason in {Ending.TAKEN, Ending.SUSPECTED}:
                self.disputed = self.last_error
            log.log(
                self._retries.weight(reason),
                "broker %s: %s; next try in %.1f s",
                self._address,
                self.last_error,
                delay,
            )
            await asyncio.sleep(delay)

    async def _connection(self, link: Link) -> Ending:
        """Connect once and stay until it ends; returns why it ended."""
        try:
            await link.open(self._address, partial(self._connect, link.client))
        except (OSError, ValueError) as error:  # ValueError: a host name that is none
            self.last_error = f"cannot connect: {error}"
            return Ending.FAILED
        self._link = link
        self._listen(link)
        try:
            return await self._stay(link)
        finally:
            # Also when cancelled: that is how `close` says goodbye.
            await asyncio.shield(link.goodbye())
            self._over(link, Ending.LOST, "the connection was closed")

    async def _stay(self, link: Link) -> Ending:
        loop = asyncio.get_running_loop()
        patience = loop.time() + CONNECT_TIMEOUT_S
        while not link.lost.done():
            await asyncio.wait({link.lost}, timeout=TICK_S)
            if link.lost.done():
                break
            link.tick()
            if self.disputed and self._retries.stood(link.lasted_s):
                self.disputed = None
            if not self.connected and loop.time() > patience:
                text = "the broker accepts connections but does not answer"
                self._over(link, Ending.FAILED, text)
                link.drop()
        return link.lost.result()

    def _client(self) -> PahoClient:
        client = PahoClient(self._address, self._tls, self.client_id)
        client.max_inflight_messages_set(_MAX_INFLIGHT)
        client.max_queued_messages_set(_MAX_QUEUED)
        if self._address.username:
            client.username_pw_set(self._address.username, self._address.password)
        if self._will:
            will = self._will
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        return client

    def _connect(self, client: Client) -> MQTTErrorCode:
        """Blocks: for the executor."""
        properties = PahoProperties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._session_expiry_s
        properties.MaximumPacketSize = MAX_PACKET
        return client.connect(
            self._address.host or "unix",  # paho wants a name and a port for a Unix socket too
            self._address.port or 1,
            keepalive=self._keepalive,
            clean_start=self._clean_start,
            properties=properties,
        )

    # -- what paho tells, always in the loop --------------------------------------------------

    def _listen(self, link: Link) -> None:
        client, own = link.client, partial(self._own, link)
        client.on_connect = lambda _c, _u, flags, reason, properties: own(
            self._on_connect, link, reason, properties, present=flags.session_present
        )
        client.on_disconnect = lambda _c, _u, _f, reason, _p: own(self._on_disconnect, link, reason)
        client.on_subscribe = lambda _c, _u, mid, reasons, _p: own(self._on_subscribe, mid, reasons)
        client.on_delivery = partial(own, self._on_delivery, link)
        client.on_publish = lambda _c, _u, mid, reason, _p: own(self._on_publish, mid, reason)
        if client.socket() is None:  # lost before anyone listened
            self._over(link, Ending.FAILED, link.error or "the broker closed the connection")

    def _own(self, link: Link, handle: Callable[..., None], *args: Any, **named: Any) -> None:
        """Call one of ours from inside paho: what breaks there is no broken packet.

        A new connection would not mend it, so the bus ends, and `failed` tells.
        """
        try:
            handle(*args, **named)
        except Exception as error:  # noqa: BLE001  # raised again by the bus's own task
            self._crash = self._crash or error
            self._over(link, Ending.FAILED, f"{type(error).__name__}: {error}")

    def _on_connect(
        self, link: Link, reason: ReasonCode, properties: PahoProperties, *, present: bool
    ) -> None:
        if reason.is_failure:
            self._over(link, Ending.REFUSED, _refusal(reason, self._address))
            return
        link.accept()
        # A broker that is not ours may take less.
        self._most = min(MAX_PACKET, getattr(properties, "MaximumPacketSize", MAX_PACKET))
        self._session(present=present)
        for inbox in self._router.inboxes.values():
            self._send_subscribe(link, inbox, None)

    def _on_disconnect(self, link: Link, reason: ReasonCode) -> None:
        if reason.value == _TAKEN_OVER:
            text = (
                f"another client connected as {self.client_id!r} and took the session: "
                "stop one of the two, or give it another client id"
            )
            self._over(link, Ending.TAKEN, text)
        else:
            detail = f" ({link.error})" if link.error else ""
            ended = Ending.LOST if link.accepted else Ending.FAILED
            self._over(link, ended, f"connection lost: {reason}{detail}")

    def _over(self, link: Link, reason: Ending, text: str) -> None:
        if not link.end(reason) or self._link is not link:
            return
        self.last_error = text
        self._link = None
        unacked, self._unacked = self._unacked, {}
        subscribing, self._subscribing = self._subscribing, {}
        self._lost()
        for acked in unacked.values():
            acked(Retryable("publish", "the connection broke before the broker confirmed", text))
        for _, done in subscribing.values():
            if done and not done.done():
                done.set_result("")  # the next connect subscribes

    def _on_delivery(
        self, link: Link, delivery: Delivery, mid: int, identifiers: Sequence[int]
    ) -> None:
        if self._link is not link:  # read while closing: not ours to ack any more
            return
        if delivery.topic:
            self._arrived(delivery, mid, identifiers)
            return
        log.error("a message's topic is not UTF-8; dropped")
        if delivery.qos:
            self._confirm(mid)

    def _on_publish(self, mid: int, reason: ReasonCode) -> None:
        acked = self._unacked.pop(mid, None)
        if acked:
            acked(reason.value)

    def _on_subscribe(self, mid: int, reasons: list[ReasonCode]) -> None:
        inbox, done = self._subscribing.pop(mid)
        refused = [
            f"{one} ({reason})"
            for one, reason in zip(inbox.filters, reasons, strict=True)
            if reason.is_failure
        ]
        text = ", ".join(refused)
        if refused:
            log.error("the broker refuses the subscription to %s; see its access list", text)
        else:
            inbox.confirmed = True
        if done and not done.done():
            done.set_result(text)
        if not self._subscribing:
            self._set_online(True)

    # -- what the bus asks --------------------------------------------------------------------

    async def _subscribe(self, inbox: Inbox) -> None:
        link = self._link
        if link is None or not link.client.is_connected():
            return
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._send_subscribe(link, inbox, done)
        link.flush()
        if refused := await done:
            self._router.remove(inbox)
            raise Rejected(
                "subscribe", f"the broker refuses {refused}", "see its access list (acl_file)"
            )

    def _send_subscribe(self, link: Link, inbox: Inbox, done: asyncio.Future[str] | None) -> None:
        properties = PahoProperties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
        properties.SubscriptionIdentifier = inbox.identifier
        # A reconnect that finds the session need not repeat the retained messages: what changed
        # meanwhile was queued. With QoS 0 it was not.
        handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
        if inbox.confirmed and inbox.qos:
            handling = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        options = SubscribeOptions(qos=inbox.qos, retainHandling=handling)
        filters: Any = [(one, options) for one in inbox.filters]
        _, mid = link.client.subscribe(filters, properties=properties)
        if mid is not None:
            self._subscribing[mid] = (inbox, done)
        elif done:
            done.set_result("")

    def _unsubscribe(self, inbox: Inbox) -> None:
        link = self._link
        if link is not None and link.client.is_connected():
            link.client.unsubscribe(list(inbox.filters))
            link.flush()

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
        link = self._link
        # paho would take a message while offline and send it after the connect, though the
        # caller was told to try again.
        if link is None or not self.connected:
            raise Unavailable(f"publish {topic}", self.last_error or "the broker is not connected")
        try:
            info = link.client.publish(topic, payload, qos, retain, outgoing(properties))
        except ValueError as error:
            raise Rejected(f"publish {topic}", str(error)) from error
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise Retryable(f"publish {topic}", "too many messages wait for the broker")
        if link.lost.done():
            raise Retryable(f"publish {topic}", "the connection broke", self.last_error or "")
        if acked:
            self._unacked[info.mid] = acked
        link.flush()

    def _confirm(self, mid: int) -> None:
        if self._link is not None:
            self._link.client.ack(mid, 1)
            self._link.flush()


def _refusal(reason: ReasonCode, address: BrokerAddress) -> str:
    if reason.value in {134, 135}:
        who = f"user {address.username!r}" if address.username else "a client without user name"
        return f"the broker refuses {who} ({reason}): check username and password"
    return f"the broker refuses the connection: {reason}"
