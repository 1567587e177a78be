"""An orchestrator between a retriever and a model under a test's control, on a fake broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from schemas.answers import Scope
from schemas.channel import DEFAULT_PREFIX
from schemas.channels import GENERATE, SEARCH, STATUS, URGE
from schemas.generation import Generate, Generated, Piece, Point, TextDelta, Urge, Urged
from schemas.health import ServiceStatus
from schemas.retrieval import DocumentRef, Found, Hit, Passage, Search
from services.orchestrator.service import OrchestratorService
from services.runtime.bus import Bus
from services.runtime.config import Config
from services.runtime.errors import Retryable
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.process import Context
from services.runtime.rpc import Server
from tests.support.services import running

SOON_S = 60.0
"""Limit for what takes milliseconds."""


class Floor:
    """What the orchestrator asks, what it is answered, and what it publishes."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self.searches: list[Search] = []
        self.asked: list[Generate] = []
        self.urged: list[Urge] = []
        self.generation = 7
        """Of the corpus."""
        self.model_may = asyncio.Event()
        """Whether the model writes; it begins and hangs where not."""
        self.model_may.set()
        self.actions = [Point(text="check mains", passages=[1])]
        """What the model says to do."""
        self.scopes: dict[str, Scope] = {}
        """What a search for a machine says that it searched; the machine's own manual otherwise."""
        self.identity = ""
        """Of the model, whose name is always the same."""
        self.more: list[Hit] = []
        """What else is found."""
        self.assets: list[str] = []
        """Machines that the manual belongs to."""
        self.away = False
        """Whether the retriever fails."""
        self.got: list[tuple[str, bytes]] = []
        """Topic and payload of everything the orchestrator published."""
        self.came = asyncio.Condition()
        self.plc: Bus
        self.context: Context
        self.service: OrchestratorService

    async def search(self, request: Search) -> Found:
        async with self.came:  # who waits for it looks only when something happens
            self.searches.append(request)
            self.came.notify_all()
        if self.away:
            raise Retryable("search", "the test wants it away")
        document = DocumentRef(
            doc_id="d", revision=1, title="T", file="t.pdf", lang="en", assets=self.assets
        )
        text = f"{request.code or request.question} | undervoltage | check mains"
        passage = Passage(ordinal=1, text=text, kind="row", page=3, lang="en")
        hit = Hit(document=document, passage=passage, score=0.9, by="code")
        return Found(
            hits=[hit, *self.more],
            codes=[request.code],
            generation=self.generation,
            scope=self.scopes.get(request.asset, "asset"),
        )

    async def generate(self, request: Generate) -> AsyncGenerator[Piece, None]:
        self.asked.append(request)
        yield TextDelta(text="..")
        await self.model_may.wait()
        yield Generated(
            summary="s",
            causes=[Point(text="undervoltage", passages=[1])],
            actions=self.actions,
            model="m",
            identity=self.identity,
            passages_used=len(request.passages),
        )

    async def urge(self, request: Urge) -> Urged:
        self.urged.append(request)
        return Urged(known=True)

    async def status(self, service: str, **facts: Any) -> None:
        """Publish the status of a service beside the orchestrator."""
        status = ServiceStatus(
            service=service,
            state="ready",
            reason="",
            memory_mb=1,
            budget_mb=1,
            pid=1,
            version="",
            since="",
            facts=facts,
        )
        topic = STATUS.topic(DEFAULT_PREFIX, service=service)
        await self.plc.publish(topic, STATUS.encode(status), retain=True)

    async def until_known(self, generation: int) -> None:
        """Wait until the orchestrator knows which generation the corpus has."""
        while self.service.others.generation != generation:  # noqa: ASYNC110  a plain number
            await asyncio.sleep(0.001)

    async def fault(self, asset: str, code: str, **more: Any) -> None:
        """Report a fault."""
        await self.plc.publish(f"{asset}/fault", json.dumps({"code": code, **more}).encode())

    async def ask(self, client: str, **more: Any) -> None:
        """Ask a question."""
        await self.plc.publish(f"andon/ask/{client}", json.dumps(more).encode())

    def on(self, topic: str) -> list[Any]:
        """What came on a topic of `andon/`, in order; None where it was taken back."""
        return [json.loads(p) if p else None for t, p in self.got if t == f"andon/{topic}"]

    def retained(self, topic: str) -> Any:
        """What the broker keeps on a topic of `andon/`; None for nothing."""
        kept = self._broker.retained(f"andon/{topic}")
        return json.loads(kept) if kept else None

    def answers(self, place: str) -> list[Any]:
        """The answers that came, in order."""
        return self.on(f"answer/{place}")

    async def until(self, true: Any) -> None:
        """Wait until something is true, looking whenever something was published."""
        async with asyncio.timeout(SOON_S), self.came:
            await self.came.wait_for(true)

    async def final(self, place: str, n: int = 1) -> Any:
        """Wait for the n-th final answer at a place."""

        def finals() -> list[Any]:
            return [a for a in self.answers(place) if a and a["stage"] == "final"]

        await self.until(lambda: len(finals()) >= n)
        return finals()[n - 1]

    async def settled(self) -> None:
        """Wait until everything reported so far is worked off as far as it goes."""
        marker = f"marker{len(self.got)}-{len(self.searches)}"
        await self.fault(f"x/{marker}", "E0")
        await self.until(lambda: self.on(f"answer/x/{marker}"))


@asynccontextmanager
async def floor(folder: Path, **settings: Any) -> AsyncIterator[Floor]:
    """Run an orchestrator for as long as the block lasts.

    Args:
        folder: its data.
        settings: of the orchestrator.
    """
    broker = FakeBroker()
    made = Floor(broker)
    triggers = [{"topic": "plant/+/fault"}, {"topic": "x/+/fault"}]
    config = msgspec.convert(
        {"data": str(folder), "orchestrator": {"triggers": triggers, **settings}}, Config
    )
    async with AsyncExitStack() as stack:
        buses = [
            await stack.enter_async_context(FakeBus(broker, name, reply_topic=f"t/reply/{name}"))
            for name in ("retriever", "llm_bridge", "plc")
        ]
        retriever, bridge, made.plc = buses
        for bus in buses:
            await bus.wait_connected(SOON_S)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        before = asyncio.all_tasks()
        await Server(retriever, DEFAULT_PREFIX, tasks).serve(SEARCH, made.search)
        server = Server(bridge, DEFAULT_PREFIX, tasks)
        await server.serve(GENERATE, made.generate, at_once=1000)
        await server.serve(URGE, made.urge)
        topics = ("andon/answer/#", "andon/alarm/#", "andon/display/#")
        inbox = await made.plc.consume(*topics)

        async def record() -> None:
            while True:
                delivery = await inbox.get()
                made.plc.ack(delivery)
                async with made.came:
                    made.got.append((delivery.topic, delivery.payload))
                    made.came.notify_all()

        serving = [task for task in asyncio.all_tasks() - before if "serve" in task.get_name()]
        recording = tasks.create_task(record())
        made.service = OrchestratorService(config)
        await made.status("llm_bridge", model="m")
        await made.status("retriever", generation=made.generation)
        async with running(broker, made.service, config) as made.context:
            while not made.service.others.model_ready:  # noqa: ASYNC110  a plain flag
                await asyncio.sleep(0.001)
            try:
                yield made
            finally:
                made.model_may.set()
        for task in (*serving, recording):
            task.cancel()
