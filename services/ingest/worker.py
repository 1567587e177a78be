"""Takes the documents that wait, one at a time: read and sent on, until they can be searched."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas.channels import ACTIVATE, FORGET, INDEX
from schemas.knowledge import DocumentState
from schemas.retrieval import Activate, DocumentRef, IndexPassages, RemovePassages
from services.ingest import frames, sandbox
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
_TRIES = 2
"""Readings that may fail for want of room elsewhere while the data folder has it."""
_ROOM = 64 * 2**20
"""Bytes free in the data folder that count as room: what a reader may write in one file."""


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
        follower: Follower,
        readers: Readers,
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
        self._follower = follower
        self._readers = readers
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
        self._follower.leave(doc_id)
        if self._doc_id == doc_id:
            self._abandon.set()
            await self._resting.wait()
            self._follower.leave(doc_id)

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
        room = tries = 0
        while True:
            try:
                # What was spooled when there was no room left must fit before it is read again.
                with Spool(self._spool, room) as spool:
                    try:
                        await self._one(work, spool, patient=tries < _TRIES)
                    finally:
                        room = max(room, spool.bytes)
            except Retryable as error:
                tries += isinstance(error, sandbox.NoRoom) and self._has_room()
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

    async def _one(self, work: Work, spool: Spool, *, patient: bool) -> None:
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
        await self._update(work, state=state, reason=reason)

    def _has_room(self) -> bool:
        return shutil.disk_usage(self._spool).free >= _ROOM

    async def _is_there(self, work: Work) -> bool:
        """Go on with a document that was read before, if the retriever has all of it."""
        if not work.passages:
            return False
        try:
            indexed = await self._call(ACTIVATE, _activation(work))
        except Rejected:
            return False
        await self._update(work, state="indexing", reason=work.note)
        await self._follower.follow(work, indexed)
        return True

    async def _take_in(self, work: Work, spool: Spool) -> None:
        """Read a document and send its passages on meanwhile, then let them answer."""
        base = await self._update(work, state="reading", reason="")
        title: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        sending = asyncio.create_task(self._send(work, spool, title, stop), name="send passages")
        try:
            done = await self._read(work, spool, base, title)
            work = msgspec.structs.replace(work, passages=done.passages)
            document = work.ref(title=done.title, lang=done.lang)
            base = await self._update(
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
        return await self._unless_abandoned(reading)

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
            if self._abandon.is_set():
                raise Abandoned
            try:
                reply = await self._caller.call(rpc, request, deadline_s=RPC_S)
            except Retryable as error:
                self._health.trouble("retriever", f"documents wait for the retriever: {error}")
                if stop is not None and stop.is_set():
                    raise
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


def _activation(work: Work) -> Activate:
    return Activate(doc_id=work.doc_id, revision=work.revision, passages=work.passages)


def _with(state: DocumentState, **changes: Any) -> DocumentState:
    return msgspec.structs.replace(state, **changes)
