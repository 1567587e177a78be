"""Requests to a service that stops: each is answered, or told at once that nobody serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.runtime.errors import Unavailable
from services.runtime.rpc import Caller, Server
from tests.support.probe_service import DOUBLE, Number
from tests.support.worlds import SOON_S, FakeWorld, RealWorld, World

pytestmark = pytest.mark.integration


@pytest.fixture(params=["fake", "mosquitto"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        made: World = (
            FakeWorld(stack, persistence=False)
            if request.param == "fake"
            else RealWorld(stack, tmp_path / "broker", persistence=False)
        )
        await made.start()
        yield made
    await made.stop()


async def test_nobody_waits_for_a_service_that_stops(world: World) -> None:
    asking, serving = await world.bus("asking"), await world.bus("serving")
    caller = Caller(asking, "andon")
    begun, go = asyncio.Event(), asyncio.Event()

    async def double(request: Number) -> Number:
        begun.set()
        await go.wait()
        return Number(2 * request.value)

    async def ask(number: int) -> int | None:
        try:
            reply: Number = await caller.call(DOUBLE, Number(number), deadline_s=3600)
        except Unavailable:
            return None
        return reply.value

    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        before = asyncio.all_tasks()
        server = Server(serving, "andon", tasks)
        await server.serve(DOUBLE, double, at_once=2)
        loops = asyncio.all_tasks() - before
        early = [tasks.create_task(ask(number)) for number in range(10)]
        await begun.wait()
        server.leave()
        late = [tasks.create_task(ask(number)) for number in range(10, 20)]
        await serving.publish("t/stopping", b"")
        go.set()
        await server.drain()
        for loop in loops:
            loop.cancel()
        told = [await one for one in (*early, *late, tasks.create_task(ask(20)))]
    assert told[0] == 0
    assert told[-1] is None
    assert all(found in {None, 2 * number} for number, found in enumerate(told))
