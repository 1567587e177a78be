"""The retriever's service on a fake bus, asked as its neighbours ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.channels import ACTIVATE, CORPUS, DEFAULT_PREFIX, FORGET, INDEX, SEARCH
from schemas.retrieval import (
    Activate,
    CorpusQuery,
    CorpusState,
    DocumentRef,
    Found,
    Indexed,
    IndexPassages,
    Passage,
    RemovePassages,
    Search,
)
from services.retriever.service import RetrieverService
from services.runtime.bus import Bus
from services.runtime.config import Config, Embedding, Retriever
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.process import Context, Health
from services.runtime.rpc import Caller, Server


class Asker:
    """The other side of the retriever's door."""

    def __init__(self, caller: Caller, health: Health) -> None:
        self._caller = caller
        self.health = health

    async def index(self, document: DocumentRef, passages: Sequence[Passage]) -> Indexed:
        batch = IndexPassages(document=document, passages=list(passages))
        reply: Indexed = await self._caller.call(INDEX, batch, deadline_s=60)
        return reply

    async def activate(self, document: DocumentRef, passages: int) -> Indexed:
        request = Activate(doc_id=document.doc_id, revision=document.revision, passages=passages)
        reply: Indexed = await self._caller.call(ACTIVATE, request, deadline_s=60)
        return reply

    async def add(self, document: DocumentRef, passages: Sequence[Passage]) -> Indexed:
        await self.index(document, passages)
        return await self.activate(document, len(passages))

    async def remove(self, doc_id: str) -> Indexed:
        request = RemovePassages(doc_id=doc_id)
        reply: Indexed = await self._caller.call(FORGET, request, deadline_s=60)
        return reply

    async def search(self, question: str, **options: object) -> Found:
        search = Search(question=question, **options)  # type: ignore[arg-type]
        reply: Found = await self._caller.call(SEARCH, search, deadline_s=60)
        return reply

    async def corpus(self) -> CorpusState:
        reply: CorpusState = await self._caller.call(CORPUS, CorpusQuery(), deadline_s=60)
        return reply


class _Over(Exception):
    pass


@asynccontextmanager
async def retriever(folder: Path, embedding: Embedding | None = None) -> AsyncIterator[Asker]:
    """Run the service for as long as the block lasts, then stop it in good order."""
    config = Config(
        data=str(folder), retriever=Retriever(embedding=embedding or Embedding(threads=1))
    )
    broker = FakeBroker()
    started: asyncio.Future[Context] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    async with (
        FakeBus(broker, "retriever", reply_topic="t/reply/retriever") as own,
        FakeBus(broker, "asker", reply_topic="t/reply/asker") as other,
    ):
        running = asyncio.create_task(_run(config, own, started, over), name="retriever")
        # A start that fails ends the task, and its error is the test's.
        await asyncio.wait([running, started], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        try:
            yield Asker(Caller(other, DEFAULT_PREFIX), started.result().health)
        finally:
            over.set()
            await running


async def _run(
    config: Config, bus: Bus, started: asyncio.Future[Context], over: asyncio.Event
) -> None:
    """Start the service, wait, stop it: in the order of `services.runtime.process`."""
    service = RetrieverService(config)
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
            await context.server.drain()
            await service.drain()
            raise _Over  # noqa: TRY301  the way out of a TaskGroup
    except* _Over:
        pass
    finally:
        await service.close()
