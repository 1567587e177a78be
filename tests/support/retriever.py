"""The retriever's service on a fake bus, asked as its neighbours ask it."""

from __future__ import annotations

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
from services.runtime.config import Config, Embedding, Retriever
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.process import Health
from services.runtime.rpc import Caller
from tests.support.services import running


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


@asynccontextmanager
async def retriever(folder: Path, embedding: Embedding | None = None) -> AsyncIterator[Asker]:
    """Run the service for as long as the block lasts, then stop it in good order."""
    config = Config(
        data=str(folder), retriever=Retriever(embedding=embedding or Embedding(threads=1))
    )
    broker = FakeBroker()
    async with (
        FakeBus(broker, "asker", reply_topic="t/reply/asker") as other,
        running(broker, RetrieverService(config), config) as context,
    ):
        yield Asker(Caller(other, DEFAULT_PREFIX), context.health)
