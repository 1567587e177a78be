"""The bus inside one process: the same protocol and habits, no broker to start.

It keeps sessions, message ids, redelivery, retained messages, expiry and wills the way
Mosquitto does; the suite that runs against both says how far that goes. Reconnecting takes no
time, and a bus whose session was taken over stays offline.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from services.runtime.bus import Bus
from services.runtime.calls import NO_SUBSCRIBERS, Acked
from services.runtime.errors import Rejected, Retryable, Unavailable
from services.runtime.messages import (
    NO_PROPERTIES,
    Delivery,
    Inbox,
    Properties,
    Will,
    topic_matches,
)


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties
    expires_at: float
    """Loop time after which nobody gets it."""
    identifier: int = 0
    """The subscription it was sent for."""


class _Session:
    """What the broker keeps about one client id, connected or not."""

    def __init__(self, expiry_s: int) -> None:
        self.expiry_s = expiry_s
        self.bus: FakeBus | None = None
        self.subscriptions: dict[str, tuple[int, int]] = {}
        """QoS and identifier by filter."""
        self.inflight: dict[int, _Message] = {}
        """Sent and not acked, by message id, oldest first."""
        self.queued: deque[_Message] = deque()
        self._last_mid = 0

    def matching(self, message: _Message) -> Iterator[_Message]:
        """A copy for each subscription that matches, as Mosquitto sends them."""
        for topic_filter, (qos, identifier) in self.subscriptions.items():
            if topic_matches(topic_filter, message.topic):
                yield msgspec.structs.replace(
                    message, qos=min(qos, message.qos), identifier=identifier
                )

    def deliver(self, message: _Message) -> None:
        """Send to the connected bus, or keep for later what is worth it."""
        if self.bus is None:
            if message.qos and self.expiry_s:
                self.queued.append(message)
            return
        mid = 0
        if message.qos:
            self._last_mid = mid = self._last_mid % 65535 + 1
            self.inflight[mid] = message
        self.bus.receive(message, mid, duplicate=False)

    def resume(self) -> None:
        """Send again what was not acked, then what came meanwhile."""
        if self.bus is None:
            return
        for mid, message in self.inflight.items():
            self.bus.receive(message, mid, duplicate=True)
        queued, self.queued = self.queued, deque()
        for message in queued:
            self.deliver(message)


class FakeBroker:
    """The broker of the buses of one event loop."""

    def __init__(self, *, persistence: bool = False) -> None:
        """`persistence`: sessions and retained messages outlive `stop`."""
        self.up = True
        self._persistence = persistence
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, _Message] = {}
        self._waiting: list[FakeBus] = []

    def stop(self) -> None:
        """Go away: all connections break, no will is published."""
        self.up = False
        for session in list(self._sessions.values()):
            if session.bus:
                bus, session.bus = session.bus, None
                self._waiting.append(bus)
                bus.broken("the broker went away")
        if not self._persistence:
            self._sessions.clear()
            self._retained.clear()

    def start(self) -> None:
        """Be there again; whoever waits connects."""
        self.up = True
        waiting, self._waiting = self._waiting, []
        for bus in waiting:
            self.attach(bus)

    def cut(self, client_id: str) -> None:
        """Break one connection; the broker publishes its will, the client connects anew."""
        bus = self._sessions[client_id].bus
        if bus is None:
            raise Unavailable("cut", f"{client_id} is not connected")
        self._part(bus, will=True)
        bus.broken("the connection was cut")
        self.attach(bus)

    def retained(self, topic: str) -> bytes | None:
        """Return what is retained on a topic."""
        message = self._retained.get(topic)
        return message.payload if message else None

    def attach(self, bus: FakeBus) -> None:
        """A bus wants to connect: in the loop's next turn, or when the broker is up."""
        if self.up:
            asyncio.get_running_loop().call_soon(self._connect, bus)
        elif bus not in self._waiting:
            self._waiting.append(bus)

    def detach(self, bus: FakeBus) -> None:
        """A bus says goodbye: no will."""
        if bus in self._waiting:
            self._waiting.remove(bus)
        self._part(bus, will=False)

    def subscribe(self, bus: FakeBus, inbox: Inbox) -> None:
        """Take the filters of an inbox, and send the retained messages that match."""
        session = self._sessions[bus.client_id]
        for topic_filter in inbox.filters:
            known = topic_filter in session.subscriptions
            session.subscriptions[topic_filter] = (inbox.qos, inbox.identifier)
            if known and inbox.confirmed and inbox.qos:
                continue  # what changed meanwhile was queued
            for message in list(self._retained.values()):
                if topic_matches(topic_filter, message.topic):
                    qos = min(inbox.qos, message.qos)
                    session.deliver(
                        msgspec.structs.replace(message, qos=qos, identifier=inbox.identifier)
                    )
        inbox.confirmed = True

    def unsubscribe(self, bus: FakeBus, inbox: Inbox) -> None:
        """Forget the filters of an inbox."""
        for topic_filter in inbox.filters:
            self._sessions[bus.client_id].subscriptions.pop(topic_filter, None)

    def publish(self, message: _Message) -> bool:
        """Hand a message on; False when no subscription matches."""
        if message.retain:
            if message.payload:
                self._retained[message.topic] = message
            else:
                self._retained.pop(message.topic, None)
        live = msgspec.structs.replace(message, retain=False)
        copies = [
            (session, copy)
            for session in self._sessions.values()
            for copy in session.matching(live)
        ]
        for session, copy in copies:
            session.deliver(copy)
        return bool(copies)

    def confirm(self, bus: FakeBus, mid: int) -> None:
        """An ack came."""
        self._sessions[bus.client_id].inflight.pop(mid, None)

    def _connect(self, bus: FakeBus) -> None:
        if bus.closed or bus.connected:
            return
        if not self.up:
            self._waiting.append(bus)
            return
        former = self._sessions.get(bus.client_id)
        if former and former.bus:
            loser = former.bus
            self._part(loser, will=True)
            loser.broken(f"another client connected as {bus.client_id!r} and took the session")
        session = self._sessions.get(bus.client_id)
        present = session is not None and not bus.clean_start
        if session is None or bus.clean_start:
            session = self._sessions[bus.client_id] = _Session(bus.session_expiry_s)
        session.bus = bus
        session.expiry_s = bus.session_expiry_s
        bus.joined(session, present=present)

    def _part(self, bus: FakeBus, *, will: bool) -> None:
        session = self._sessions.get(bus.client_id)
        if session is None or session.bus is not bus:
            return
        session.bus = None
        if not session.expiry_s:
            del self._sessions[bus.client_id]
        if will and bus.will:
            one = bus.will
            self.publish(_message(one.topic, one.payload, one.qos, one.retain, None))


class FakeBus(Bus):
    """A bus on a `FakeBroker`; arguments as `MqttBus`, what is missing has no meaning here."""

    def __init__(
        self,
        broker: FakeBroker,
        client_id: str,
        *,
        reply_topic: str,
        clean_start: bool = False,
        session_expiry_s: int = 3600,
        will: Will | None = None,
        on_connection: Callable[[bool], None] | None = None,
    ) -> None:
        super().__init__(client_id, reply_topic=reply_topic, on_connection=on_connection)
        self.clean_start = clean_start
        self.session_expiry_s = session_expiry_s
        self.will = will
        self.closed = False
        self._broker = broker
        self._connection = 0
        self._pending: list[Acked] = []

    async def start(self) -> None:
        """See `Bus.start`."""
        if not self._broker.up:
            self.last_error = "cannot connect: the broker is away"
        self._broker.attach(self)

    async def close(self) -> None:
        """See `Bus.close`."""
        if self.closed:
            return
        self.closed = True
        self._broker.detach(self)
        self.broken("the connection was closed")
        self._shut()

    async def failed(self) -> None:
        """See `Bus.failed`; nothing breaks here."""
        await asyncio.get_running_loop().create_future()

    # -- what the broker tells ----------------------------------------------------------------

    def joined(self, session: _Session, *, present: bool) -> None:
        """The broker has accepted us."""
        self._session(present=present)
        session.resume()
        for inbox in self._router.inboxes.values():
            self._broker.subscribe(self, inbox)
        self._set_online(True)

    def broken(self, reason: str) -> None:
        """The connection is gone."""
        self.last_error = reason
        self._connection += 1
        self._lost()
        pending, self._pending = self._pending, []
        for acked in pending:
            acked(Retryable("publish", "the connection broke before the broker confirmed", reason))

    def receive(self, message: _Message, mid: int, *, duplicate: bool) -> None:
        """A message is on its way; it arrives in the loop's next turn."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self._receive, self._connection, message, mid, duplicate)

    def _receive(self, connection: int, message: _Message, mid: int, duplicate: bool) -> None:
        if connection != self._connection:
            return
        left = message.expires_at - asyncio.get_running_loop().time()
        if left <= 0:
            if mid:
                self._confirm(mid)
            return
        properties = message.properties
        if properties.expiry_s is not None:
            properties = msgspec.structs.replace(properties, expiry_s=math.ceil(left))
        delivery = Delivery(
            topic=message.topic,
            payload=message.payload,
            qos=message.qos,
            retain=message.retain,
            duplicate=duplicate,
            properties=properties,
        )
        self._arrived(delivery, mid, [message.identifier])

    # -- what the bus asks --------------------------------------------------------------------

    async def _subscribe(self, inbox: Inbox) -> None:
        if self.connected:
            self._broker.subscribe(self, inbox)
            await asyncio.sleep(0)

    def _unsubscribe(self, inbox: Inbox) -> None:
        if self.connected:
            self._broker.unsubscribe(self, inbox)

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
        if not self.connected:
            raise Unavailable(f"publish {topic}", self.last_error or "the broker is not connected")
        if "+" in topic or "#" in topic:
            raise Rejected(f"publish {topic}", "a topic to publish on has no wildcards")
        matched = self._broker.publish(_message(topic, payload, qos, retain, properties))
        if acked and qos:
            self._pending.append(acked)
            reason = 0 if matched else NO_SUBSCRIBERS
            asyncio.get_running_loop().call_soon(partial(self._acked, acked, reason))

    def _acked(self, acked: Acked, reason: int) -> None:
        if acked in self._pending:
            self._pending.remove(acked)
            acked(reason)

    def _confirm(self, mid: int) -> None:
        if self.connected:
            self._broker.confirm(self, mid)


def _message(
    topic: str, payload: bytes, qos: int, retain: bool, properties: Properties | None
) -> _Message:
    properties = properties or NO_PROPERTIES
    now = asyncio.get_running_loop().time()
    return _Message(
        topic=topic,
        payload=payload,
        qos=qos,
        retain=retain,
        properties=properties,
        expires_at=math.inf if properties.expiry_s is None else now + properties.expiry_s,
    )
