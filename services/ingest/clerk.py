"""Does what is asked with documents: take, edit, roll back, remove; finishes what was begun."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from schemas.channels import FORGET
from schemas.knowledge import (
    DocumentState,
    EditDocument,
    EditedDocument,
    RemovedDocument,
    RemoveDocument,
    Rollback,
    RolledBack,
)
from schemas.retrieval import RemovePassages
from services.ingest.announcer import Announcer
from services.ingest.attic import sort_out, younger
from services.ingest.differences import IN_WORK, Own
from services.ingest.follower import Follower
from services.ingest.library import Library
from services.ingest.mender import Mender
from services.ingest.originals import Originals
from services.ingest.records import Added, Read
from services.ingest.removals import Removal, Removals
from services.ingest.revisions import Revisions
from services.runtime.clock import now
from services.runtime.config import Ingest
from services.runtime.errors import Rejected, Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

_FORGET_S = 10.0
_ADDING = "originals"
_REMOVING = "removals"
_MISSING = "missing originals"
_ORIGINALS_EVERY_S = 300.0
_TOLD = 5
"""Removals that wait, by name in the status: it is one message, whatever waits."""


class Clerk:
    """The hands of the ingest service; who asks is not his business."""

    def __init__(
        self,
        config: Ingest,
        *,
        library: Library,
        originals: Originals,
        caller: Caller,
        health: Health,
        announcer: Announcer,
        follower: Follower,
        wake: Callable[[], None],
        abandon: Callable[[str], Awaitable[None]],
        again_s: float,
    ) -> None:
        """Make him.

        Args:
            config: the service's.
            library: the documents.
            originals: their files.
            caller: asks the retriever.
            health: told what is missing.
            announcer: publishes states.
            follower: knows of vectors.
            wake: told that a document waits to be read.
            abandon: stops work on a document.
            again_s: seconds between two tries of what failed for want of disk or retriever.
        """
        self._config = config
        self._library = library
        self._originals = originals
        self._caller = caller
        self._health = health
        self._announcer = announcer
        self._latest = follower.latest
        self._wake = wake
        self._abandon = abandon
        self._again_s = again_s
        self._adding = asyncio.Lock()
        self._wanted: int | None = None
        """Bytes of a file there was no room for, None when nothing is missing."""
        self.revisions = Revisions(library)
        """Which of them answer."""
        self.removals = Removals(library)
        """Which of them go."""
        self.mender = Mender(
            self.revisions,
            library,
            caller,
            keep=config.keep_revisions,
            say=announcer.say,
            wake=wake,
            drop=self._drop,
            follow=follower.follow,
            has=originals.has,
        )
        """Makes the retriever follow."""

    async def take(self, path: Path, name: str, said: object, read: Read | None = None) -> Added:
        """Copy a file in and enter it; the retriever follows what is said about it.

        Raises:
            Rejected: it cannot be taken, see `Originals.take` and `Library.add`.
            Retryable: the disk is full or failing.
        """
        limit = self._config.max_file_mb * 2**20
        # One at a time: two copies at once are no faster, and the second may be the same file.
        async with self._adding:
            try:
                sha256, size = await asyncio.to_thread(self._originals.take, path, limit)
                added = await self._library.add(name, sha256, size, said=said, read=read)
            except Retryable as error:
                self._wanted = await asyncio.to_thread(_size, path)
                self._health.trouble(_ADDING, str(error))
                raise
            self._wanted = None
            self._health.well(_ADDING)
        if not added.unchanged:
            self._announcer.say(added.state)
            self.mender.tell_soon()
            self._wake()
        if not added.edited and not added.restored:
            return added
        return msgspec.structs.replace(added, state=await self.in_step(added.state))

    async def refuse(self, name: str, reason: str) -> str:
        """Tell people about a file that cannot be taken; return the document's id."""
        identity, state = await self._library.refuse(name, reason)
        if state is not None:
            self._announcer.say(state)
        return identity

    async def rename(self, doc_id: str, name: str) -> bool:
        """Give a document another file name; False where that cannot be."""
        state = await self._library.rename(doc_id, name)
        if state is not None:
            self._announcer.say(self._latest(state))
            self.mender.soon(doc_id)
        return state is not None

    async def in_step(self, state: DocumentState) -> DocumentState:
        """Have the retriever follow what the library says of a document; return its state then.

        Raises:
            Retryable: the retriever is away; it follows when it is back.
        """
        self._announcer.say(self._latest(state))
        try:
            await self.mender.compare(state.doc_id)
        except Retryable as error:
            raise type(error)(
                f"change {state.file}", error.reason, "it is done when the retriever is back"
            ) from error
        return self._latest(await self._library.state(state.doc_id) or state)

    def pass_on(self, state: DocumentState) -> None:
        """Pass on what the worker says; after a new revision there may be one too many."""
        if state.state in IN_WORK:  # progress is in no row of the library
            state = msgspec.structs.replace(state, updated=now())
        self._announcer.say(state)
        if state.state == "ready":
            self.mender.soon(state.doc_id)
        elif state.state not in IN_WORK:
            self.mender.tell_soon()

    async def edit(self, request: EditDocument) -> EditedDocument:
        """Change what is said about a document.

        Raises:
            Rejected: there is none, or it cannot be so.
            Retryable: the retriever is away; it follows when it is back.
        """
        edited = await self._library.edit(request.doc_id, request)
        if edited is None:
            raise _unknown("edit", request.doc_id)
        state, changed = edited
        if changed:
            state = await self.in_step(state)
        return EditedDocument(state=self._latest(state), changed=changed)

    async def roll_back(self, request: Rollback) -> RolledBack:
        """Let another revision answer; raises as `edit`."""
        before = await self._library.answering(request.doc_id)
        await self.revisions.roll_back(request.doc_id, request.to)
        state = await self._library.state(request.doc_id)
        if state is None:
            raise _unknown("rollback", request.doc_id)
        reading = state.state != "ready"
        if reading:
            self._announcer.say(state)
            self._wake()
        else:
            state = await self.in_step(state)
        waiting = not reading and state.state == "indexing"
        return RolledBack(state=state, before=before or 0, reading=reading, waiting=waiting)

    async def remove(self, request: RemoveDocument) -> RemovedDocument:
        """Remove a document.

        Raises:
            Rejected: there is none.
            Retryable: the retriever is away; the removal goes on when it is back.
        """
        removal = await self.removals.start(request.doc_id, purge=request.purge)
        if removal is None:
            raise _unknown("remove", request.doc_id)
        await self._forget(removal)
        return RemovedDocument(
            doc_id=removal.doc_id, file=removal.file, passages=removal.state.passages
        )

    async def finish_removals(self) -> None:
        """Finish what was begun while the retriever was away, or before the last stop."""
        while True:
            troubles: list[str] = []
            try:
                for removal in await self.removals.begun():
                    try:
                        await self._forget(removal)
                    except (Retryable, Rejected) as error:
                        troubles.append(str(error))
            except Retryable as error:
                troubles.append(str(error))
            if troubles:
                more = f"; and {len(troubles) - _TOLD} more" if len(troubles) > _TOLD else ""
                self._health.trouble(_REMOVING, "; ".join(troubles[:_TOLD]) + more)
            else:
                self._health.well(_REMOVING)
            await self._look_for_room()
            await asyncio.sleep(self._again_s)

    async def look_back(self) -> None:
        """Find out, before anything is written, whether the library is an older one put back.

        Raises:
            Retryable: the disk fails.
        """
        there = await asyncio.to_thread(self._originals.there)
        needed, left = await self.revisions.originals(), await self.revisions.left()
        if younger(there, needed, left, await self.revisions.written()):
            log.warning("there are originals the library does not know: they stay")
            await self._library.reborn()

    async def look_after_originals(self) -> None:
        """Tell which originals are missing, and delete those nobody needs; again and again."""
        while True:
            try:
                async with self._adding:
                    await self._look_over_originals()
            except Retryable as error:
                self._health.trouble(_MISSING, str(error))
            await asyncio.sleep(_ORIGINALS_EVERY_S)

    async def _look_over_originals(self) -> None:
        there = await asyncio.to_thread(self._originals.there)
        needed = await self.revisions.originals()
        found = sort_out(
            there,
            needed,
            await self.revisions.left(),
            born=await self._library.born(),
            now=time.time(),
            certain=await self.revisions.all_known(),
        )
        for name in found.orphans:
            log.info("original %s is nobody's, and deleted", name)
            await asyncio.to_thread(self._originals.forget, name)
        if found.missing:
            files = ", ".join(sorted(needed[sha256] for sha256 in found.missing)[:5])
            self._health.trouble(
                _MISSING,
                f"{len(found.missing)} originals are gone: {files}. They answer, but could not be"
                " made again if the corpus were lost (add these files again)",
            )
        else:
            self._health.well(_MISSING)

    async def _drop(self, gone: Sequence[Own]) -> None:
        """Delete revisions with those of their originals that no other has."""
        async with self._adding:
            for sha256 in await self.revisions.unshared(gone):
                await asyncio.to_thread(self._originals.forget, sha256)
            await self.revisions.drop(gone)

    async def _forget(self, removal: Removal) -> None:
        """Remove from the retriever, then from the library, then from the bus.

        Raises:
            Retryable: the retriever is away, or the disk is failing; the removal goes on later.
        """
        await self._abandon(removal.doc_id)
        try:
            await self._caller.call(
                FORGET, RemovePassages(doc_id=removal.doc_id), deadline_s=_FORGET_S
            )
        except Retryable as error:
            raise type(error)(
                f"remove {removal.file}", error.reason, "it goes on when the retriever is back"
            ) from error
        # Not while a file is added: it may be one of these. And before the library forgets them:
        # an original that cannot be deleted now is deleted later.
        async with self._adding:
            if removal.purge:
                for sha256 in await self.removals.only_here(removal.doc_id):
                    await asyncio.to_thread(self._originals.forget, sha256)
            await self.removals.finish(removal)
        gone = msgspec.structs.replace(removal.state, state="removed", reason="")
        self._announcer.say(gone)
        self._announcer.clear(removal.doc_id)

    async def _look_for_room(self) -> None:
        """Take it back that nothing can be added once the file refused last would fit."""
        async with self._adding:
            if self._wanted is None:
                return
            try:
                await asyncio.to_thread(self._originals.need, self._wanted)
            except Retryable as error:
                self._health.trouble(_ADDING, str(error))
            else:
                self._wanted = None
                self._health.well(_ADDING)


def _unknown(verb: str, doc_id: str) -> Rejected:
    return Rejected(f"{verb} {doc_id}", "no such document", "`andon documents` lists their ids")


def _size(path: Path) -> int:
    """Return the bytes of a file, 0 for one that is gone."""
    return path.stat().st_size if path.exists() else 0
