"""What the command line says to a running Andon."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from schemas.answers import Answer, Ask
from schemas.channel import Rpc
from schemas.channels import (
    ADD,
    ANSWER,
    ASK,
    ASKED,
    CORPUS,
    DISPLAY,
    DOCUMENT,
    DOCUMENTS,
    EDIT,
    REMOVE,
    REPLY,
    ROLLBACK,
    SEARCH,
    STATUS,
)
from schemas.health import SERVICES, ServiceStatus
from schemas.knowledge import (
    AddDocument,
    AddedDocument,
    DocumentList,
    DocumentState,
    EditDocument,
    EditedDocument,
    ListDocuments,
    RemovedDocument,
    RemoveDocument,
    Rollback,
    RolledBack,
)
from schemas.retrieval import CorpusQuery, CorpusState, Found, Search
from services.runtime.bus import Bus
from services.runtime.config import Config
from services.runtime.connect import as_service, open_bus
from services.runtime.errors import DeadlineExceeded, Rejected, Unavailable
from services.runtime.messages import Inbox
from services.runtime.rpc import Caller

IN_WORK = frozenset({"queued", "reading", "indexing"})
"""States a document does not stay in."""
_STARTS = "`systemctl start andon.target`" if Path("/opt/andon/current").exists() else "`andon up`"
_CONNECT_S = 5.0
_RPC_S = 30.0
_WAKE_S = 30.0
_WAKE_LOOK_S = 0.25
_SETTLE_S = 1.0
"""Limit for the broker to send the next status it retains, where one is missing."""
_QUIET_S = 10.0
"""A document nothing is said about for so long is asked for."""


@asynccontextmanager
async def connected(config: Config) -> AsyncIterator[Bus]:
    """Open a connection of our own to the broker.

    Raises:
        Unavailable: nobody answers at the configured address.
    """
    client_id = f"andon-cli-{os.getpid()}-{secrets.token_hex(3)}"
    bus = open_bus(
        as_service(config.broker, "cli"),
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
                f"is Andon running? {_STARTS} starts it; --config names another broker",
            ) from error
        yield bus


class Client:
    """One person's commands."""

    def __init__(self, bus: Bus, config: Config) -> None:
        self._bus = bus
        self._config = config
        self._prefix = config.prefix
        self._caller = Caller(bus, config.prefix)
        self._expected = (*SERVICES, "metrics") if config.metrics.port else SERVICES

    async def call(self, rpc: Rpc, request: Any, deadline_s: float = _RPC_S) -> Any:
        """Ask a service; the error of one that is away says so to a person."""
        try:
            return await self._caller.call(rpc, request, deadline_s=deadline_s)
        except Unavailable as error:
            if rpc.service == "ingest" and self._config.ingest.idle_exit_s:
                return await self._call_waking(rpc, request, deadline_s)
            raise _not_running(rpc) from error

    async def _call_waking(self, rpc: Rpc, request: Any, deadline_s: float) -> Any:
        """Ask a service that rests: systemd starts it when its file is touched."""
        try:
            self._config.wake_file.touch()
        except OSError as error:
            reason = f"it rests and cannot be woken: {self._config.wake_file}: {error.strerror}"
            raise Unavailable(rpc.verb, reason, "call it as root") from error
        try:
            async with asyncio.timeout(_WAKE_S):
                while True:
                    await asyncio.sleep(_WAKE_LOOK_S)
                    with suppress(Unavailable):
                        return await self._caller.call(rpc, request, deadline_s=deadline_s)
        except TimeoutError:
            raise _not_running(rpc) from None

    def stream(self, rpc: Rpc, request: Any, *, deadline_s: float) -> AsyncGenerator[Any, None]:
        """Ask a service for a streamed reply."""
        return self._caller.stream(rpc, request, deadline_s=deadline_s)

    async def search(self, request: Search) -> Found:
        """Find passages."""
        found: Found = await self.call(SEARCH, request)
        return found

    async def corpus(self) -> CorpusState:
        """Return what the retriever holds."""
        state: CorpusState = await self.call(CORPUS, CorpusQuery())
        return state

    async def documents(self) -> AsyncIterator[DocumentState]:
        """Yield the library, by file name."""
        request = ListDocuments()
        while True:
            listed: DocumentList = await self.call(DOCUMENTS, request)
            for state in listed.documents:
                yield state
            if not listed.next:
                return
            request = ListDocuments(after=listed.next)

    async def document(self, name: str) -> DocumentList:
        """Return a document by id or file name, with its revisions.

        Raises:
            Rejected: there is none of that name.
        """
        return await self.revisions(await self._named("documents", name))

    async def revisions(self, doc_id: str) -> DocumentList:
        """Return the document of an id, with its revisions.

        Raises:
            Rejected: there is none.
        """
        listed: DocumentList = await self.call(DOCUMENTS, ListDocuments(doc_id=doc_id))
        return listed

    async def _named(self, verb: str, name: str) -> str:
        """Return the id of a document by id or file name; folders may be left out."""
        exact, ending = set[str](), set[str]()
        async for state in self.documents():
            if name in {state.doc_id, state.file}:
                exact.add(state.doc_id)
            elif state.file.endswith(f"/{name}"):
                ending.add(state.doc_id)
        matching = exact or ending
        if len(matching) != 1:
            reason = "several documents have that name" if matching else "no such document"
            raise Rejected(f"{verb} {name}", reason, "`andon documents` lists their ids")
        return matching.pop()

    async def remove(self, name: str, *, purge: bool) -> RemovedDocument:
        """Remove a document by id or file name.

        Raises:
            Rejected: there is none, or several, of that name.
        """
        request = RemoveDocument(doc_id=await self._named("remove", name), purge=purge)
        removed: RemovedDocument = await self.call(REMOVE, request)
        return removed

    async def edit(self, name: str, said: dict[str, Any]) -> EditedDocument:
        """Change what is said about a document; raises as `remove`."""
        request = EditDocument(doc_id=await self._named("edit", name), **said)
        edited: EditedDocument = await self.call(EDIT, request)
        return edited

    async def roll_back(self, name: str, to: int) -> RolledBack:
        """Let another revision of a document answer; raises as `remove`."""
        request = Rollback(doc_id=await self._named("rollback", name), to=to)
        done: RolledBack = await self.call(ROLLBACK, request)
        return done

    async def add(self, request: AddDocument) -> AddedDocument:
        """Add a file, by its absolute path."""
        added: AddedDocument = await self.call(ADD, request)
        return added

    async def follow(
        self,
        added: AddedDocument,
        until: Callable[[DocumentState], bool],
        progress: Callable[[DocumentState], None],
    ) -> DocumentState:
        """Return a document's state as soon as it is wanted, or is its last.

        Args:
            added: the document, as `add` returned it.
            until: whether a state is the wanted one.
            progress: told of those before it.

        Raises:
            Rejected: it is removed meanwhile.
        """
        state = added.state
        if state.state not in IN_WORK or until(state):
            return state
        # Only this one's topic, and only now: what is said of the others meanwhile would fill
        # the connection, and its own last word is retained.
        inbox = await self._bus.consume(DOCUMENT.topic(self._prefix, doc_id=added.doc_id), qos=0)
        try:
            while state.state in IN_WORK and not until(state):
                progress(state)
                news = await self._news(inbox, added)
                state = news if news.revision >= added.revision else state
            return state
        finally:
            self._bus.release(inbox)

    async def _news(self, inbox: Inbox, added: AddedDocument) -> DocumentState:
        """Return the next word about a document; where none comes, what the library says."""
        try:
            async with asyncio.timeout(_QUIET_S):
                delivery = await inbox.get()
            if delivery.payload:
                heard: DocumentState = DOCUMENT.decode(delivery.payload)
                return heard
        except TimeoutError:
            pass
        listed: DocumentList = await self.call(DOCUMENTS, ListDocuments(doc_id=added.doc_id))
        if not listed.documents:
            raise Rejected(f"add {added.state.file}", "it was removed before it was complete")
        return listed.documents[0]

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
        # QoS 0, so that the inbox can be released: what stays unacked of many questions would
        # fill the connection. The answer is retained, a reconnect brings it again.
        inbox = await self._bus.consume(topic, shown, qos=0)
        try:
            async with asyncio.timeout(timeout_s):
                await self._bus.publish(ASK.topic(self._prefix, client=client), ASK.encode(ask))
                final: Answer | None = None
                while True:
                    delivery = await inbox.get()
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
            self._bus.release(inbox)
            # Nobody reads these again: take back what the broker retains.
            for channel in (ANSWER, DISPLAY):
                await self._bus.publish(channel.topic(self._prefix, asset=place), b"", retain=True)

    async def status(self) -> dict[str, ServiceStatus | None]:
        """Return the last word of each service, None for one never heard of."""
        known: dict[str, ServiceStatus | None] = dict.fromkeys(self._expected)
        inbox = await self._bus.consume(STATUS.filter(self._prefix))
        try:
            while True:
                async with asyncio.timeout(_SETTLE_S):
                    delivery = await inbox.get()
                self._bus.ack(delivery)
                status: ServiceStatus = STATUS.decode(delivery.payload)
                known[status.service] = status
                if all(known.values()):
                    return known
        except TimeoutError:
            return known


def _not_running(rpc: Rpc) -> Unavailable:
    return Unavailable(
        rpc.verb, f"the {rpc.service} service is not running", "`andon status` shows more"
    )
