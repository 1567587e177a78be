"""Keeps library and retriever in step: what one of them lost comes back from the other.

Everything that changes what answers goes this way: the library is told what is wanted, and the
difference is mended, at once if the retriever is there, else when it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from schemas.channel import Rpc
from schemas.channels import ACTIVATE, CORPUS, DESCRIBE, FORGET, PRUNE
from schemas.knowledge import DocumentState
from schemas.paging import PAGE
from schemas.retrieval import (
    Activate,
    CorpusDocument,
    CorpusQuery,
    CorpusState,
    Describe,
    Indexed,
    Prune,
    RemovePassages,
)
from services.ingest.awaited import Awaited
from services.ingest.differences import Differences, Own, Shelved, differences, name_of
from services.ingest.labels import Labels
from services.ingest.library import MIGRATIONS, Library
from services.ingest.records import Work
from services.ingest.revisions import Revisions
from services.runtime.errors import Rejected, Retryable
from services.runtime.rpc import Caller
from services.runtime.salvage import Plan

log = logging.getLogger(__name__)

EVERY_S = 20.0
"""Seconds between two comparisons: the retriever may lose its file while this service runs."""
_SHARE = 10
"""Comparing all documents takes at most one part in so many of the time."""
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
    """Compares, and mends what differs."""

    def __init__(
        self,
        revisions: Revisions,
        library: Library,
        caller: Caller,
        *,
        keep: int,
        say: Callable[[DocumentState], None],
        wake: Callable[[], None],
        drop: Callable[[Sequence[Own]], Awaitable[None]],
        follow: Callable[[Work, Indexed], Awaitable[None]],
        has: Callable[[str], bool],
    ) -> None:
        """Make it.

        Args:
            revisions: what should answer.
            library: the documents.
            caller: asks the retriever.
            keep: how many revisions stay besides the one that answers.
            say: publishes a state.
            wake: told that a document waits to be read.
            drop: deletes revisions of the library with their originals.
            follow: told of one that answers only when it has all its vectors.
            has: whether the original of a hash is there; blocks.
        """
        self._revisions = revisions
        self._library = library
        self._caller = caller
        self._keep = keep
        self._say = say
        self._wake = wake
        self._drop = drop
        self._follow = follow
        self._has = has
        self._mending = asyncio.Lock()
        self._news: set[str] = set()
        self._soon = asyncio.Event()
        self._awaited = Awaited()
        self._missing = 0

    async def run(self) -> None:
        """Compare at once, and again and again; a document of which there is news meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.compare()
                # All of a large library take seconds.
                pause = max(_AGAIN_S if self._missing else EVERY_S, _SHARE * (loop.time() - began))
                await self._follow_news(loop.time() + pause)
            except (Retryable, Rejected) as error:
                log.debug("not compared with the retriever: %s", error)
                await asyncio.sleep(_AGAIN_S)

    async def _follow_news(self, until: float) -> None:
        """Compare each document of which there is news, until that time of the loop."""
        while True:
            try:
                async with asyncio.timeout_at(until):
                    await self._soon.wait()
            except TimeoutError:
                return
            self._soon.clear()
            while self._news:
                await self.compare(self._news.pop())
            await self._tell()

    def soon(self, doc_id: str) -> None:
        """Compare a document soon: something changed."""
        self._news.add(doc_id)
        self._soon.set()

    def tell_soon(self) -> None:
        """Tell the retriever soon how many documents are being read."""
        self._soon.set()

    async def compare(self, doc_id: str = "") -> None:
        """Compare once, all documents or one, and mend.

        Raises:
            Retryable: the retriever is away, or the library's disk fails.
            Rejected: the retriever refuses.
        """
        if doc_id:
            async with self._mending:
                shelf = await self._revisions.shelf(doc_id)
                query = CorpusQuery(doc_id=doc_id, totals=False)
                corpus: CorpusState = await self._ask(CORPUS, query)
                await self._settle(shelf, corpus.documents)
            return
        last: str | None = ""
        while last is not None:
            last = await self._compare_after(last)
        await self._tell()

    async def _tell(self) -> None:
        """Tell the retriever what it has not got yet. Raises as `compare`."""
        in_work = await self._library.in_work()
        self._missing = self._awaited.count(in_work)
        query = CorpusQuery(missing=self._missing, reading=len(in_work), totals=False, limit=1)
        await self._ask(CORPUS, query)

    async def _compare_after(self, last: str) -> str | None:
        """Compare the documents whose ids come next; return the last of them, None at the end.

        Both sides are read in the order of ids and compared as far as both were: neither is ever
        in memory as a whole, and an edit need not wait until all are compared.
        """
        async with self._mending:
            # The library first: what it calls ready, the retriever must have.
            shelf = await self._revisions.shelf_after(last, PAGE)
            query = CorpusQuery(after=last, limit=PAGE, totals=False)
            corpus: CorpusState = await self._ask(CORPUS, query)
            ends = [corpus.next] if corpus.next else []
            if len(shelf) == PAGE:
                ends.append(shelf[-1].doc_id)
            upto = min(ends, default=None)
            await self._settle(
                [one for one in shelf if upto is None or one.doc_id <= upto],
                [one for one in corpus.documents if upto is None or one.document.doc_id <= upto],
            )
            return upto

    async def _settle(self, shelf: Sequence[Shelved], corpus: Sequence[CorpusDocument]) -> None:
        """Mend where library and retriever differ about some documents."""
        found = differences(shelf, corpus, self._keep)
        found = await self._make_do(found, corpus)
        await self._mend(found)
        await self._tidy(shelf)

    async def _make_do(self, found: Differences, corpus: Sequence[CorpusDocument]) -> Differences:
        """Keep what answers with other passages where it cannot be read again, and tell it."""
        counts = {(c.document.doc_id, c.document.revision): c.passages for c in corpus}
        readable = []
        for own in found.wrong:
            if await asyncio.to_thread(self._has, own.sha256):
                readable.append(own)
                continue
            count = counts[own.ref.doc_id, own.number]
            log.warning("%s: %d of %d passages", name_of(own.ref), count, own.passages)
            state = await self._revisions.make_do(own, count)
            if state is not None:
                self._say(state)
        return replace(found, wrong=tuple(readable))

    async def _mend(self, found: Differences) -> None:
        for own in found.switch:
            await self._switch(own)
        for ref in found.describe:
            await self._ask(DESCRIBE, Describe(document=ref))
        for own, held in found.held:
            await self._revisions.set_held(own, held=held)
        for own in found.wrong:
            await self._ask(FORGET, RemovePassages(doc_id=own.ref.doc_id, revision=own.number))
        for doc_id, stay in found.prune:
            await self._ask(PRUNE, Prune(doc_id=doc_id, keep=list(stay)))
        for own in (*found.lost, *found.wrong):
            state = await self._revisions.read_again(own.ref.doc_id, own.number)
            if state is not None:
                log.warning("%s: the retriever lacks it; it is read again", state.file)
                self._say(state)
                self._awaited.add(own.ref.doc_id)
                self._wake()
        await self._learn(found)

    async def _switch(self, own: Own) -> None:
        """Let a revision answer again, at once or when it has all its vectors."""
        request = Activate(doc_id=own.ref.doc_id, revision=own.number, passages=own.passages)
        indexed: Indexed = await self._ask(ACTIVATE, request)
        if indexed.answers:
            log.info("%s answers again", name_of(own.ref))
            return
        work = Work(
            doc_id=own.ref.doc_id,
            file=own.ref.file,
            revision=own.number,
            sha256=own.sha256,
            labels=Labels(),
            passages=own.passages,
        )
        if await self._library.update(work, state="indexing"):
            await self._follow(work, indexed)

    async def _learn(self, found: Differences) -> None:
        """Take what the library does not know from the retriever, or have it forgotten there."""
        for one in found.unknown:
            state = await self._revisions.adopt(one)
            if state is not None:
                log.warning("%s answers and was not in the library", name_of(one.document))
                self._say(state)
                continue
            other = await self._revisions.named(one.document.file)
            if other not in (None, one.document.doc_id):
                # It was renamed, the library was lost, and the file was added anew since.
                log.warning("%s is there twice: one is forgotten", name_of(one.document))
                await self._ask(FORGET, RemovePassages(doc_id=one.document.doc_id))
        for doc_id in found.leftover:
            if not await self._revisions.knows(doc_id):
                await self._ask(FORGET, RemovePassages(doc_id=doc_id))

    async def _tidy(self, shelf: Sequence[Shelved]) -> None:
        """Delete revisions nobody needs, once the retriever has forgotten them."""
        for document in shelf:
            if document.removing or not (spent := document.spent(self._keep)):
                continue
            stay = {own.number for own in document.revisions} - {own.number for own in spent}
            await self._ask(PRUNE, Prune(doc_id=document.doc_id, keep=sorted(stay)))
            await self._drop(spent)
            state = await self._library.state(document.doc_id)
            if state is not None:
                self._say(state)

    async def _ask(self, rpc: Rpc, request: Any) -> Any:
        return await self._caller.call(rpc, request, deadline_s=_RPC_S)
