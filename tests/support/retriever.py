"""The retriever's service on a fake bus, asked as its neighbours ask it."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import ACTIVATE, CORPUS, FORGET, INDEX, SEARCH
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
from services.retriever import service as retriever_service
from services.retriever.embedding import Vectors
from services.retriever.pauses import SWITCH_S
from services.retriever.service import RetrieverService
from services.runtime.config import Config, Embedding, Retriever
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.process import Health
from services.runtime.rpc import Caller
from tests.support.services import running


def _keep_short() -> None:
    """Frozen for good, each of the hundreds of services of a test run would stay, 26 MB."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()


retriever_service.keep_short = _keep_short


class Asker:
    """The other side of the retriever's door."""

    def __init__(self, caller: Caller, health: Health, service: RetrieverService) -> None:
        self._caller = caller
        self._service = service
        self.health = health

    def watch_embedding(self, see: Callable[[Sequence[str]], object]) -> None:
        """Be told of all texts that are embedded from now on."""
        assert self._service._succession is not None
        embedder = self._service._succession.embedder
        assert embedder is not None
        embed = embedder.embed

        def told(texts: Sequence[str]) -> Vectors:
            see(texts)
            return embed(texts)

        embedder.embed = told  # type: ignore[method-assign]

    async def index(self, document: DocumentRef, passages: Sequence[Passage]) -> Indexed:
        batch = IndexPassages(document=document, passages=list(passages))
        reply: Indexed = await self._caller.call(INDEX, batch, deadline_s=60)
        return reply

    async def activate(self, document: DocumentRef, passages: int) -> Indexed:
        request = Activate(doc_id=document.doc_id, revision=document.revision, passages=passages)
        reply: Indexed = await self._caller.call(ACTIVATE, request, deadline_s=60)
        return reply

    async def complete(self, document: DocumentRef, passages: int) -> Indexed:
        """Activate, again and again until it answers and has all its vectors."""
        async with asyncio.timeout(60):
            while True:
                reply = await self.activate(document, passages)
                if reply.answers and reply.vectors == passages:
                    return reply
                await asyncio.sleep(0.01)

    async def add(self, document: DocumentRef, passages: Sequence[Passage]) -> Indexed:
        await self.index(document, passages)
        return await self.complete(document, len(passages))

    async def remove(self, doc_id: str, revision: int = 0) -> Indexed:
        request = RemovePassages(doc_id=doc_id, revision=revision)
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
async def retriever(
    folder: Path, embedding: Embedding | None = None, **settings: Any
) -> AsyncIterator[Asker]:
    """Run the service for as long as the block lasts, then stop it in good order.

    Args:
        folder: for its files.
        embedding: how text becomes vectors; the bundled model by default.
        settings: the other ones of `Retriever`.
    """
    config = Config(
        data=str(folder),
        retriever=Retriever(embedding=embedding or Embedding(threads=1), **settings),
    )
    broker = FakeBroker()
    async with (
        FakeBus(broker, "asker", reply_topic="t/reply/asker") as other,
        running(broker, service := RetrieverService(config), config) as context,
    ):
        yield Asker(Caller(other, DEFAULT_PREFIX), context.health, service)
