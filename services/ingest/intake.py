"""A document's way from its original into the corpus: read, sent on meanwhile, let answer."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas.channels import ACTIVATE, FORGET, INDEX
from schemas.knowledge import DocumentState
from schemas.retrieval import Activate, DocumentRef, IndexPassages, RemovePassages
from services.ingest import frames, sandbox
from services.ingest.abandon import Abandon, Abandoned
from services.ingest.follower import Follower
from services.ingest.library import Library
from services.ingest.originals import Originals
from services.ingest.partition.effort import NeedsOcr
from services.ingest.readers import Readers
from services.ingest.records import Work
from services.ingest.spool import Spool
from services.runtime.config import Ingest
from services.runtime.errors import AndonError, Rejected, Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

RPC_S = 120.0
"""Seconds the retriever may take over a batch: a slow board, or one that is just starting."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_ATTEMPTS = 2


class Intake:
    """Reads and indexes, one document at a time."""

    def __init__(
        self,
        config: Ingest,
        *,
        library: Library,
        originals: Originals,
        caller: Caller,
        follower: Follower,
        readers: Readers,
        health: Health,
        say: Callable[[DocumentState], None],
    ) -> None:
        """Make it.

        Args:
            config: the service's.
            library: where it is written how far each is.
            originals: the files.
            caller: asks the retriever.
            follower: told of documents whose vectors follow.
            readers: processes that read.
            health: told what is missing.
            say: told how far the document in work is.
        """
        self._config = config
        self._library = library
        self._originals = originals
        self._caller = caller
        self._follower = follower
        self._readers = readers
        self._health = health
        self._say = say
        self.abandon = Abandon()
        """When the document in work is to be left."""

    async def take(self, work: Work, spool: Spool, *, patient: bool) -> None:
        """Read and index a document; what is wrong with it is noted.

        Args:
            work: The revision.
            spool: Takes its passages.
            patient: Whether it is waited for where a reader has no room.

        Raises:
            Abandoned: it is being removed.
            Retryable: the disk is full or failing.
        """
        try:
            if not await self._is_there(work):
                await self._take_in(work, spool)
        except Retryable as error:
            # A folder for temporary files that stays full must not stop all other documents.
            if patient or not isinstance(error, sandbox.NoRoom):
                raise
            await self._failed(work, error, "failed")
        except AndonError as error:
            await self._failed(
                work, error, NeedsOcr.kind if isinstance(error, NeedsOcr) else "failed"
            )

    async def _is_there(self, work: Work) -> bool:
        """Go on with a document that was read before, if the retriever has all of it."""
        if not work.passages:
            return False
        try:
            indexed = await self._call(ACTIVATE, _activation(work))
        except Rejected:
            return False
        await self.update(work, state="indexing", reason=work.note)
        await self._follower.follow(work, indexed)
        return True

    async def _take_in(self, work: Work, spool: Spool) -> None:
        """Read a document and send its passages on meanwhile, then let them answer."""
        base = await self.update(work, state="reading", reason="")
        title: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        sending = asyncio.create_task(self._send(work, spool, title, stop), name="send passages")
        try:
            done = await self._read(work, spool, base, title)
            work = msgspec.structs.replace(work, passages=done.passages)
            document = work.ref(title=done.title, lang=done.lang)
            base = await self.update(
                work,
                state="indexing",
                reason=done.note,
                note=done.note,
                lacks_ocr=int(done.lacks_ocr),
                title=done.title or Path(work.file).stem,
                lang=done.lang,
                pages=done.pages,
                passages=done.passages,
            )
        except asyncio.CancelledError:
            sending.cancel()
            raise
        finally:
            # What is on its way arrives before anything else is said about the document. What
            # failed of it is tried again below.
            stop.set()
            spool.grown.set()
            await asyncio.gather(sending, return_exceptions=True)
        await self._index(work, document, spool, _with(base, pages_done=done.pages or 0))

    async def _read(
        self, work: Work, spool: Spool, base: DocumentState, title: asyncio.Future[str]
    ) -> frames.Done:
        """Read the original in a child process, its passages into the spool."""
        config = self._config
        if not work.sha256:
            raise Rejected(
                f"read {work.file}", "which original it came from is lost", "add the file again"
            )
        job = frames.Job(
            path=str(self._originals.path(work.sha256)),
            name=work.file,
            tokenizer=config.tokenizer,
            chunk_tokens=config.chunk_tokens,
            overlap_tokens=config.overlap_tokens,
            max_pages=config.max_pages,
            ocr_pages=config.ocr_pages,
            ocr_seconds=config.ocr_seconds,
        )
        began = time.monotonic()

        def progress(done: int, total: int | None) -> None:
            left = None
            if total and done:
                left = round((time.monotonic() - began) * (total - done) / done, 1)
            self._say(
                _with(
                    base,
                    pages=total,
                    pages_done=done,
                    passages=spool.passages,
                    seconds_left=left,
                )
            )

        def begun(text: str) -> None:
            if not title.done():
                title.set_result(text)
            spool.grown.set()

        limits = sandbox.Limits(config.reader_memory_mb, float(config.reader_seconds))
        reading = sandbox.read(
            self._readers, job, limits, progress=progress, batch=spool.add, begun=begun
        )
        return await self.abandon.unless_said(reading)

    async def _send(
        self, work: Work, spool: Spool, title: asyncio.Future[str], stop: asyncio.Event
    ) -> None:
        """Send batches as they come, until `stop`.

        Their language is known only in the end: what is said of the document is sent once more.
        """
        while not stop.is_set():
            await spool.grown.wait()
            spool.grown.clear()
            for batch in spool.unsent():
                if stop.is_set():
                    break
                document = work.ref(title=title.result(), lang="")
                await self._call(INDEX, IndexPassages(document=document, passages=batch), stop)

    async def _index(
        self, work: Work, document: DocumentRef, spool: Spool, base: DocumentState
    ) -> None:
        """Send what is left of the passages to the retriever, and let all answer."""
        for attempt in range(1, _ATTEMPTS + 1):
            for batch in spool.unsent():
                self._say(_with(base, passages_done=batch[0].ordinal))
                await self._call(INDEX, IndexPassages(document=document, passages=batch))
            await self._call(INDEX, IndexPassages(document=document, passages=[]))
            try:
                indexed = await self._call(ACTIVATE, _activation(work))
                break
            except Rejected as error:
                # It lost some, as when its file was set aside meanwhile: once more from the start.
                if attempt == _ATTEMPTS:
                    raise
                log.warning("%s: sent again: %s", work.file, error)
                spool.sent = 0
        await self._follower.follow(work, indexed)

    async def _call(self, rpc: Any, request: Any, stop: asyncio.Event | None = None) -> Any:
        """Ask the retriever until it answers; it may get the same request twice.

        Raises:
            Rejected: it refuses.
            Retryable: it does not answer, and `stop` is set.
            Abandoned: the document is being removed.
        """
        pause = _FIRST_PAUSE_S
        while True:
            self.abandon.check()
            try:
                reply = await self._caller.call(rpc, request, deadline_s=RPC_S)
            except Retryable as error:
                self._health.trouble("retriever", f"documents wait for the retriever: {error}")
                if stop is not None and stop.is_set():
                    raise
                await self.abandon.pause(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self._health.well("retriever")
                return reply

    async def _failed(self, work: Work, error: AndonError, state: str) -> None:
        """Note that a document cannot be read, and why; the retriever forgets what it has of it.

        Raises:
            Abandoned: it is being removed.
            Retryable: the library cannot be written.
        """
        log.warning("%s revision %d: %s", work.file, work.revision, error)
        # Also where nothing was sent: an earlier run that was killed may have.
        await self._call(FORGET, RemovePassages(doc_id=work.doc_id, revision=work.revision))
        reason = f"{error.reason} ({error.hint})" if error.hint else error.reason
        older = await self._library.answering(work.doc_id)
        if older is not None:
            reason += f"; revision {older} still answers"
        await self.update(work, state=state, reason=reason)

    async def update(self, work: Work, **columns: str | int | None) -> DocumentState:
        """Write and publish a state.

        Raises:
            Abandoned: the document is gone.
            Retryable: the library cannot be written.
        """
        state = await self._library.update(work, **columns)
        self._health.well("library")
        if state is None:
            raise Abandoned
        if state.revision == work.revision:
            self._say(state)
            return state
        # A newer revision came in meanwhile; what people see is that one's state.
        return _with(state, revision=work.revision)


def _activation(work: Work) -> Activate:
    return Activate(doc_id=work.doc_id, revision=work.revision, passages=work.passages)


def _with(state: DocumentState, **changes: Any) -> DocumentState:
    return msgspec.structs.replace(state, **changes)
