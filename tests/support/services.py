"""Services on a fake broker, started and stopped in the order of `services.runtime.process`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.channel import DEFAULT_PREFIX
from services.runtime.bus import Bus
from services.runtime.config import Config
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.process import Context, Health, Service
from services.runtime.rpc import Caller, Server


class _Over(Exception):
    pass


@asynccontextmanager
async def running(broker: FakeBroker, service: Service, config: Config) -> AsyncIterator[Context]:
    """Run a service for as long as the block lasts."""
    started: asyncio.Future[Context] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    reply = f"t/reply/{service.name}"
    keeps = service.keeps_session
    async with FakeBus(
        broker,
        service.name,
        reply_topic=reply,
        clean_start=not keeps,
        session_expiry_s=3600 if keeps else 0,
    ) as bus:
        task = asyncio.create_task(_run(service, config, bus, started, over), name=service.name)
        # A start that fails ends the task, and its error is the test's.
        await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        try:
            yield started.result()
        finally:
            over.set()
            await task


async def _run(
    service: Service,
    config: Config,
    bus: Bus,
    started: asyncio.Future[Context],
    over: asyncio.Event,
) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            context = Context(
                config=config,
                bus=bus,
                caller=Caller(bus, DEFAULT_PREFIX),
                server=Server(bus, DEFAULT_PREFIX, tasks),
                tasks=tasks,
                stopping=asyncio.Event(),
                health=Health(),
            )
            await service.start(context)
            started.set_result(context)
            await over.wait()
            context.stopping.set()
            await context.server.drain()
            await service.drain()
            raise _Over  # noqa: TRY301  the way out of a TaskGroup
    except* _Over:
        pass
    finally:
        await service.close()
