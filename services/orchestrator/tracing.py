"""How an answer came about; making it again, or with another prompt. Nothing is touched by it."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from schemas.answers import Answer
from schemas.channels import SEARCH
from schemas.generation import Generate, Generated
from schemas.prompts import (
    JobState,
    Made,
    MadeAgain,
    MakeAgain,
    Trace,
    TraceAnswer,
    TriedPrompt,
    TryPrompt,
)
from schemas.retrieval import Found
from services.orchestrator import made, prompt
from services.orchestrator.asking import Asking
from services.orchestrator.draft import drafted
from services.orchestrator.records import Work, search
from services.orchestrator.templates import Prompt, Template
from services.orchestrator.versions import Versions
from services.orchestrator.written import Bearing, bearing, check
from services.runtime.clock import stamp
from services.runtime.config import Config
from services.runtime.errors import Rejected, Unavailable
from services.runtime.rpc import Caller
from services.runtime.sqlite import Database

_SELECT = """
SELECT job.body AS work, job.place, job.history, job.reason, answer.body AS answer,
    answer.generation, made.id AS made, made.body, made.request, made.created
FROM job LEFT JOIN answer ON answer.id = job.id AND answer.answer_id = job.answer_id
LEFT JOIN made ON made.id = answer.made
"""
_BY_ID = f"{_SELECT} WHERE job.answer_id = ?"
_LATEST = f"{_SELECT} WHERE job.place = ? ORDER BY job.id DESC LIMIT 1"
_LONGEST_S = 3600.0
"""A model may take its time: the asker's deadline ends it before."""
_SEARCH_S = 30.0
_COMPARED = ("model", "identity", "summary", "causes", "actions", "left_out", "shortened")
_History = msgspec.json.Decoder(list[tuple[str, float]])


@dataclass(frozen=True, slots=True)
class _Past:
    """An answer of the ledger."""

    work: Work
    answer: Answer
    place: str
    history: list[JobState]
    reason: str
    made: Made | None


class Tracing:
    """Reads the ledger, and asks the model; writes and publishes nothing."""

    def __init__(
        self,
        config: Config,
        database: Database,
        caller: Caller,
        *,
        versions: Versions,
        asking: Asking,
        stopping: asyncio.Event,
    ) -> None:
        self._passages = config.orchestrator.passages
        self._least = config.orchestrator.grounded_share
        self._db = database
        self._caller = caller
        self._versions = versions
        self._asking = asking
        self._stopping = stopping

    async def trace(self, request: TraceAnswer) -> Trace:
        """Return how an answer came about.

        Raises:
            Rejected: the ledger has no such answer, or several.
        """
        past = await self._past("trace", request.answer_id, request.place)
        asked = past.made.request.id.rpartition(".")[0] if past.made else past.answer.id
        return Trace(
            answer=past.answer,
            place=past.place,
            history=past.history,
            reason=past.reason,
            made=past.made,
            written_for=asked if asked != past.answer.id else "",
        )

    async def make_again(self, request: MakeAgain) -> MadeAgain:
        """Have the model write an answer again, with the same request and seed.

        Raises:
            Rejected: there is no such answer, or no model took part in it.
            Retryable: the model gave none.
        """
        past = await self._past("make again", request.answer_id, request.place)
        if past.made is None:
            raise Rejected(
                f"make {request.answer_id} again",
                "no language model took part in it",
                past.answer.note,
            )
        before = past.made.generated
        asked = msgspec.structs.replace(
            past.made.request, seed=before.seed, temperature=before.temperature
        )
        generated = await self._ask(asked)
        checked = check(generated, asked.passages, _bears(past.made))
        differences = [
            name for name in _COMPARED if getattr(generated, name) != getattr(before, name)
        ]
        if not before.identity:  # as older versions kept it
            differences = [name for name in differences if name != "identity"]
        return MadeAgain(
            before=past.made,
            generated=generated,
            differences=differences,
            doubts=made.doubted(checked),
            share=checked.share,
            grounded=checked.holds(self._least),
        )

    async def attempt(self, request: TryPrompt) -> TriedPrompt:
        """Have the model answer with another prompt what it was asked before.

        Raises:
            Rejected: there is no such answer or version, the text is no right template, or
                nothing is found for the question.
            Retryable: the model gave no answer, or the retriever is away.
        """
        chosen = await self._chosen(request)
        past = await self._past("try", request.answer_id, request.place)
        if past.made:
            shown, generation = past.made.request.passages, past.made.generation
            bears = _bears(past.made)
        else:
            found: Found = await self._caller.call(
                SEARCH, search(past.work, self._passages), deadline_s=_SEARCH_S
            )
            draft = drafted(past.work, found, chosen)
            shown, generation = prompt.passages(draft.hits), found.generation
            bears = bearing(draft.answer, draft.hits)
        if not shown:
            raise Rejected(
                f"try {request.name}", "no passages are found for it", "try another answer"
            )
        asked = prompt.generate(
            chosen,
            prompt.values(past.work),
            shown,
            request_id=past.answer.id,
            priority="advice",
        )
        generated = await self._ask(asked)
        making = made.made(
            chosen,
            asked,
            generated,
            check(generated, shown, bears),
            generation=generation,
            bears=bears,
            least=self._least,
        )
        return TriedPrompt(before=past.answer, former=past.made, made=making)

    async def _chosen(self, request: TryPrompt) -> Prompt:
        if not request.text:
            return await self._versions.prompt(request.name, request.version)
        if request.version is not None:
            raise Rejected(f"try {request.name}", "a version and a text are given", "give one")
        return Prompt(request.name, -1, Template(request.text))

    async def _ask(self, request: Generate) -> Generated:
        """Ask the model under a name of its own; who does not wait any more ends it.

        Raises:
            Unavailable: we are to end: nobody's answer waits for a trial.
            Retryable, Rejected: as the bridge says.
        """
        alone = f"{request.id}.{secrets.token_hex(4)}"
        asked = msgspec.structs.replace(request, id=alone, priority="advice", background=False)
        stopping = asyncio.create_task(self._stopping.wait(), name=f"stop {alone}")
        asking = asyncio.create_task(
            self._asking.generate(asked, deadline_s=_LONGEST_S), name=f"ask {alone}"
        )
        try:
            await asyncio.wait({stopping, asking}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            raise Unavailable("ask the model", "the orchestrator is stopping", "ask again")
        finally:
            if not asking.done():
                self._asking.urge(alone, None)
            for task in (stopping, asking):
                task.cancel()

    async def _past(self, verb: str, answer_id: str, place: str) -> _Past:
        rows = await self._db.fetch(_BY_ID, (answer_id,))
        rows = rows or await self._db.fetch(_LATEST, (answer_id,))
        found = [row for row in rows if place in {"", row["place"]}]
        operation = f"{verb} {answer_id}"
        if not found:
            raise Rejected(
                operation,
                "the ledger has no such answer",
                "older ones are in the files of <data>/history",
            )
        if len(found) > 1:
            places = ", ".join(sorted(row["place"] for row in found))
            raise Rejected(operation, f"several have that id: {places}", "name one by --place")
        [row] = found
        if row["answer"] is None:
            raise Rejected(operation, "it is not given yet", "ask again in a moment")
        return _Past(
            work=msgspec.json.decode(row["work"], type=Work),
            answer=msgspec.json.decode(row["answer"], type=Answer),
            place=row["place"],
            history=[
                msgspec.convert(
                    {"state": state, "since": stamp(datetime.fromtimestamp(at, UTC))}, JobState
                )
                for state, at in _History.decode(row["history"])
            ],
            reason=row["reason"],
            made=made.read(dict(row)) if row["made"] is not None else None,
        )


def _bears(of: Made) -> Bearing:
    """Return what the passages of a request had to do with the code asked for."""
    return Bearing(of_another=of.of_another, naming=of.naming)
