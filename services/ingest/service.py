"""The ingest service's door: files in, passages to the retriever, states of documents out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from schemas.channels import ADD, DOCUMENTS, EDIT, FORGET, REMOVE, ROLLBACK
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
from schemas.retrieval import RemovePassages
from services.ingest.announcer import Announcer
from services.ingest.differences import Own
from services.ingest.library import Added, Library, Removal
from services.ingest.mender import LIBRARY, Mender
from services.ingest.naming import file_name
from services.ingest.originals import Originals
from services.ingest.revisions import Revisions
from services.ingest.worker import Worker
from services.runtime.config import Config
from services.runtime.errors import Fatal, Rejected, Retryable
from services.runtime.process import Context
from services.runtime.salvage import mend, watch

log = logging.getLogger(__name__)

_FORGET_S = 10.0
_AGAIN_S = 5.0
_ADDING = "originals"
_REMOVING = "removals"


class IngestService:
    """Takes documents in.

    In:  ingest/add, ingest/documents, ingest/edit, ingest/rollback, ingest/remove; the inbox.
    Out: `andon/document/<doc id>`, retained.
    Asks: retriever/index, retriever/activate, retriever/describe, retriever/prune,
        retriever/remove, retriever/corpus.
    """

    name: ClassVar[str] = "ingest"
    keeps_session: ClassVar[bool] = False

    def __init__(self, config: Config, *, again_s: float = _AGAIN_S) -> None:
        """Make it.

        Args:
            config: All of it.
            again_s: Seconds between two tries of what failed for want of disk or retriever.
        """
        self._config = config
        self._again_s = again_s
        self._wanted: int | None = None
        """Bytes of a file there was no room for, None when nothing is missing."""
        self._originals = Originals(config.data_dir / "originals")
        self._closing = contextlib.AsyncExitStack()
        self._adding = asyncio.Lock()

    async def start(self, context: Context) -> None:
        """Open the library, take up what was left, and serve.

        Raises:
            Fatal: the library cannot be opened, or the tokenizer file is missing.
        """
        tokenizer = Path(self._config.ingest.tokenizer)
        if not await asyncio.to_thread(tokenizer.is_file):
            raise Fatal(
                "count tokens",
                f"the tokenizer file {tokenizer} is missing",
                "set ingest.tokenizer to the tokenizer.json of the embedding model",
            )
        self._context = context
        path = self._config.data_dir / "library.db"
        await mend(path, LIBRARY, context.health)
        self._library = await Library.open(path)
        self._closing.push_async_callback(self._library.close)
        self._announcer = Announcer(context.bus, self._config.prefix)
        self._worker = Worker(
            self._config.ingest,
            library=self._library,
            originals=self._originals,
            spool=self._config.data_dir / "spool",
            caller=context.caller,
            health=context.health,
            say=self._read,
            again_s=self._again_s,
        )
        self._revisions = Revisions(self._library)
        self._mender = Mender(
            self._revisions,
            self._library,
            context.caller,
            context.health,
            keep=self._config.ingest.keep_revisions,
            say=self._announcer.say,
            wake=self._worker.wake,
            drop=self._drop,
        )
        for state in await self._library.states():
            self._announcer.say(state)
        await context.server.serve(ADD, self._add)
        await context.server.serve(DOCUMENTS, self._documents)
        await context.server.serve(EDIT, self._edit)
        await context.server.serve(ROLLBACK, self._roll_back)
        await context.server.serve(REMOVE, self._remove)
        context.spawn(self._announcer.run(), "announce")
        context.spawn(self._finish_removals(), "finish removals")
        context.spawn(self._mender.run(), "compare with the retriever")
        context.spawn(watch(self._library.database), "watch the library")
        self._working = context.spawn(self._worker.run(), "read and index")

    async def drain(self) -> None:
        """Stop reading; the document in work is taken up again at the next start."""
        self._working.cancel()
        await asyncio.wait([self._working])
        if self._context.bus.connected:
            await self._announcer.drained()

    async def close(self) -> None:
        """Close the library."""
        await self._closing.aclose()

    async def _add(self, request: AddDocument) -> AddedDocument:
        path = Path(request.path)
        if not path.is_absolute():
            raise Rejected("add", f"{request.path} is no absolute path")
        name = file_name(request.name or path.name)
        added = await self._take(path, name, request)
        state = added.state
        if added.edited or added.restored:
            state = await self._in_step(state)
        return AddedDocument(
            doc_id=state.doc_id,
            revision=state.revision,
            unchanged=added.unchanged,
            edited=added.edited,
            restored=bool(added.restored),
            state=state,
        )

    async def _take(self, path: Path, name: str, said: object) -> Added:
        """Copy a file in and enter it.

        Raises:
            Rejected: it cannot be taken, see `Originals.take` and `Library.add`.
            Retryable: the disk is full or failing.
        """
        limit = self._config.ingest.max_file_mb * 2**20
        # One at a time: two copies at once are no faster, and the second may be the same file.
        async with self._adding:
            try:
                sha256, size = await asyncio.to_thread(self._originals.take, path, limit)
                added = await self._library.add(name, sha256, size, said=said)
            except Retryable as error:
                self._wanted = await asyncio.to_thread(_size, path)
                self._context.health.trouble(_ADDING, str(error))
                raise
            self._wanted = None
            self._context.health.well(_ADDING)
        if not added.unchanged:
            self._announcer.say(added.state)
            self._worker.wake()
        return added

    async def _in_step(self, state: DocumentState) -> DocumentState:
        """Have the retriever follow what the library says of a document; return its state then.

        Raises:
            Retryable: the retriever is away; it follows when it is back.
        """
        self._announcer.say(state)
        try:
            await self._mender.compare(state.doc_id)
        except Retryable as error:
            raise type(error)(
                f"change {state.file}", error.reason, "it is done when the retriever is back"
            ) from error
        return await self._library.state(state.doc_id) or state

    def _read(self, state: DocumentState) -> None:
        """Pass on what the worker says; after a new revision there may be one too many."""
        self._announcer.say(state)
        if state.state == "ready":
            self._mender.soon()

    async def _drop(self, gone: Sequence[Own]) -> None:
        """Delete revisions with those of their originals that no other has."""
        async with self._adding:
            for sha256 in await self._revisions.unshared(gone):
                await asyncio.to_thread(self._originals.forget, sha256)
            await self._revisions.drop(gone)

    async def _edit(self, request: EditDocument) -> EditedDocument:
        edited = await self._library.edit(request.doc_id, request)
        if edited is None:
            raise _unknown("edit", request.doc_id)
        state, changed = edited
        if changed:
            state = await self._in_step(state)
        return EditedDocument(state=state, changed=changed)

    async def _roll_back(self, request: Rollback) -> RolledBack:
        before = await self._library.answering(request.doc_id)
        await self._revisions.roll_back(request.doc_id, request.to)
        state = await self._library.state(request.doc_id)
        if state is None:
            raise _unknown("rollback", request.doc_id)
        if state.state == "ready":
            state = await self._in_step(state)
        else:
            self._announcer.say(state)
            self._worker.wake()
        reading = state.state != "ready"
        return RolledBack(state=state, before=before or 0, reading=reading)

    async def _documents(self, request: ListDocuments) -> DocumentList:
        if not request.doc_id:
            return DocumentList(documents=await self._library.states())
        state = await self._library.state(request.doc_id)
        if state is None:
            return DocumentList(documents=[])
        listed = await self._revisions.listed(request.doc_id, self._config.ingest.keep_revisions)
        return DocumentList(
            documents=[state],
            revisions=[
                msgspec.structs.replace(one, original=self._originals.has(one.sha256))
                for one in listed
            ],
        )

    async def _remove(self, request: RemoveDocument) -> RemovedDocument:
        removal = await self._library.start_removing(request.doc_id, purge=request.purge)
        if removal is None:
            raise _unknown("remove", request.doc_id)
        await self._forget(removal)
        return RemovedDocument(
            doc_id=removal.doc_id, file=removal.file, passages=removal.state.passages
        )

    async def _forget(self, removal: Removal) -> None:
        """Remove from the retriever, then from the library, then from the bus.

        Raises:
            Retryable: the retriever is away, or the disk is failing; the removal goes on later.
        """
        await self._worker.abandon(removal.doc_id)
        try:
            await self._context.caller.call(
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
                for sha256 in await self._library.only_here(removal.doc_id):
                    await asyncio.to_thread(self._originals.forget, sha256)
            await self._library.finish_removing(removal)
        gone = msgspec.structs.replace(removal.state, state="removed", reason="")
        self._announcer.say(gone)
        self._announcer.clear(removal.doc_id)

    async def _finish_removals(self) -> None:
        """Finish what was begun while the retriever was away, or before the last stop."""
        health = self._context.health
        while True:
            troubles: list[str] = []
            try:
                for removal in await self._library.removals():
                    try:
                        await self._forget(removal)
                    except (Retryable, Rejected) as error:
                        troubles.append(str(error))
            except Retryable as error:
                troubles.append(str(error))
            if troubles:
                health.trouble(_REMOVING, "; ".join(troubles))
            else:
                health.well(_REMOVING)
            await self._look_for_room()
            await asyncio.sleep(self._again_s)

    async def _look_for_room(self) -> None:
        """Take it back that nothing can be added once the file refused last would fit."""
        async with self._adding:
            if self._wanted is None:
                return
            try:
                await asyncio.to_thread(self._originals.need, self._wanted)
            except Retryable as error:
                self._context.health.trouble(_ADDING, str(error))
            else:
                self._wanted = None
                self._context.health.well(_ADDING)


def _unknown(verb: str, doc_id: str) -> Rejected:
    return Rejected(f"{verb} {doc_id}", "no such document", "`andon documents` lists their ids")


def _size(path: Path) -> int:
    """Return the bytes of a file, 0 for one that is gone."""
    return path.stat().st_size if path.exists() else 0
