"""Documents whose passages another box made, on their way here.

They come through the retriever. Who sends them says so again and again; when that stops, or this
service is started anew, the document is read here as any other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePath

from schemas.knowledge import AddedDocument, DocumentState, Passed, PassedDocument, ReceiveDocument
from services.ingest.labels import Labels
from services.ingest.library import Library
from services.ingest.naming import file_name
from services.ingest.records import Added, Read, Work
from services.runtime.errors import Rejected

_PATIENCE_S = 60.0
"""Seconds without a word after which a document is read here."""
_LOOK_S = 5.0
_Key = tuple[str, int]


class Receiving:
    """What is on its way."""

    def __init__(
        self,
        library: Library,
        take: Callable[[Path, str, object, Read], Awaitable[Added]],
        *,
        say: Callable[[DocumentState], None],
        wake: Callable[[], None],
    ) -> None:
        """Expect none yet.

        Args:
            library: the documents.
            take: copies a file in and enters it.
            say: publishes a state.
            wake: told that a document waits to be read, or to be activated.
        """
        self._library = library
        self._take = take
        self._say = say
        self._wake = wake
        self._heard: dict[_Key, float] = {}
        self._some = asyncio.Event()

    async def receive(self, request: ReceiveDocument) -> tuple[Added, bool]:
        """Take a file; return what became of it, and whether its passages are wanted.

        Raises:
            Rejected, Retryable: as `Clerk.take`.
        """
        path = Path(request.path)
        if not path.is_absolute():
            raise Rejected("receive", f"{request.path} is no absolute path")
        name = file_name(request.name or path.name)
        read = Read(
            title=request.found_title or PurePath(name).stem,
            lang=request.found_lang,
            pages=request.pages,
            passages=request.passages,
        )
        added = await self._take(path, name, request, read)
        key = added.state.doc_id, added.state.revision
        wanted = not added.unchanged or key in self._heard
        if wanted:
            self._heard[key] = time.monotonic()
            self._some.set()
        return added, wanted

    async def passed(self, request: Passed) -> PassedDocument:
        """Take note of passages that came; with the last of them the document is to answer.

        Raises:
            Rejected: nobody waits for them any more.
        """
        key = request.doc_id, request.revision
        state = await self._library.state(request.doc_id)
        if state is None or key not in self._heard:
            raise Rejected(
                "receive",
                f"{request.doc_id}: nobody waits for passages of revision {request.revision}",
                "it is read here instead, unless it was removed",
            )
        self._heard[key] = time.monotonic()
        if request.complete:
            state = await self._go_on(key) or state
        return PassedDocument(state=state)

    async def run(self) -> None:
        """Have documents read here whose passages stay away, for ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_LOOK_S)
            now = time.monotonic()
            for key, heard in list(self._heard.items()):
                if now - heard > _PATIENCE_S:
                    await self._go_on(key)
            if not self._heard:
                self._some.clear()

    async def _go_on(self, key: _Key) -> DocumentState | None:
        """Let the worker take it: it activates what the retriever has, or else reads the file."""
        del self._heard[key]
        work = Work(doc_id=key[0], file="", revision=key[1], sha256="", labels=Labels())
        state = await self._library.update(work, state="queued")
        if state is not None:
            self._say(state)
        self._wake()
        return state


def told(added: Added, state: DocumentState) -> AddedDocument:
    """Return what became of a file, for who sent it."""
    return AddedDocument(
        doc_id=state.doc_id,
        revision=state.revision,
        unchanged=added.unchanged,
        edited=added.edited,
        restored=bool(added.restored),
        state=state,
    )
