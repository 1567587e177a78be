"""What the bridge costs: through it against straight to the server, side by side in one run.

llama.cpp's own server, one thread, with models of random weights written here, whose words mean
nothing. A large one, of which a token costs some milliseconds as of a real one, shows the tokens a
second; a small one shows how much later the first text comes, which on a busy machine is far less
than the large one's own time to it wavers.

Both ways ask by `/v1/chat/completions` for the same form, with the same instructions and passages
and questions of the same length, by turns, so the server has the same to read and to write.
Straight is nothing but an HTTP client. Through the bridge is from the request on the broker to the
pieces that come back over it: counting tokens, choosing the slot and reading the JSON included.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import GENERATE, STATUS
from schemas.generation import Generate, Generated, PromptPassage
from schemas.health import ServiceStatus
from services.llm_bridge import prompt
from services.llm_bridge.answer_form import AnswerReader, form_for
from services.llm_bridge.errors import BrokenOutput
from services.llm_bridge.sse import Events
from services.runtime.address import BrokerAddress
from services.runtime.bus import Bus
from services.runtime.errors import AndonError
from services.runtime.metrics import memory_mb
from services.runtime.mqtt import MqttBus
from services.runtime.rpc import Caller
from tests.support.llama import llama_process
from tests.support.mosquitto import Mosquitto
from tests.support.tiny_gguf import write_tiny_gguf

ROOT = Path(__file__).parents[2]
MODELS = {"small": (64, 2), "large": (512, 8)}
"""Width and layers."""
ANSWER = 512
"""Room for an answer, tokens."""
TURNS = {("small", 1): 40, ("small", 4): 15, ("large", 1): 12, ("large", 4): 6}
"""Turns of each way, by model and slots."""
QUEUED = 200
_DEADLINE_S = 600.0
_SYSTEM = (
    "You help the fitters of a plant. A machine has stopped with a fault, and somebody stands in"
    " front of it with tools in hand. Say what most likely happened and what to do, in the order in"
    " which it is done, the quick checks first. Warn of voltage where a cover is opened.\n"
) * 2
_ROW = "E{n:03} | DC bus undervoltage | mains low, brake resistor open | check supply at L1, L2, L3"


@dataclass(frozen=True, slots=True)
class Run:
    """One answer, as who asked for it saw it."""

    first_ms: float
    """From asking to the first text that can be read."""
    rate: float
    """Tokens a second from there on."""


Ask = Callable[[Generate], Coroutine[Any, Any, Run]]


def request(number: int, *, passages: int = 3, max_tokens: int = ANSWER) -> Generate:
    """Return a request; they differ by their question, and are equally long."""
    rows = [
        PromptPassage(n=n, source=f"Manual FD40, page {n + 100}", text=_ROW.format(n=n))
        for n in range(1, passages + 1)
    ]
    return Generate(
        id=f"bench-{number}",
        system=_SYSTEM,
        question=f"What does E{number:03} mean?",
        passages=rows,
        lang="en",
        max_tokens=max_tokens,
        temperature=0.8,
    )


class Straight:
    """Asks the server itself."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"

    async def __call__(self, asked: Generate) -> Run:
        """Return how long it took; raises BrokenOutput as the bridge would."""
        numbers = [passage.n for passage in asked.passages]
        schema = form_for(asked.max_tokens, asked.lang).schema(numbers)
        body = {
            "messages": msgspec.to_builtins(prompt.messages(asked, asked.passages)),
            "max_tokens": asked.max_tokens,
            "temperature": asked.temperature,
            "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        reader, events = AnswerReader(asked.lang, passages=numbers), Events()
        tokens, first = 0, 0.0
        begun = time.perf_counter()
        async with (
            aiohttp.ClientSession() as session,
            session.post(self._url, json=body) as response,
        ):
            async for chunk in response.content.iter_any():
                for data in events.feed(chunk):
                    if data == b"[DONE]":
                        break
                    event = msgspec.json.decode(data)
                    if "error" in event:  # the server's parser, at an answer cut in the middle
                        raise BrokenOutput("ask", str(event["error"]))
                    for choice in event["choices"]:
                        if reader.feed(choice["delta"].get("content") or "") and not first:
                            first = time.perf_counter()
                    tokens = (event.get("usage") or {}).get("completion_tokens") or tokens
        return _run(begun, first, tokens)


class Through:
    """Asks the bridge over the broker."""

    def __init__(self, bus: Bus) -> None:
        self._caller = Caller(bus, DEFAULT_PREFIX)

    async def __call__(self, asked: Generate) -> Run:
        """Return how long it took; raises what the bridge raises."""
        first = 0.0
        begun = time.perf_counter()
        stream = self._caller.stream(GENERATE, asked, deadline_s=_DEADLINE_S)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                first = first or time.perf_counter()
                if isinstance(piece, Generated):
                    return _run(begun, first, piece.answer_tokens)
        raise AssertionError("no answer at the end")


def _run(begun: float, first: float, tokens: int) -> Run:
    return Run((first - begun) * 1000, tokens / (time.perf_counter() - first))


@asynccontextmanager
async def bridge(folder: Path, url: str, slots: int) -> AsyncIterator[tuple[Bus, Statuses, int]]:
    """Run a broker and the bridge's process; yield a client, its statuses and its process id."""
    with Mosquitto(folder / "broker") as broker:
        config = folder / "config.yaml"
        settings = {"url": url, "slots": slots}
        plain = {"broker": {"url": broker.url}, "llm_bridge": settings, "status_every_s": 0.2}
        config.write_text(yaml.safe_dump(plain))
        address = BrokerAddress.from_url(broker.url)
        async with MqttBus(address, "bench", reply_topic="bench/reply", session_expiry_s=0) as bus:
            await bus.wait_connected(30)
            statuses = Statuses(bus)
            following = asyncio.create_task(statuses.follow(), name="follow the status")
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.llm_bridge", "--config", config, cwd=ROOT
            )
            try:
                await statuses.until(lambda status: status.state == "ready")
                yield bus, statuses, process.pid
            finally:
                following.cancel()
                process.terminate()
                await process.wait()


class Statuses:
    """What the bridge says of itself."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._news = asyncio.Condition()
        self._last: ServiceStatus | None = None

    async def follow(self) -> None:
        """Take every status as it comes: what waits unacked would hold up the answers."""
        inbox = await self._bus.consume(STATUS.topic(DEFAULT_PREFIX, service="llm_bridge"))
        while True:
            delivery = await inbox.get()
            self._bus.ack(delivery)
            async with self._news:
                self._last = STATUS.decode(delivery.payload)
                self._news.notify_all()

    async def until(self, enough: Callable[[ServiceStatus], bool]) -> ServiceStatus:
        """Return the first status from now on that is enough."""
        async with asyncio.timeout(60), self._news:
            while True:
                await self._news.wait()
                if self._last is not None and enough(self._last):
                    return self._last


async def by_turns(
    ways: dict[str, Ask], slots: int, turns: int
) -> tuple[dict[str, list[Run]], int]:
    """Ask so many at a time one way, then the other, and again; return what ended well.

    The number is that of answers that did not: random weights may write on until the room ends.
    """
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    broken = 0
    number = 0
    order = list(ways.items())
    for turn in range(turns + 1):
        order.reverse()
        for name, ask in order:
            asked = [request(number + n) for n in range(slots)]
            number += slots
            found = await asyncio.gather(*map(ask, asked), return_exceptions=True)
            for one in found:
                if isinstance(one, AndonError):
                    broken += 1
                elif isinstance(one, BaseException):
                    raise one
                elif turn:  # the first fills the caches
                    runs[name].append(one)
    return runs, broken


async def queued(bus: Bus, statuses: Statuses, pid: int) -> dict[str, float]:
    """Fill the queue, and return what the process takes then, MiB."""
    before = memory_mb(pid)
    ask = Through(bus)
    tasks = [
        asyncio.create_task(ask(request(n, passages=12, max_tokens=2048)))
        for n in range(QUEUED + 8)
    ]
    status = await statuses.until(lambda status: int(str(status.facts["queued"])) >= QUEUED)
    full = memory_mb(pid)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"idle": before, "queued": full, "requests": int(str(status.facts["queued"]))}


async def _measure(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for (size, slots), turns in TURNS.items():
        width, layers = MODELS[size]
        model = write_tiny_gguf(folder / f"{size}.gguf", width=width, layers=layers)
        place = folder / f"{size}{slots}"
        place.mkdir()
        with llama_process(model, slots=slots) as server:
            async with bridge(place, server.url, slots) as (bus, statuses, pid):
                ways: dict[str, Ask] = {"straight": Straight(server.url), "through": Through(bus)}
                runs, broken = await by_turns(ways, slots, turns)
                status = await statuses.until(lambda status: "prefix_reused" in status.facts)
                results[f"{size}_{slots}"] = {
                    "model_mb": round(model.stat().st_size / 1e6, 1),
                    **{name: _figures(found) for name, found in runs.items()},
                    **_compared(runs),
                    "broken_answers": broken,
                    "prefix_reused": status.facts["prefix_reused"],
                }
                if (size, slots) == ("large", 4):
                    results["pss_mb"] = await queued(bus, statuses, pid)
    return results


def _figures(runs: list[Run]) -> dict[str, float]:
    first = _quartiles(runs)
    return {
        "answers": len(runs),
        "first_text_ms_p25": round(first[0], 1),
        "first_text_ms_p50": round(first[1], 1),
        "tokens_per_s": round(statistics.median(run.rate for run in runs), 1),
    }


def _compared(runs: dict[str, list[Run]]) -> dict[str, float]:
    straight, through = _quartiles(runs["straight"]), _quartiles(runs["through"])
    rate = {name: statistics.median(run.rate for run in found) for name, found in runs.items()}
    return {
        "first_text_later_ms_p25": round(through[0] - straight[0], 1),
        "first_text_later_ms_p50": round(through[1] - straight[1], 1),
        "tokens_per_s_ratio": round(rate["through"] / rate["straight"], 3),
    }


def _quartiles(runs: list[Run]) -> list[float]:
    return statistics.quantiles((run.first_ms for run in runs), n=4)


def measure() -> dict[str, Any]:
    """Return every figure of the bridge."""
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))
