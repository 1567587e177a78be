"""Ingest with the real retriever behind it on a fake broker, and a person at the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import ADD, CORPUS, DOCUMENT, DOCUMENTS, EDIT, REMOVE, ROLLBACK, SEARCH
from schemas.knowledge import (
    AddDocument,
    AddedDocument,
    DocumentState,
    EditDocument,
    EditedDocument,
    ListDocuments,
    RemovedDocument,
    RemoveDocument,
    Revision,
    Rollback,
    RolledBack,
)
from schemas.retrieval import CorpusQuery, CorpusState, Found, Search
from services.ingest.service import IngestService
from services.runtime.bus import Bus
from services.runtime.config import Config, Embedding, Retriever
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.messages import Inbox
from services.runtime.process import Context
from services.runtime.rpc import Caller
from tests.support.ingest import Drawn
from tests.support.retriever import RetrieverService
from tests.support.services import running

SOON_S = 60.0
LIMIT_S = 60.0
AGAIN_S = 0.1
"""Seconds between two tries of what failed for want of disk or retriever."""


class Plant:
    """Ingest, retriever, and a person at the bus; each may come and go."""

    def __init__(self, folder: Path, bus: Bus, broker: FakeBroker, documents: Inbox) -> None:
        self.folder = folder
        self.config = Config(data=str(folder), retriever=Retriever(embedding=Embedding(threads=1)))
        self._broker = broker
        self._bus = bus
        self._caller = Caller(bus, DEFAULT_PREFIX)
        self._documents = documents

    @asynccontextmanager
    async def ingest(self) -> AsyncIterator[Context]:
        async with running(
            self._broker, IngestService(self.config, again_s=AGAIN_S), self.config
        ) as context:
            yield context

    @asynccontextmanager
    async def retriever(self) -> AsyncIterator[Context]:
        async with running(self._broker, RetrieverService(self.config), self.config) as context:
            yield context

    async def add(self, path: Path, **options: object) -> AddedDocument:
        request = AddDocument(path=str(path), **options)  # type: ignore[arg-type]
        reply: AddedDocument = await self._caller.call(ADD, request, deadline_s=LIMIT_S)
        return reply

    async def remove(self, doc_id: str, *, purge: bool = False) -> RemovedDocument:
        request = RemoveDocument(doc_id=doc_id, purge=purge)
        reply: RemovedDocument = await self._caller.call(REMOVE, request, deadline_s=LIMIT_S)
        return reply

    async def edit(self, doc_id: str, **said: object) -> EditedDocument:
        request = EditDocument(doc_id=doc_id, **said)  # type: ignore[arg-type]
        reply: EditedDocument = await self._caller.call(EDIT, request, deadline_s=LIMIT_S)
        return reply

    async def roll_back(self, doc_id: str, to: int = 0) -> RolledBack:
        request = Rollback(doc_id=doc_id, to=to)
        reply: RolledBack = await self._caller.call(ROLLBACK, request, deadline_s=LIMIT_S)
        return reply

    async def revisions(self, doc_id: str) -> list[Revision]:
        request = ListDocuments(doc_id=doc_id)
        reply = await self._caller.call(DOCUMENTS, request, deadline_s=LIMIT_S)
        return list(reply.revisions)

    async def documents(self) -> list[DocumentState]:
        pages = self._caller.pages(DOCUMENTS, ListDocuments(), deadline_s=LIMIT_S)
        return [state async for page in pages for state in page.documents]

    async def corpus(self) -> CorpusState:
        reply: CorpusState = await self._caller.call(CORPUS, CorpusQuery(), deadline_s=LIMIT_S)
        return reply

    async def search(self, question: str, **limits: object) -> Found:
        request = Search(question=question, **limits)  # type: ignore[arg-type]
        reply: Found = await self._caller.call(SEARCH, request, deadline_s=LIMIT_S)
        return reply

    async def forget(self) -> None:
        """Let the broker restart without what it retained."""
        self._broker.stop()
        self._broker.start()

    async def late(self) -> DocumentState:
        """What somebody who comes now is told of a document."""
        async with (
            asyncio.timeout(SOON_S),
            FakeBus(self._broker, "late", reply_topic="t/reply/late", session_expiry_s=0) as bus,
        ):
            delivery = await (await bus.consume(DOCUMENT.filter())).get()
        state: DocumentState = DOCUMENT.decode(delivery.payload)
        return state

    async def news(self) -> DocumentState | None:
        """The next message about a document; None for an empty one."""
        async with asyncio.timeout(SOON_S):
            delivery = await self._documents.get()
        self._bus.ack(delivery)
        return DOCUMENT.decode(delivery.payload) if delivery.payload else None

    async def until(self, *phases: str, revision: int = 1) -> tuple[DocumentState, list[str]]:
        """Follow the news until a phase; return its message and the phases on the way."""
        seen: list[str] = []
        while True:
            state = await self.news()
            if state is None or state.revision != revision:
                continue
            if not seen or seen[-1] != state.state:
                seen.append(state.state)
            if state.state in phases:
                return state, seen


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Plant]:
    """A plant with its data in a folder, and nothing running yet."""
    broker = FakeBroker()
    async with FakeBus(broker, "person", reply_topic="t/reply/person") as bus:
        documents = await bus.consume(DOCUMENT.filter(DEFAULT_PREFIX))
        yield Plant(folder, bus, broker, documents)


def manual(folder: Path, cause: str = "mains too low", name: str = "m.pdf") -> Path:
    folder.mkdir(exist_ok=True)
    drawn = Drawn(folder / name)
    drawn.line("Fault codes", size=16, bold=True)
    drawn.table(
        [["Code", "Cause", "Remedy"], ["E005", cause, "check the supply"]], [72, 130, 330, 520], 20
    )
    return drawn.save()
