"""Messages on the bus, and the inboxes they wait in."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence

import msgspec

from services.runtime.errors import Fatal


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """The MQTT 5 properties of a message that Andon uses."""

    response_topic: str | None = None
    """Topic on which the sender waits for the answer."""
    correlation: bytes | None = None
    """The sender's mark, to be given back unchanged with the answer."""
    content_type: str | None = None
    """MIME type of the payload, such as `application/json`."""
    expiry_s: int | None = None
    """Seconds the message is of use; on arrival, the seconds that are left."""
    user: tuple[tuple[str, str], ...] = ()
    """User properties, name and value, in order; a name may occur twice."""

    def get(self, name: str) -> str | None:
        """The first user property of that name."""
        return next((value for key, value in self.user if key == name), None)

    @property
    def traceparent(self) -> str | None:
        """W3C trace context of the work this message belongs to."""
        return self.get("traceparent")


NO_PROPERTIES = Properties()


class AckToken:
    """Which message of which connection a delivery is: private to the bus."""

    __slots__ = ("epoch", "group", "mid")

    def __init__(self, epoch: int, mid: int, group: set[AckToken]) -> None:
        self.epoch = epoch
        self.mid = mid
        # The message's deliveries that are not acked yet; several when one copy from the broker
        # serves several inboxes.
        self.group = group
        group.add(self)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message that arrived."""

    topic: str
    """Topic it was published on, without wildcards."""
    payload: bytes
    """The content, undecoded."""
    qos: int
    """0 or 1: the lower of the publisher's and the subscription's."""
    retain: bool
    """True: an older message the broker kept, sent because we subscribed."""
    duplicate: bool
    """True: the broker sent it before, perhaps to an earlier process."""
    properties: Properties
    """MQTT 5 properties; all empty from an MQTT 3.1.1 publisher."""
    token: AckToken | None = None
    """For `Bus.ack`; None with QoS 0."""


class Will(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker publishes for us when we vanish without a goodbye."""

    topic: str
    """Topic, without wildcards."""
    payload: bytes
    """The content."""
    qos: int = 1
    """0 or 1."""
    retain: bool = True
    """Kept by the broker for later subscribers."""


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Whether a subscription to `topic_filter` brings `topic` (MQTT 5, section 4.7)."""
    if topic.startswith("$") and topic_filter[:1] in {"+", "#"}:
        return False
    levels = topic.split("/")
    parts = topic_filter.split("/")
    for position, part in enumerate(parts):
        if part == "#":
            return position == len(parts) - 1
        if position >= len(levels) or part not in {"+", levels[position]}:
            return False
    return len(parts) == len(levels)


def check_filter(topic_filter: str) -> None:
    """Raise Fatal when `topic_filter` is not a valid subscription (MQTT 5, section 4.7)."""
    parts = topic_filter.split("/")
    misplaced = any(
        (("#" in part or "+" in part) and len(part) > 1)
        or (part == "#" and position != len(parts) - 1)
        for position, part in enumerate(parts)
    )
    too_long = len(topic_filter.encode()) > 65535
    if not topic_filter or "\0" in topic_filter or misplaced or too_long:
        raise Fatal(
            "subscribe",
            f"{topic_filter[:200]!r} is not a topic filter",
            "+ stands for one whole level, # for all that follow, as in plant/+/fault or plant/#",
        )


UNPROMISED_BYTES = 8 << 20
"""Room of an inbox for QoS 0 messages, with what it takes to keep one."""
_KEEPING = 1024


class Inbox:
    """The messages of one or more topic filters, in order of arrival.

    The broker's own limit on unacked messages (`max_inflight_messages`) bounds it for QoS 1. Of
    QoS 0, which promises nothing, what has no room is dropped and counted.
    """

    def __init__(
        self, filters: Sequence[str], qos: int, *, unpromised: int = UNPROMISED_BYTES
    ) -> None:
        self.filters = tuple(filters)
        self.qos = qos
        # The same in each process, so that what the broker queued for the last one finds its
        # inbox; 1 to 268,435,455 (MQTT 5, 3.8.2.1.2).
        self.identifier = zlib.crc32("\n".join(self.filters).encode()) % 268_435_455 + 1
        self.confirmed = False
        """For the bus: the broker has granted it once, and has sent the retained messages."""
        self.dropped = 0
        """QoS 0 messages that had no room, since the start."""
        self._room = unpromised
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._apart: list[Delivery] = []

    async def get(self) -> Delivery:
        """The next message, waiting for one."""
        return self._out(await self._queue.get())

    def drain(self, limit: int = 1000) -> list[Delivery]:
        """What has arrived, at most `limit` messages; empty when nothing has. Never waits."""
        count = min(limit, self._queue.qsize())
        return [self._out(self._queue.get_nowait()) for _ in range(count)]

    async def batch(self, limit: int = 1000) -> list[Delivery]:
        """Wait for one message, then take what else has arrived: 1 to `limit` messages."""
        return [await self.get(), *self.drain(limit - 1)]

    def __len__(self) -> int:
        return self._queue.qsize()

    def matches(self, topic: str) -> bool:
        """Whether one of the filters brings `topic`."""
        return any(topic_matches(one, topic) for one in self.filters)

    def put(self, delivery: Delivery) -> None:
        """For the bus: a message arrived."""
        takes = _takes(delivery)
        if takes and takes > self._room:
            self.dropped += 1
            return
        self._room -= takes
        self._queue.put_nowait(delivery)

    def _out(self, delivery: Delivery) -> Delivery:
        self._room += _takes(delivery)
        return delivery

    def set_apart(self, epoch: int) -> None:
        """For the bus: take out unacked messages of former connections; they may come again."""
        for delivery in self.drain(len(self)):
            if delivery.token is None or delivery.token.epoch == epoch:
                self.put(delivery)
            else:
                self._apart.append(delivery)

    def came_again(self, delivery: Delivery) -> None:
        """For the bus: forget the copy of this message that was set apart."""
        for number, one in enumerate(self._apart):
            if (one.topic, one.payload) == (delivery.topic, delivery.payload):
                del self._apart[number]
                return

    def put_back(self) -> None:
        """For the bus: what was set apart and did not come again is here, and only here."""
        apart, self._apart = self._apart, []
        for delivery in apart:
            self.put(delivery)


def _takes(delivery: Delivery) -> int:
    """Return the bytes of an inbox's room a message takes; none where the broker keeps count."""
    return 0 if delivery.token else len(delivery.payload) + len(delivery.topic) + _KEEPING
