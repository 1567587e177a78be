"""The bridge's service inside the test's own process, on a fake bus, with somebody to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import GENERATE
from schemas.generation import Generate, Generated, PromptPassage, TextDelta
from services.llm_bridge.service import LlmBridgeService
from services.runtime.config import Bridge, Config
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.process import Health
from services.runtime.rpc import Caller
from tests.support.services import running

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
    settings: Bridge

    async def ask(self, asked: Generate, *, deadline_s: float = 240) -> tuple[str, Generated]:
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
        async with asyncio.timeout(60):
            while not facts.items() <= self.health.facts.items():  # noqa: ASYNC110  a plain dict
                await asyncio.sleep(0.002)

    async def well(self) -> None:
        """Wait until nothing is wrong."""
        async with asyncio.timeout(60):
            while self.health.reason:  # noqa: ASYNC110
                await asyncio.sleep(0.002)


@asynccontextmanager
async def bridge(settings: Bridge, data: Path | None = None) -> AsyncIterator[Served]:
    """Run the service for as long as the block lasts, in a data folder of its own or this one."""
    broker = FakeBroker()
    with TemporaryDirectory() as own:
        config = Config(llm_bridge=settings, data=str(data or own))
        service = LlmBridgeService(config, check_every_s=0.1)
        async with _served(broker, service, config) as served:
            yield served


@asynccontextmanager
async def _served(
    broker: FakeBroker, service: LlmBridgeService, config: Config
) -> AsyncIterator[Served]:
    async with (
        FakeBus(broker, "asker", reply_topic="t/reply/asker") as other,
        running(broker, service, config) as context,
    ):
        yield Served(
            Caller(other, DEFAULT_PREFIX), context.health, context.stopping, config.llm_bridge
        )
