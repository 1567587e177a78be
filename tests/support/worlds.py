"""A broker and its buses, real or fake, behind one set of verbs for the tests."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from services.runtime.address import BrokerAddress
from services.runtime.backoff import Backoff
from services.runtime.bus import Bus
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.mqtt import MqttBus
from tests.support.mosquitto import Mosquitto

QUICK = Backoff(first_s=0.02, most_s=0.2, patient_s=60.0)
"""Reconnects soon, but keeps its patience: no test waits for a second try after a refusal."""
SOON_S = 60.0
"""Limit for what takes milliseconds: reached only when it never happens."""


async def becomes(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SOON_S):
        while not true():  # noqa: ASYNC110  (conditions of all kinds)
            await asyncio.sleep(0.005)


class World(ABC):
    """One broker; buses made here are closed at the end."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    def name(self, client_id: str) -> str:
        return f"t/reply/{client_id}"

    async def bus(self, client_id: str, *, connected: bool = True, **options: Any) -> Bus:
        """A started bus, by default connected."""
        bus = self.make(client_id, **options)
        await self._stack.enter_async_context(bus)
        if connected:
            await bus.wait_connected(SOON_S)
        return bus

    @abstractmethod
    def make(self, client_id: str, **options: Any) -> Bus:
        """A bus that is not started."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None:
        """End the broker; returns when every bus knows."""

    @abstractmethod
    async def kill(self) -> None:
        """As `stop`, without a goodbye to anyone."""

    @abstractmethod
    async def cut(self, bus: Bus) -> None:
        """Break the connection of one bus under its feet, and wait until it knows."""


class RealWorld(World):
    def __init__(self, stack: AsyncExitStack, folder: Path, *, persistence: bool) -> None:
        super().__init__(stack)
        self.broker = Mosquitto(folder, persistence=persistence)
        self._buses: list[MqttBus] = []

    def make(self, client_id: str, **options: Any) -> MqttBus:
        address = BrokerAddress.from_url(self.broker.url)
        bus = MqttBus(
            address, client_id, reply_topic=self.name(client_id), backoff=QUICK, **options
        )
        self._buses.append(bus)
        return bus

    async def start(self) -> None:
        await self.broker.in_thread("start")

    async def stop(self) -> None:
        await self.broker.in_thread("stop")
        await self._noticed()

    async def kill(self) -> None:
        await self.broker.in_thread("kill")
        await self._noticed()

    async def _noticed(self) -> None:
        async with asyncio.timeout(SOON_S):
            while any(bus.connected for bus in self._buses):  # noqa: ASYNC110  # several buses
                await asyncio.sleep(0.001)

    async def cut(self, bus: Bus) -> None:
        assert isinstance(bus, MqttBus)
        link = bus._link
        assert link is not None
        link._socket.shutdown(socket.SHUT_RDWR)
        await asyncio.wait_for(asyncio.shield(link.lost), SOON_S)


class FakeWorld(World):
    def __init__(self, stack: AsyncExitStack, *, persistence: bool) -> None:
        super().__init__(stack)
        self.broker = FakeBroker(persistence=persistence)
        self.broker.up = False

    def make(self, client_id: str, **options: Any) -> FakeBus:
        return FakeBus(self.broker, client_id, reply_topic=self.name(client_id), **options)

    async def start(self) -> None:
        self.broker.start()

    async def stop(self) -> None:
        self.broker.stop()

    async def kill(self) -> None:
        self.broker.stop()

    async def cut(self, bus: Bus) -> None:
        self.broker.cut(bus.client_id)
