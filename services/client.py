"""What the command line says to a running Andon."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.answers import Answer, Ask
from schemas.channels import (
    ADD,
    ANSWER,
    ASK,
    ASKED,
    DISPLAY,
    DOCUMENT,
    DOCUMENTS,
    REMOVE,
    REPLY,
    SEARCH,
    STATUS,
    Rpc,
)
from schemas.health import SERVICES, ServiceStatus
from schemas.knowledge import (
    AddDocument,
    AddedDocument,
    DocumentState,
    ListDocuments,
    RemovedDocument,
    RemoveDocument,
)
from schemas.retrieval import Found, Search
from services.runtime.bus import Bus
from services.runtime.config import Config
from services.runtime.connect import open_bus
from services.runtime.errors import DeadlineExceeded, Rejected, Unavailable
from services.runtime.messages import Inbox
from services.runtime.rpc import Caller

_CONNECT_S = 5.0
_RPC_S = 30.0
_SETTLE_S = 0.3


@asynccontextmanager
async def connected(config: Config) -> AsyncIterator[Bus]:
    """Open a connection of our own to the broker.

    Raises:
        Unavailable: nobody answers at the configured address.
    """
    client_id = f"andon-cli-{os.getpid()}-{secrets.token_hex(3)}"
    bus = open_bus(
        config.broker,
        client_id=client_id,
        reply_topic=REPLY.topic(config.prefix, client_id=client_id),
        keep_session=False,
    )
    async with bus:
        try:
            await bus.wait_connected(_CONNECT_S)
        except Unavailable as error:
            raise Unavailable(
                f"connect to {config.broker.url}",
                error.reason,
                "is Andon running? `andon up` starts it; --config names another broker",
            ) from error
        yield bus


class Client:
    """One person's commands."""

    def __init__(self, bus: Bus, config: Config) -> None:
        self._bus = bus
        self._prefix = config.prefix
        self._caller = Caller(bus, config.prefix)
        self._documents: Inbox | None = None

    async def _call(self, rpc: Rpc, request: Any, deadline_s: float = _RPC_S) -> Any:
        try:
            return await self._caller.call(rpc, request, deadline_s=deadline_s)
        except Unavailable as error:
            raise Unavailable(
                rpc.verb, f"the {rpc.service} service is not running", "`andon status` shows more"
            ) from error

    async def search(self, request: Search) -> Found:
        """Find passages."""
        found: Found = await self._call(SEARCH, request)
        return found

    async def documents(self) -> list[DocumentState]:
        """Return the library."""
        listed = await self._call(DOCUMENTS, ListDocuments())
        return list(listed.documents)

    async def remove(self, name: str, *, purge: bool) -> RemovedDocument:
        """Remove a document by id or file name.

        Raises:
            Rejected: there is none, or several, of that name.
        """
        matching = [d for d in await self.documents() if name in {d.doc_id, d.file}]
        if len(matching) != 1:
            reason = "several documents have that name" if matching else "no such document"
            raise Rejected(f"remove {name}", reason, "`andon documents` lists their ids")
        request = RemoveDocument(doc_id=matching[0].doc_id, purge=purge)
        removed: RemovedDocument = await self._call(REMOVE, request)
        return removed

    async def add(
        self,
        path: Path,
        *,
        name: str,
        title: str,
        assets: list[str],
        wait: bool,
        progress: Callable[[DocumentState], None],
    ) -> tuple[DocumentState, bool]:
        """Add a file, by its absolute path, and follow it until it answers or failed.

        `name` is the one it is kept under.

        Returns:
            Its last state, and whether it was there already.
        """
        if self._documents is None:
            self._documents = await self._bus.consume(DOCUMENT.filter(self._prefix))
        request = AddDocument(path=str(path), name=name, title=title, assets=assets)
        added: AddedDocument = await self._call(ADD, request)
        state = added.state
        while wait and state.state not in {"ready", "needs-ocr", "failed", "removed"}:
            progress(state)
            delivery = await self._documents.get()
            self._bus.ack(delivery)
            if DOCUMENT.parameters(delivery.topic, self._prefix) == {"doc_id": added.doc_id}:
                newer = DOCUMENT.decode(delivery.payload) if delivery.payload else state
                state = newer if newer.revision >= added.revision else state
        return state, added.unchanged

    async def ask(self, ask: Ask, *, timeout_s: float, early: Callable[[Answer], None]) -> Answer:
        """Ask as any scanner does, and wait for the final answer.

        Args:
            ask: the question.
            timeout_s: how long to wait.
            early: told of the answer from the passages, which comes first.

        Raises:
            DeadlineExceeded: no final answer in time.
        """
        client = f"cli-{secrets.token_hex(4)}"
        place = ASKED + client
        topic = ANSWER.topic(self._prefix, asset=place)
        shown = DISPLAY.topic(self._prefix, asset=place)
        inbox = await self._bus.consume(topic, shown)
        try:
            async with asyncio.timeout(timeout_s):
                await self._bus.publish(ASK.topic(self._prefix, client=client), ASK.encode(ask))
                final: Answer | None = None
                while True:
                    delivery = await inbox.get()
                    self._bus.ack(delivery)
                    if delivery.topic == topic:
                        answer: Answer = ANSWER.decode(delivery.payload)
                        if answer.stage == "final":
                            final = answer
                        else:
                            early(answer)
                    elif final:
                        return final  # its display came too: nothing is left to be taken back
        except TimeoutError:
            raise DeadlineExceeded(
                "ask", f"no answer within {timeout_s:g} s", "`andon status` shows what is missing"
            ) from None
        finally:
            # Nobody reads these again: take back what the broker retains.
            for channel in (ANSWER, DISPLAY):
                await self._bus.publish(channel.topic(self._prefix, asset=place), b"", retain=True)

    async def status(self) -> dict[str, ServiceStatus | None]:
        """Return the last word of each service, None for one never heard of."""
        known: dict[str, ServiceStatus | None] = dict.fromkeys(SERVICES)
        inbox = await self._bus.consume(STATUS.filter(self._prefix))
        try:
            while True:
                async with asyncio.timeout(_SETTLE_S):
                    delivery = await inbox.get()
                self._bus.ack(delivery)
                status: ServiceStatus = STATUS.decode(delivery.payload)
                known[status.service] = status
        except TimeoutError:
            return known
