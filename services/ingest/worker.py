"""Takes the documents that wait, one at a time, until they can be searched."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from services.ingest import sandbox
from services.ingest.abandon import Abandoned
from services.ingest.follower import Follower
from services.ingest.intake import Intake
from services.ingest.library import Library
from services.ingest.records import Work
from services.ingest.spool import Spool
from services.runtime.errors import Retryable
from services.runtime.process import Health

log = logging.getLogger(__name__)

_TRIES = 2
"""Readings that may fail for want of room elsewhere while the data folder has it."""
_ROOM = 64 * 2**20
"""Bytes free in the data folder that count as room: what a reader may write in one file."""


class Worker:
    """Has them taken in, and waits for room on the disk."""

    def __init__(
        self,
        intake: Intake,
        *,
        library: Library,
        spool: Path,
        follower: Follower,
        health: Health,
        again_s: float,
    ) -> None:
        """Make it; `again_s` is how many seconds it waits for room on the disk between tries."""
        self._intake = intake
        self._abandon = intake.abandon
        self._library = library
        self._spool = spool
        self._follower = follower
        self._health = health
        self._again_s = again_s
        self._wake = asyncio.Event()
        self._wake.set()
        self._doc_id = ""
        self._resting = asyncio.Event()
        self._resting.set()

    def wake(self) -> None:
        """Tell that a document waits."""
        self._wake.set()

    async def abandon(self, doc_id: str) -> None:
        """Stop work on a document, and return when nothing of it is on its way any more."""
        self._follower.leave(doc_id)
        if self._doc_id == doc_id:
            self._abandon.say()
            await self._resting.wait()
            self._follower.leave(doc_id)

    async def run(self) -> None:
        """Take one document after the other, forever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while work := await self._next():
                self._doc_id = work.doc_id
                self._abandon.take_back()
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
                        await self._intake.take(work, spool, patient=tries < _TRIES)
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
            await self._intake.update(work, state="queued", reason=str(error))
        except Retryable as also:
            # Its disk may be the full one: the service's state tells, the document's cannot.
            self._health.trouble("library", str(also))
        await self._abandon.pause(self._again_s)

    def _has_room(self) -> bool:
        return shutil.disk_usage(self._spool).free >= _ROOM
