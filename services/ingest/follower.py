"""Follows documents whose passages are all in the corpus, until their vectors are too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from schemas.channels import ACTIVATE
from schemas.knowledge import DocumentState
from schemas.retrieval import Activate, Indexed
from services.ingest.library import Library
from services.ingest.records import Work
from services.runtime.clock import now
from services.runtime.errors import Rejected, Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

EVERY_S = 0.5
"""Seconds between two looks."""
_SHARE = 10
"""The looks at all documents take at most one part in so many of the time."""
_RPC_S = 120.0


class Follower:
    """Asks the retriever how far vectors are, and tells; the next document need not wait.

    It asks by `Activate`, so that a newer revision answers from the moment on that it may.
    """

    def __init__(
        self,
        library: Library,
        caller: Caller,
        health: Health,
        *,
        say: Callable[[DocumentState], None],
    ) -> None:
        """Follow none yet.

        Args:
            library: where the end is noted.
            caller: to the retriever.
            health: told when the retriever is away.
            say: told how far each document is.
        """
        self._library = library
        self._caller = caller
        self._health = health
        self._say = say
        self._followed: dict[str, Work] = {}
        self._told: dict[str, DocumentState] = {}
        self._some = asyncio.Event()

    async def follow(self, work: Work, indexed: Indexed) -> None:
        """Follow a revision from here.

        Args:
            work: the revision; takes the place of an older one of the same document.
            indexed: what the retriever says of it.

        Raises:
            Retryable: the library cannot be written.
        """
        self._followed[work.doc_id] = work
        await self._tell(work, indexed)
        self._some.set()

    def leave(self, doc_id: str) -> None:
        """Follow a document no more."""
        self._followed.pop(doc_id, None)
        self._told.pop(doc_id, None)

    def latest(self, state: DocumentState) -> DocumentState:
        """Return a document's state of the library with what is known of its vectors."""
        told = self._told.get(state.doc_id, state)
        if (told.revision, told.state) != (state.revision, state.state):
            return state
        return msgspec.structs.replace(  # what people say of it may have changed since
            state,
            reason=told.reason,
            pages_done=told.pages_done,
            passages_done=told.passages_done,
            searchable=told.searchable,
            vectors_done=told.vectors_done,
            seconds_left=told.seconds_left,
            updated=max(state.updated, told.updated),
        )

    async def run(self, wake: Callable[[], None]) -> None:
        """Look at each again and again; `wake` is called when one has to be read again."""
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            began = loop.time()
            for work in list(self._followed.values()):
                try:
                    await self._look(work, wake)
                except Retryable as error:
                    self._health.trouble("vectors", f"documents wait for the retriever: {error}")
                    break
            else:
                self._health.well("vectors")
            if not self._followed:
                self._some.clear()
            await asyncio.sleep(max(EVERY_S, _SHARE * (loop.time() - began)))

    async def _look(self, work: Work, wake: Callable[[], None]) -> None:
        request = Activate(doc_id=work.doc_id, revision=work.revision, passages=work.passages)
        try:
            indexed = await self._caller.call(ACTIVATE, request, deadline_s=_RPC_S)
        except Rejected as error:
            # It lost some, as when its file was set aside meanwhile.
            if self._followed.get(work.doc_id) is not work:
                return
            log.warning("%s: read again: %s", work.file, error)
            self.leave(work.doc_id)
            state = await self._library.update(work, state="queued")
            if state is not None and state.revision == work.revision:
                self._say(state)
            wake()
        else:
            await self._tell(work, indexed)

    async def _tell(self, work: Work, indexed: Indexed) -> None:
        if self._followed.get(work.doc_id) is not work:
            return  # removed, or a newer revision is further
        if indexed.answers and indexed.vectors >= work.passages:
            state = await self._library.update(work, state="ready")
            self.leave(work.doc_id)
        else:
            told = self._told.get(work.doc_id)
            if indexed.answers and not (
                told and told.searchable and told.revision == work.revision
            ):
                await self._library.searchable(work)
            state = await self._library.state(work.doc_id)
        if state is None:
            self.leave(work.doc_id)
        elif state.revision != work.revision:
            return  # people see the newest revision's state
        elif state.state == "ready":
            self._say(state)
        else:
            waits = f"it waits for its vectors: {indexed.waits_for}" if indexed.waits_for else ""
            told = self._told[work.doc_id] = msgspec.structs.replace(
                state,
                reason="; ".join(part for part in (state.reason, waits) if part),
                pages_done=state.pages or 0,
                passages_done=work.passages,
                searchable=indexed.answers,
                vectors_done=indexed.vectors,
                seconds_left=indexed.seconds_left,
                updated=now(),
            )
            self._say(told)
