"""Requests to a service that stops, or of one: nobody waits, and nobody is worked for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from schemas.answers import StreamDelta
from schemas.channels import STATUS
from schemas.health import ServiceStatus
from services.runtime.errors import Unavailable
from services.runtime.rpc import Caller, Server
from tests.support.probe_service import COUNT, DOUBLE, Number
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


async def test_a_stream_ends_with_its_asker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "name", lambda client: f"andon/reply/{client}")
    gone, stays = await world.bus("andon-orchestrator"), await world.bus("andon-ingest")
    serving = await world.bus("serving")
    go, closed = asyncio.Event(), list[int]()

    async def count(request: Number) -> AsyncGenerator[StreamDelta, None]:
        try:
            yield StreamDelta(answer_id="a", seq=request.value, delta="", done=False)
            await go.wait()
        finally:
            closed.append(request.value)

    async def double(request: Number) -> Number:
        await go.wait()
        return Number(2 * request.value)

    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        before = asyncio.all_tasks()
        server = Server(serving, "andon", tasks)
        await server.serve(COUNT, count)
        await server.serve(DOUBLE, double)
        tasks.create_task(Caller(serving, "andon").watch(server.forget))
        loops = asyncio.all_tasks() - before
        leaving = Caller(gone, "andon").stream(COUNT, Number(1), deadline_s=3600)
        staying = Caller(stays, "andon").stream(COUNT, Number(2), deadline_s=3600)
        assert (await anext(leaving)).seq == 1
        assert (await anext(staying)).seq == 2
        whole = tasks.create_task(Caller(gone, "andon").call(DOUBLE, Number(4), deadline_s=3600))
        status = ServiceStatus(service="orchestrator", state="offline")
        topic = STATUS.topic("andon", service="orchestrator")
        await stays.publish(topic, STATUS.encode(status), retain=True)
        while not closed:  # noqa: ASYNC110  a plain list
            await asyncio.sleep(0.001)
        assert closed == [1]
        go.set()
        assert [piece async for piece in staying] == []
        assert (await whole).value == 8
        await leaving.aclose()
        for loop in loops:
            loop.cancel()
