"""The ingest service's door: files in, passages to the retriever, states of documents out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import ClassVar

import msgspec

from schemas.channels import ADD, DOCUMENTS, EDIT, MARK, PASSED, RECEIVE, REMOVE, ROLLBACK
from schemas.knowledge import (
    AddDocument,
    AddedDocument,
    DocumentList,
    DocumentState,
    ListDocuments,
    ReceivedDocument,
    ReceiveDocument,
)
from services.ingest import landlock, scratch
from services.ingest.announcer import Announcer
from services.ingest.clerk import Clerk
from services.ingest.follower import Follower
from services.ingest.inbox import Inbox
from services.ingest.intake import Intake
from services.ingest.kept import Kept
from services.ingest.library import Library
from services.ingest.mender import LIBRARY
from services.ingest.naming import file_name
from services.ingest.originals import Originals
from services.ingest.readers import Readers
from services.ingest.receiving import Receiving, told
from services.ingest.resting import rest
from services.ingest.taken import Taken
from services.ingest.worker import Worker
from services.runtime.config import Config
from services.runtime.errors import Fatal, Rejected
from services.runtime.paging import fitting
from services.runtime.process import Context
from services.runtime.retained import Retained
from services.runtime.salvage import mend, watch

log = logging.getLogger(__name__)

_AGAIN_S = 5.0


class IngestService:
    """Takes documents in.

    In:  ingest/add, ingest/documents, ingest/edit, ingest/rollback, ingest/remove; the inbox;
        ingest/receive, ingest/passed.
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
        self._originals = Originals(config.data_dir / "originals")
        self._closing = contextlib.AsyncExitStack()

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
        if not landlock.version():
            log.warning(
                "this kernel has no Landlock: a reader that is taken over by a document can read"
                " every file that this service can"
            )
            context.health.facts["landlock"] = False
        if cleared := await asyncio.to_thread(scratch.clear):
            log.info("cleared away what %d readers left whose service was killed", cleared)
        self._context = context
        path = self._config.data_dir / "library.db"
        salvaged = await mend(path, LIBRARY, context.health)
        self._library = await Library.open(path)
        self._closing.push_async_callback(self._library.close)
        if salvaged:
            await self._library.reborn()
        self._announcer = Announcer(context.bus, self._config.prefix)
        self._follower = Follower(self._library, context.caller, context.health, say=self._pass_on)
        readers = await self._closing.enter_async_context(Readers())
        intake = Intake(
            self._config.ingest,
            library=self._library,
            originals=self._originals,
            caller=context.caller,
            follower=self._follower,
            readers=readers,
            health=context.health,
            say=self._announcer.say,
        )
        self._worker = Worker(
            intake,
            library=self._library,
            spool=self._config.data_dir / "spool",
            follower=self._follower,
            health=context.health,
            again_s=self._again_s,
        )
        self._clerk = Clerk(
            self._config.ingest,
            library=self._library,
            originals=self._originals,
            caller=context.caller,
            health=context.health,
            announcer=self._announcer,
            follower=self._follower,
            wake=self._worker.wake,
            abandon=self._worker.abandon,
            again_s=self._again_s,
        )
        self._receiving = Receiving(
            self._library, self._clerk.take, say=self._announcer.say, wake=self._worker.wake
        )
        await self._clerk.look_back()
        inbox = Inbox(
            self._config.inbox_dir,
            self._config.ingest,
            taken=Taken(self._library.database),
            library=self._library,
            clerk=self._clerk,
            health=context.health,
        )
        mark = MARK.topic(self._config.prefix, service=self.name)
        kept = Kept(self._announcer, self._config.prefix, self._states)
        retained = Retained(context.bus, mark, kept)
        self._announcer.look_after(retained)
        await context.server.serve(ADD, self._add)
        await context.server.serve(DOCUMENTS, self._documents)
        await context.server.serve(EDIT, self._clerk.edit)
        await context.server.serve(ROLLBACK, self._clerk.roll_back)
        await context.server.serve(REMOVE, self._clerk.remove)
        await context.server.serve(RECEIVE, self._receive)
        await context.server.serve(PASSED, self._receiving.passed)
        context.spawn(self._receiving.run(), "wait for passages")
        context.spawn(self._announcer.run(), "announce")
        context.spawn(retained.run(), "retained")
        context.spawn(self._clerk.finish_removals(), "finish removals")
        context.spawn(self._clerk.mender.run(), "compare with the retriever")
        context.spawn(inbox.run(), "watch the inbox")
        context.spawn(self._clerk.look_after_originals(), "look after originals")
        context.spawn(watch(self._library.database), "watch the library")
        context.spawn(self._follower.run(self._worker.wake), "follow vectors")
        if idle_s := self._config.ingest.idle_exit_s:

            async def quiet() -> bool:
                open_ = await self._library.in_work() or await self._clerk.removals.begun()
                return inbox.settled and not open_

            context.spawn(rest(context, idle_s, quiet), "rest")
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

    def _pass_on(self, state: DocumentState) -> None:
        self._clerk.pass_on(state)

    async def _add(self, request: AddDocument) -> AddedDocument:
        path = Path(request.path)
        if not path.is_absolute():
            raise Rejected("add", f"{request.path} is no absolute path")
        name = file_name(request.name or path.name)
        added = await self._clerk.take(path, name, request)
        return told(added, self._follower.latest(added.state))

    async def _receive(self, request: ReceiveDocument) -> ReceivedDocument:
        added, wanted = await self._receiving.receive(request)
        return ReceivedDocument(
            added=told(added, self._follower.latest(added.state)), wanted=wanted
        )

    async def _states(self, after: str, limit: int) -> list[DocumentState]:
        """Return the states of documents, by id, with what is known of their vectors."""
        found = await self._library.states_by_id(after, limit)
        return [self._follower.latest(state) for state in found]

    async def _documents(self, request: ListDocuments) -> DocumentList:
        if not request.doc_id:
            found = await self._library.states(request.after, request.limit + 1)
            states = [self._follower.latest(state) for state in found]
            count = fitting(states, request.limit)
            more = count < len(states)
            return DocumentList(
                documents=states[:count], next=states[count - 1].file if more else ""
            )
        state = await self._library.state(request.doc_id)
        if state is None:
            return DocumentList(documents=[])
        listed = await self._clerk.revisions.listed(
            request.doc_id, self._config.ingest.keep_revisions
        )
        return DocumentList(
            documents=[self._follower.latest(state)],
            revisions=[
                msgspec.structs.replace(one, original=self._originals.has(one.sha256))
                for one in listed
            ],
        )
