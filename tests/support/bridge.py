"""The bridge's service inside the test's own process, on a fake bus, with somebody to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from schemas.channels import DEFAULT_PREFIX, GENERATE
from schemas.generation import Generate, Generated, PromptPassage, TextDelta
from services.llm_bridge.service import LlmBridgeService
from services.runtime.bus import Bus
from services.runtime.config import Bridge, Config
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.process import Context, Health
from services.runtime.rpc import Caller, Server

PASSAGES = [
    PromptPassage(n=1, source="Manual, p. 41", text="E005 | DC bus undervoltage | mains low"),
    PromptPassage(n=2, source="手册 第42页", text="E005 | 直流母线欠压 | 检查电源"),
]


def request(question: str = "What does E005 mean?", **more: object) -> Generate:
    """A request with two passages."""
    given = {"id": "a1", "system": "You help fitters.", "passages": PASSAGES, "lang": "en"}
    return Generate(**{**given, "question": question, **more})  # type: ignore[arg-type]


@dataclass(slots=True)
class Served:
    """A running service and somebody to ask it."""

    caller: Caller
    health: Health
    stopping: asyncio.Event

    async def ask(self, asked: Generate, *, deadline_s: float = 60) -> tuple[str, Generated]:
        """Return the text as streamed, and the answer."""
        texts: list[str] = []
        async with aclosing(self.caller.stream(GENERATE, asked, deadline_s=deadline_s)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generated):
                    return "".join(texts), piece
                assert isinstance(piece, TextDelta)
                texts.append(piece.text)
        raise AssertionError("no answer at the end")

    async def until(self, **facts: object) -> None:
        """Wait until the service's facts are these."""
        async with asyncio.timeout(30):
            while not facts.items() <= self.health.facts.items():  # noqa: ASYNC110  a plain dict
                await asyncio.sleep(0.002)


class _Over(Exception):
    pass


@asynccontextmanager
async def bridge(settings: Bridge) -> AsyncIterator[Served]:
    """Run the service for as long as the block lasts."""
    broker = FakeBroker()
    started: asyncio.Future[Context] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    async with (
        FakeBus(broker, "bridge", reply_topic="t/reply/bridge") as own,
        FakeBus(broker, "asker", reply_topic="t/reply/asker") as other,
    ):
        running = asyncio.create_task(_run(settings, own, started, over), name="bridge")
        # A start that fails ends the task, and its error is the test's.
        await asyncio.wait([running, started], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        context = started.result()
        try:
            yield Served(Caller(other, DEFAULT_PREFIX), context.health, context.stopping)
        finally:
            over.set()
            await running


async def _run(
    settings: Bridge, bus: Bus, started: asyncio.Future[Context], over: asyncio.Event
) -> None:
    """Start the service, wait, stop it: in the order of `services.runtime.process`."""
    config = Config(llm_bridge=settings)
    service = LlmBridgeService(config, check_every_s=0.1)
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
