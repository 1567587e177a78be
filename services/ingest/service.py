"""The ingest service's door: files in, passages to the retriever, states of documents out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import ClassVar

import msgspec

from schemas.channels import ADD, DOCUMENTS, FORGET, REMOVE
from schemas.knowledge import (
    AddDocument,
    AddedDocument,
    DocumentList,
    ListDocuments,
    RemovedDocument,
    RemoveDocument,
)
from schemas.retrieval import RemovePassages
from services.ingest.announcer import Announcer
from services.ingest.library import Library, Removal, file_name
from services.ingest.mender import LIBRARY, Mender
from services.ingest.originals import Originals
from services.ingest.worker import Worker
from services.runtime.config import Config
from services.runtime.errors import Fatal, Rejected, Retryable
from services.runtime.process import Context
from services.runtime.salvage import mend, watch

log = logging.getLogger(__name__)

_FORGET_S = 10.0
_REMOVE_AGAIN_S = 5.0


class IngestService:
    """Takes documents in.

    In:  ingest/add, ingest/documents, ingest/remove.
    Out: `andon/document/<doc id>`, retained.
    Asks: retriever/index, retriever/activate, retriever/remove, retriever/corpus.
    """

    name: ClassVar[str] = "ingest"
    keeps_session: ClassVar[bool] = False

    def __init__(self, config: Config) -> None:
        self._config = config
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
            say=self._announcer.say,
        )
        mender = Mender(
            self._library,
            context.caller,
            context.health,
            say=self._announcer.say,
            wake=self._worker.wake,
        )
        for state in await self._library.states():
            self._announcer.say(state)
        await context.server.serve(ADD, self._add)
        await context.server.serve(DOCUMENTS, self._documents)
        await context.server.serve(REMOVE, self._remove)
        context.spawn(self._announcer.run(), "announce")
        context.spawn(self._finish_removals(), "finish removals")
        context.spawn(mender.run(), "compare with the retriever")
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
        limit = self._config.ingest.max_file_mb * 2**20
        # One at a time: two copies at once are no faster, and the second may be the same file.
        async with self._adding:
            sha256, size = await asyncio.to_thread(self._originals.take, path, limit)
            state, unchanged = await self._library.add(
                name, sha256, size, title=request.title, assets=request.assets
            )
        if not unchanged:
            self._announcer.say(state)
            self._worker.wake()
        return AddedDocument(
            doc_id=state.doc_id, revision=state.revision, unchanged=unchanged, state=state
        )

    async def _documents(self, request: ListDocuments) -> DocumentList:
        if not request.doc_id:
            return DocumentList(documents=await self._library.states())
        state = await self._library.state(request.doc_id)
        return DocumentList(documents=[state] if state else [])

    async def _remove(self, request: RemoveDocument) -> RemovedDocument:
        removal = await self._library.start_removing(request.doc_id, purge=request.purge)
        if removal is None:
            raise Rejected(
                f"remove {request.doc_id}", "no such document", "`andon documents` lists their ids"
            )
        await self._forget(removal)
        return RemovedDocument(
            doc_id=removal.doc_id, file=removal.file, passages=removal.state.passages
        )

    async def _forget(self, removal: Removal) -> None:
        """Remove from the retriever, then from the library, then from the bus.

        Raises:
            Retryable: the retriever is away; the removal goes on when it is back.
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
        orphans = await self._library.finish_removing(removal.doc_id)
        if removal.purge:
            for sha256 in orphans:
                await asyncio.to_thread(self._originals.forget, sha256)
        gone = msgspec.structs.replace(removal.state, state="removed", reason="")
        self._announcer.say(gone)
        self._announcer.clear(removal.doc_id)

    async def _finish_removals(self) -> None:
        """Finish what was begun while the retriever was away, or before the last stop."""
        while True:
            for removal in await self._library.removals():
                try:
                    await self._forget(removal)
                except Retryable as error:
                    log.info("%s", error)
            await asyncio.sleep(_REMOVE_AGAIN_S)
