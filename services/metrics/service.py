"""The metrics' door: what the others publish in, Prometheus figures out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ClassVar, Protocol

import msgspec
from prometheus_client import start_http_server

from schemas.channel import Channel
from schemas.channels import ALARM, ANSWER, FLOOD, STATUS
from schemas.health import SERVICES
from services.metrics.figures import BROKER_TOPICS, Figures
from services.runtime.config import Config
from services.runtime.errors import Fatal
from services.runtime.messages import Delivery, Inbox
from services.runtime.process import Context

log = logging.getLogger(__name__)


class _Server(Protocol):
    def shutdown(self) -> None: ...
    def server_close(self) -> None: ...


class MetricsService:
    """Watches answers, alarms, floods, statuses and the broker; serves `/metrics` by HTTP.

    It asks nobody anything: where it is not wanted, nothing else changes.

    In:  andon/answer/#, andon/alarm/#, andon/flood/#, andon/status/+, the broker's $SYS topics.
    Out: HTTP on `metrics.port`.
    """

    name: ClassVar[str] = "metrics"
    keeps_session: ClassVar[bool] = False

    def __init__(self, config: Config) -> None:
        self._settings = config.metrics
        self._prefix = config.prefix
        self._figures = Figures()
        self._server: _Server | None = None
        if not config.metrics.port:
            raise Fatal(
                "serve metrics",
                "metrics.port is 0, which is off",
                "set metrics.port in the configuration, 9464 for example",
            )

    async def start(self, context: Context) -> None:
        """Listen, and follow the topics.

        Raises:
            Fatal: the port is taken.
        """
        address, port = self._settings.address, self._settings.port
        try:
            self._server, _ = start_http_server(port, address, self._figures.registry)
        except OSError as error:
            raise Fatal(
                "serve metrics",
                f"{address}:{port}: {error.strerror}",
                "set another metrics.port, or an address of this box as metrics.address",
            ) from error
        log.info("metrics on http://%s:%s/metrics", address, port)
        self._health = context.health
        # One by one: all statuses together are what every process listens to for its requests.
        statuses = [STATUS.topic(self._prefix, service=name) for name in (*SERVICES, self.name)]
        for channel, filters, take in (
            (STATUS, statuses, self._status),
            (ANSWER, [ANSWER.filter(self._prefix)], self._answer),
            (ALARM, [ALARM.filter(self._prefix)], self._alarm),
            (FLOOD, [FLOOD.filter(self._prefix)], self._flood),
        ):
            for topic in filters:
                inbox = await context.bus.consume(topic)
                context.spawn(self._follow(context, inbox, channel, take), f"follow {topic}")
        for topic in BROKER_TOPICS:
            inbox = await context.bus.consume(topic)
            context.spawn(self._broker(context, inbox), f"follow {topic}")

    async def drain(self) -> None:
        """Nothing is begun that has to end."""

    async def close(self) -> None:
        """Let go of the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    async def _follow(
        self, context: Context, inbox: Inbox, channel: Channel, take: Callable[[Delivery], None]
    ) -> None:
        while True:
            delivery = await inbox.get()
            try:
                take(delivery)
            except msgspec.DecodeError as error:
                log.warning("an unreadable %s on %s: %s", channel.name, delivery.topic, error)
            context.bus.ack(delivery)

    async def _broker(self, context: Context, inbox: Inbox) -> None:
        while True:
            delivery = await inbox.get()
            self._figures.broker(delivery.topic, delivery.payload)
            context.bus.ack(delivery)

    def _status(self, delivery: Delivery) -> None:
        if delivery.payload:
            self._figures.status(STATUS.decode(delivery.payload))

    def _answer(self, delivery: Delivery) -> None:
        # What is retained was counted when it came, or came before this process did.
        if delivery.payload and not delivery.retain:
            place = self._place(ANSWER, delivery.topic)
            self._figures.answer(place, ANSWER.decode(delivery.payload))

    def _alarm(self, delivery: Delivery) -> None:
        asset = self._place(ALARM, delivery.topic)
        alarm = ALARM.decode(delivery.payload) if delivery.payload else None
        self._figures.alarm(asset, alarm, retained=delivery.retain)

    def _flood(self, delivery: Delivery) -> None:
        area = self._place(FLOOD, delivery.topic)
        self._figures.flood(area, FLOOD.decode(delivery.payload) if delivery.payload else None)

    def _place(self, channel: Channel, topic: str) -> str:
        found = channel.parameters(topic, self._prefix) or {}
        return next(iter(found.values()), "")
