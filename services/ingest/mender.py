"""Keeps library and retriever in step: what one of them lost comes back from the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from schemas.channels import CORPUS, FORGET
from schemas.knowledge import DocumentState
from schemas.retrieval import CorpusQuery, CorpusState, RemovePassages
from services.ingest.awaited import Awaited
from services.ingest.differences import Differences, differences, name_of
from services.ingest.library import MIGRATIONS, Library
from services.runtime.errors import Rejected, Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller
from services.runtime.salvage import Plan

log = logging.getLogger(__name__)

EVERY_S = 20.0
"""Seconds between two comparisons: the retriever may lose its file while this service runs."""
_AGAIN_S = 2.0
_RPC_S = 30.0

LIBRARY = Plan(
    migrations=MIGRATIONS,
    recover=True,
    # Without its first revision a document is in no list; one without its document means nothing.
    mend="DELETE FROM revision WHERE doc_id NOT IN (SELECT doc_id FROM document);"
    "DELETE FROM document WHERE doc_id NOT IN (SELECT doc_id FROM revision);",
    consequence="the originals are untouched; documents that are missing from"
    " `andon documents` must be added again",
)
"""For `library.db`."""


class Mender:
    """Compares, and has read again what is missing."""

    def __init__(
        self,
        library: Library,
        caller: Caller,
        health: Health,
        *,
        say: Callable[[DocumentState], None],
        wake: Callable[[], None],
    ) -> None:
        self._library = library
        self._caller = caller
        self._health = health
        self._say = say
        self._wake = wake
        self._awaited = Awaited()
        self._missing = 0

    async def run(self) -> None:
        """Compare at once, and again and again."""
        while True:
            try:
                await self.compare()
            except (Retryable, Rejected) as error:
                log.debug("not compared with the retriever: %s", error)
                await asyncio.sleep(_AGAIN_S)
            else:
                await asyncio.sleep(_AGAIN_S if self._missing else EVERY_S)

    async def compare(self) -> Differences:
        """Compare once, and mend.

        Raises:
            Retryable: the retriever is away, or the library's disk fails.
        """
        # The library first: what it calls ready, the retriever must have.
        own = await self._library.all_answering()
        corpus: CorpusState = await self._caller.call(CORPUS, CorpusQuery(), deadline_s=_RPC_S)
        found = differences(own, corpus.documents)
        for doc_id, revision in (*found.lost, *found.wrong):
            if (doc_id, revision) in found.wrong:
                request = RemovePassages(doc_id=doc_id)
                await self._caller.call(FORGET, request, deadline_s=_RPC_S)
            state = await self._library.read_again(doc_id, revision)
            if state is not None:
                log.warning("%s: the retriever lacks it; it is read again", state.file)
                self._say(state)
                self._awaited.add(doc_id)
                self._wake()
        for held in found.unknown:
            state = await self._library.adopt(held)
            if state is not None:
                log.warning("%s answers and was not in the library", name_of(held.document))
                self._say(state)
        self._missing = self._awaited.count(await self._library.states())
        await self._caller.call(CORPUS, CorpusQuery(missing=self._missing), deadline_s=_RPC_S)
        return found
