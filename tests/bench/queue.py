"""The bridge's queue before llama.cpp's own server: order, what it costs, how fast a slot is free.

The model is tiny and its weights are random: this shows order and times, nothing of answers.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import GENERATE, STATUS, URGE
from schemas.generation import Generate, Generated, PromptPassage, Urge
from schemas.health import ServiceStatus
from services.llm_bridge.turns import PRIORITIES
from services.runtime.address import BrokerAddress
from services.runtime.metrics import memory_mb
from services.runtime.mqtt import MqttBus
from services.runtime.rpc import Caller
from tests.support.llama import LlamaProcess, llama_process
from tests.support.mosquitto import Mosquitto
from tests.support.tiny_gguf import write_tiny_gguf

ROOT = Path(__file__).resolve().parents[2]
_SLOTS = 2
_REQUESTS = 200
_TIMES = 20
_DEADLINE_S = 600.0
_BATCH = 16
"""Tokens of a prompt the server reads at a time: it stops between two."""
_SEED = 6


@dataclass
class Desk:
    """A bridge in a process of its own, and what is known of it."""

    caller: Caller
    server: LlamaProcess
    session: aiohttp.ClientSession
    pid: int
    facts: dict[str, Any]

    async def ask(self, asked: Generate, began: list[str] | None = None) -> float:
        """Return the seconds to the first text; note the id then."""
        begun, first = time.perf_counter(), 0.0
        stream = self.caller.stream(GENERATE, asked, deadline_s=_DEADLINE_S)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if not first:
                    first = time.perf_counter() - begun
                    if began is not None:
                        began.append(asked.id)
                if isinstance(piece, Generated):
                    break
        return first

    async def forget(self, name: str) -> None:
        """Say that nobody wants it any more."""
        await self.caller.call(URGE, Urge(id=name, priority=None), deadline_s=10)

    async def busy(self) -> int:
        """Return how many slots the server says are at work."""
        async with self.session.get(f"{self.server.url}/slots") as found:
            return sum(slot["is_processing"] for slot in await found.json())

    async def until_busy(self, slots: int) -> None:
        while await self.busy() != slots:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.001)

    async def until(self, **facts: object) -> None:
        while not facts.items() <= self.facts.items():  # noqa: ASYNC110  a plain dict
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _desk(folder: Path) -> AsyncIterator[Desk]:
    model = write_tiny_gguf(folder / "tiny.gguf")
    with (
        llama_process(model, slots=_SLOTS, batch=_BATCH) as server,
        Mosquitto(folder / "broker") as broker,
    ):
        config = folder / "config.yaml"
        bridge = {"url": server.url, "slots": _SLOTS, "ageing_s": 3600}
        plain = {"broker": {"url": broker.url}, "llm_bridge": bridge, "status_every_s": 0.2}
        config.write_text(yaml.safe_dump({**plain, "log": "warning"}), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.llm_bridge", "--config", config, cwd=ROOT
        )
        address = BrokerAddress.from_url(broker.url)
        try:
            async with (
                MqttBus(address, "bench", reply_topic="andon/reply/bench") as bus,
                aiohttp.ClientSession() as session,
            ):
                await bus.wait_connected(60)
                desk = Desk(Caller(bus, DEFAULT_PREFIX), server, session, process.pid, {})
                watching = asyncio.create_task(_watch(bus, desk))
                await desk.until(model="tiny")
                yield desk
                watching.cancel()
        finally:
            process.terminate()
            await process.wait()


async def _watch(bus: MqttBus, desk: Desk) -> None:
    inbox = await bus.consume(STATUS.topic(DEFAULT_PREFIX, service="llm_bridge"))
    while True:
        delivery = await inbox.get()
        bus.ack(delivery)
        status: ServiceStatus = STATUS.decode(delivery.payload)
        desk.facts.update(status.facts)


def _request(name: str, *, words: int = 8, max_tokens: int = 1536, **more: Any) -> Generate:
    text = f"{name} drive " * words
    return Generate(
        id=name,
        system=f"{name} help.",
        question=f"What is {name}?",
        passages=[PromptPassage(n=1, source=name, text=text)],
        lang="en",
        max_tokens=max_tokens,
        **more,
    )


async def _hold(desk: Desk) -> list[asyncio.Task[float]]:
    """Take every slot with work that lasts."""
    held = [
        asyncio.create_task(desk.ask(_request(f"hold{n}", words=900, priority="critical")))
        for n in range(_SLOTS)
    ]
    await desk.until_busy(_SLOTS)
    return held


async def order(desk: Desk) -> dict[str, Any]:
    """Queue requests of mixed priority behind busy slots, and see in which order they begin."""
    draw = random.Random(_SEED)
    kinds = draw.choices(PRIORITIES, k=_REQUESTS)
    before = memory_mb(desk.pid)
    held = await _hold(desk)
    began: list[str] = []
    asked = []
    for number, kind in enumerate(kinds):
        background = kind == "background"
        one = _request(
            f"r{number}", priority="advice" if background else kind, background=background
        )
        asked.append(asyncio.create_task(desk.ask(one, began)))
    await desk.until(queued=_REQUESTS)
    queued_mb = memory_mb(desk.pid)
    depth = {kind: desk.facts[f"queued_{kind}"] for kind in PRIORITIES}
    begun = time.perf_counter()
    for number in range(_SLOTS):
        await desk.forget(f"hold{number}")
    await asyncio.gather(*asked)
    took = time.perf_counter() - begun
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    return {
        "requests": _REQUESTS,
        "queued": depth,
        "begun before a more urgent one that was not in flight": _overtaken(began, kinds),
        "all written s": round(took, 1),
        "bridge PSS MB": {"idle": before, "queued": queued_mb},
    }


def _overtaken(began: list[str], kinds: list[str]) -> int:
    """Return how many began though a more urgent one waited, those in flight not counted."""
    rank = [PRIORITIES.index(kinds[int(one[1:])]) for one in began]
    return sum(
        any(later < one for later in rank[place + _SLOTS :]) for place, one in enumerate(rank)
    )


async def freed(desk: Desk, *, reading: bool) -> dict[str, float]:
    """Milliseconds from saying that nobody wants it to the server's slot being free."""
    taken = []
    for number in range(_TIMES):
        name = f"{'read' if reading else 'write'}{number}"
        words = 900 if reading else 8
        asking = asyncio.create_task(desk.ask(_request(name, words=words)))
        await desk.until_busy(1)
        if not reading:
            await asyncio.sleep(0.15)  # its short prompt is read by now
        begun = time.perf_counter()
        await desk.forget(name)
        await desk.until_busy(0)
        taken.append((time.perf_counter() - begun) * 1000)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    return _spread(taken)


async def made_room(desk: Desk) -> dict[str, Any]:
    """Milliseconds to the first text of a critical request: idle slots, and all with advice."""
    idle, taken = [], []
    for number in range(_TIMES):
        idle.append(await desk.ask(_request(f"idle{number}", priority="critical")) * 1000)
        advice = [
            asyncio.create_task(desk.ask(_request(f"a{number}-{n}", words=900, priority="advice")))
            for n in range(_SLOTS)
        ]
        await desk.until_busy(_SLOTS)
        taken.append(await desk.ask(_request(f"c{number}", priority="critical")) * 1000)
        for n, task in enumerate(advice):
            await desk.forget(f"a{number}-{n}")
            task.cancel()
        await asyncio.gather(*advice, return_exceptions=True)
        await desk.until_busy(0)
    return {"idle": _spread(idle), "all slots with advice": _spread(taken)}


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(statistics.median(values), 1),
        "max": round(max(values), 1),
        "n": len(values),
    }


async def measure() -> dict[str, Any]:
    """Measure all of it."""
    with tempfile.TemporaryDirectory(prefix="andon-queue-") as name:
        async with _desk(Path(name)) as desk:
            return {
                "slots": _SLOTS,
                "order": await order(desk),
                "slot free after the asker left, while writing ms": await freed(
                    desk, reading=False
                ),
                "slot free after the asker left, while reading ms": await freed(desk, reading=True),
                "first text of a critical request ms": await made_room(desk),
            }
