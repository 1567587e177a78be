"""Takes the documents that wait, one at a time: read, index, activate."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas.channels import ACTIVATE, INDEX
from schemas.knowledge import DocumentState
from schemas.retrieval import Activate, DocumentRef, IndexPassages
from services.ingest import frames, sandbox
from services.ingest.library import Library, Work
from services.ingest.originals import Originals
from services.ingest.partition.effort import NeedsOcr
from services.ingest.spool import Spool
from services.runtime.config import Ingest
from services.runtime.errors import AndonError, Rejected, Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

RPC_S = 120.0
"""Seconds the retriever may take over a batch: a slow board embeds some ten passages a second."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_ATTEMPTS = 2


class Abandoned(Exception):
    """The document in work is being removed."""


class Worker:
    """Reads and indexes."""

    def __init__(
        self,
        config: Ingest,
        *,
        library: Library,
        originals: Originals,
        spool: Path,
        caller: Caller,
        health: Health,
        say: Callable[[DocumentState], None],
        again_s: float,
    ) -> None:
        """Make it; `again_s` is how many seconds it waits for room on the disk between tries."""
        self._config = config
        self._library = library
        self._originals = originals
        self._spool = spool
        self._caller = caller
        self._health = health
        self._say = say
        self._again_s = again_s
        self._wake = asyncio.Event()
        self._wake.set()
        self._doc_id = ""
        self._abandon = asyncio.Event()
        self._resting = asyncio.Event()
        self._resting.set()

    def wake(self) -> None:
        """Tell that a document waits."""
        self._wake.set()

    async def abandon(self, doc_id: str) -> None:
        """Stop work on a document, and return when nothing of it is on its way any more."""
        if self._doc_id == doc_id:
            self._abandon.set()
            await self._resting.wait()

    async def run(self) -> None:
        """Take one document after the other, forever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while work := await self._next():
                self._doc_id = work.doc_id
                self._abandon.clear()
                self._resting.clear()
                try:
                    await self._finish(work)
                except Abandoned:
                    log.info("%s: removed while in work", work.file)
                finally:
                    self._health.well("disk")
                    self._doc_id = ""
                    self._resting.set()

    async def _next(self) -> Work | None:
        """Return the document to take, None when none waits."""
        while True:
            try:
                work = await self._library.next()
            except Retryable as error:
                self._health.trouble("library", str(error))
                await asyncio.sleep(self._again_s)
            else:
                self._health.well("library")
                return work

    async def _finish(self, work: Work) -> None:
        """Take one document to its end, as often as the disk makes that necessary.

        Raises:
            Abandoned: it is being removed.
        """
        room = 0
        while True:
            try:
                # What was spooled when there was no room left must fit before it is read again.
                with Spool(self._spool, room) as spool:
                    try:
                        await self._one(work, spool)
                    finally:
                        room = max(room, spool.bytes)
            except Retryable as error:
                await self._wait(work, error)
            else:
                return

    async def _wait(self, work: Work, error: Retryable) -> None:
        """Tell what is missing, and wait a while.

        Raises:
            Abandoned: the document is being removed.
        """
        self._health.trouble("disk", str(error))
        try:
            await self._update(work, state="queued", reason=str(error))
        except Retryable as also:
            # Its disk may be the full one: the service's state tells, the document's cannot.
            self._health.trouble("library", str(also))
        await self._pause(self._again_s)

    async def _pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Abandoned: the document in work is being removed.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._abandon.wait()
        except TimeoutError:
            return
        raise Abandoned

    async def _one(self, work: Work, spool: Spool) -> None:
        """Read and index a document; what is wrong with it is noted.

        Raises:
            Abandoned: it is being removed.
            Retryable: the disk is full or failing.
        """
        try:
            done = await self._read(work, spool)
            await self._index(work, done, spool)
        except Retryable:
            raise
        except AndonError as error:
            log.warning("%s revision %d: %s", work.file, work.revision, error)
            reason = f"{error.reason} ({error.hint})" if error.hint else error.reason
            older = await self._library.answering(work.doc_id)
            if older is not None:
                reason += f"; revision {older} still answers"
            state = NeedsOcr.kind if isinstance(error, NeedsOcr) else "failed"
            await self._update(work, state=state, reason=reason)

    async def _read(self, work: Work, spool: Spool) -> frames.Done:
        """Read the original in a child process, its passages into the spool."""
        config = self._config
        base = await self._update(work, state="reading", reason="")
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

        def progress(done: int, total: int | None) -> None:
            self._say(_with(base, pages=total, pages_done=done, passages=spool.passages))

        limits = sandbox.Limits(config.reader_memory_mb, float(config.reader_seconds))
        reading = sandbox.read(job, limits, progress=progress, batch=spool.add)
        return await self._unless_abandoned(reading)

    async def _index(self, work: Work, done: frames.Done, spool: Spool) -> None:
        """Send the passages to the retriever, and let them answer."""
        title = work.title or done.title or Path(work.file).stem
        base = await self._update(
            work,
            state="indexing",
            title=title,
            lang=done.lang,
            pages=done.pages,
            passages=done.passages,
        )
        base = _with(base, pages_done=done.pages or 0)
        document = DocumentRef(
            doc_id=work.doc_id,
            revision=work.revision,
            title=title,
            file=work.file,
            lang=done.lang,
            assets=work.assets,
        )
        activate = Activate(doc_id=work.doc_id, revision=work.revision, passages=done.passages)
        for attempt in range(1, _ATTEMPTS + 1):
            sent = 0
            for batch in spool.batches():
                await self._call(INDEX, IndexPassages(document=document, passages=batch))
                sent += len(batch)
                self._say(_with(base, passages_done=sent))
            try:
                await self._call(ACTIVATE, activate)
                break
            except Rejected as error:
                # It lost some, as when its file was set aside meanwhile: once more from the start.
                if attempt == _ATTEMPTS:
                    raise
                log.warning("%s: sent again: %s", work.file, error)
        await self._update(work, state="ready", reason=done.note)

    async def _call(self, rpc: Any, request: Any) -> Any:
        """Ask the retriever until it answers; it may get the same request twice.

        Raises:
            Rejected: it refuses.
            Abandoned: the document is being removed.
        """
        pause = _FIRST_PAUSE_S
        while True:
            if self._abandon.is_set():
                raise Abandoned
            try:
                reply = await self._caller.call(rpc, request, deadline_s=RPC_S)
            except Retryable as error:
                self._health.trouble("retriever", f"documents wait for the retriever: {error}")
                await self._pause(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self._health.well("retriever")
                return reply

    async def _unless_abandoned(self, reading: Awaitable[frames.Done]) -> frames.Done:
        """Await the reader, but kill it when the document is removed meanwhile."""
        task = asyncio.ensure_future(reading)
        gone = asyncio.create_task(self._abandon.wait(), name="abandon")
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Abandoned
            return task.result()
        finally:
            for one in (task, gone):
                one.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _update(self, work: Work, **columns: str | int | None) -> DocumentState:
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


def _with(state: DocumentState, **changes: Any) -> DocumentState:
    return msgspec.structs.replace(state, **changes)
