"""The way of one answer: retrieve, passages out, model, check, final out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from schemas.answers import Answer, StreamDelta, Timings
from schemas.channels import GENERATE, SEARCH, STREAM, URGE
from schemas.faults import Alarm, Priority
from schemas.generation import Generate, Generated, Urge
from schemas.retrieval import Found, Hit, Search
from services.orchestrator import prompt
from services.orchestrator.extract import extract
from services.orchestrator.ledger import Ledger
from services.orchestrator.notes import join, note, sourced
from services.orchestrator.publication import given
from services.orchestrator.records import Job, Work, counted, current
from services.orchestrator.reuse import Busy, Key, Reuse, Writing, key_of
from services.orchestrator.written import written
from services.runtime.bus import Bus
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import AndonError, Retryable
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

_SEARCH_S = 10.0
_LATE_S = 2.0
"""A search that begins at the deadline or behind it still has as long: passages are worth it."""
_RETRY_S = 0.2
_RETRY_MOST_S = 5.0
_URGE_S = 5.0
_DEADLINES = 2
"""A request to the model lasts for as many deadlines: who asks the same later waits for it too."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer the model has not had its word on yet."""

    answer: Answer
    """What the passages gave; it is out already."""
    hits: Sequence[Hit]
    """The passages, best first."""
    key: Key
    """What makes another question the same."""
    generation: int
    """Of the corpus it was made from."""


class Flow:
    """Works a job off; every answer leaves through the ledger's outbox.

    In two steps, so that nobody's passages wait for somebody else's model.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        bus: Bus,
        caller: Caller,
        *,
        committed: Callable[[], None],
        model_ready: Callable[[], bool],
        alarm: Callable[[str, str, str], tuple[Alarm | None, bool]],
    ) -> None:
        """Prepare.

        Args:
            config: the configuration.
            ledger: where answers are kept.
            bus: for the stream, which needs no keeping.
            caller: for the retriever and the bridge.
            committed: called when something new is in the outbox.
            model_ready: whether the bridge says that its model can be asked.
            alarm: as `Board.now`.
        """
        self._config = config
        self._ledger = ledger
        self._bus = bus
        self._caller = caller
        self._committed = committed
        self._model_ready = model_ready
        self._alarm = alarm
        self._reuse = Reuse(config.orchestrator.reuse_s, time.monotonic, urge=self._urge)
        self._urging: set[asyncio.Task[None]] = set()

    async def passages(self, job: Job) -> Draft | None:
        """Search, and give the job the answer its passages make.

        Returns:
            What the model shall have a word on; None where that was the final answer.

        Raises:
            Retryable: the ledger cannot be written now; the job is due again.
        """
        begun = time.time()
        found, missing = await self._retrieve(job)
        if missing and await self._give_standing(job, note(missing, job.work.lang)):
            return None
        retrieved = time.time()
        timings = Timings(
            queue=_ms(job.received_at, begun),
            retrieve=_ms(begun, retrieved),
            total=_ms(job.received_at, retrieved),
        )
        answer = self._from_passages(job.work, found, timings, missing)
        generation = found.generation
        draft = Draft(answer, found.hits, key_of(job.work, found.hits, generation), generation)
        why = ""
        if self._config.orchestrator.use_model and answer.citations:
            if standing := self._reuse.get(draft.key):
                answer = _as(answer, standing)
            elif time.time() >= job.deadline_at:
                why = "late"
            elif self._model_ready():
                early = msgspec.structs.replace(answer, stage="passages")
                await self._give(job, sourced(early, found.hits), done=False)
                return draft
            else:
                why = "no_model"
        if why:
            said = note(why, job.work.lang)
            answer = msgspec.structs.replace(answer, note=join(answer.note, said))
        answer = sourced(answer, found.hits)
        await self._give(job, answer, done=True, generation=None if missing else generation)
        return None

    async def model(self, job: Job, draft: Draft) -> None:
        """Give the job its final answer, with the model's word if it has a good one.

        Raises:
            Retryable: the ledger cannot be written now; the job is due again.
        """
        answer = sourced(await self._with_model(job, draft), draft.hits)
        await self._give(job, answer, done=True, generation=draft.generation)

    async def give_up(self, job: Job, reason: str) -> None:
        """Give the job a final answer, and do not try again.

        What its passages gave stands, if it is out; otherwise the answer says why there is none.

        Raises:
            Retryable: the ledger cannot be written now; the job is due again.
        """
        said = note("failed", job.work.lang)
        why = note("model_failed", job.work.lang).format(reason="an internal error")
        if await self._give_standing(job, why, failed=reason):
            return
        answer = self._answer(
            job.work,
            job.work.code,
            Found(hits=[]),
            Timings(total=_ms(job.received_at, time.time())),
            summary=said,
            text=said,
            note=said,
            answered_by="none",
        )
        await self._give(job, answer, done=True, failed=reason)

    async def _give_standing(self, job: Job, why: str, *, failed: str = "") -> bool:
        """Give the job, as final, what it was given before, if that stands on the manuals.

        Returns:
            Whether there is such an answer: nothing without citations takes its place.
        """
        standing = await self._ledger.given(job)
        if standing is None or not standing.citations:
            return False
        said = standing.note if why in standing.note else join(standing.note, why)
        answer = msgspec.structs.replace(standing, stage="final", note=said, created=now())
        await self._give(job, answer, done=True, failed=failed)
        return True

    def escalate(self, place: str, answer_id: str, priority: Priority) -> None:
        """Let an answer that waits for the model be more urgent from now on."""
        self._reuse.escalate((place, answer_id), priority)

    async def _retrieve(self, job: Job) -> tuple[Found, str]:
        """Return what was found, and the key of a note where the retriever stayed away."""
        work, wait = job.work, _RETRY_S
        search = Search(
            question=work.question,
            code=work.code,
            asset=work.asset or "",
            lang=work.lang,
            limit=self._config.orchestrator.passages,
        )
        # Somebody may set the clock while we wait: it must not make that an hour.
        most = self._config.orchestrator.deadline_s
        until = time.monotonic() + min(job.deadline_at - time.time(), most)
        while True:
            left = until - time.monotonic()
            try:
                deadline_s = min(_SEARCH_S, max(left, _LATE_S))
                return await self._caller.call(SEARCH, search, deadline_s=deadline_s), ""
            except Retryable as error:
                if left <= wait:
                    log.warning("the deadline is over without a search: %s", error)
                    return Found(hits=[]), "no_retriever"
                log.info("the search is tried again: %s", error)
            except AndonError as error:
                log.error("the search failed: %s", error)  # noqa: TRY400  its reason is enough
                return Found(hits=[]), "search_failed"
            await asyncio.sleep(wait)
            wait = min(wait * 2, _RETRY_MOST_S)

    def _from_passages(self, work: Work, found: Found, timings: Timings, missing: str) -> Answer:
        """Return the answer the passages give by themselves."""
        known = [code for code in found.codes if code not in found.unknown_codes]
        code = work.code or next(iter(known or found.codes), "")
        if missing:
            summary = note(missing, work.lang)
            return self._answer(
                work,
                code,
                found,
                timings,
                summary=summary,
                text=summary,
                note=summary,
                answered_by="none",
            )
        got = extract(
            found.hits,
            question=work.question,
            code=code,
            lang=work.lang,
            unknown_codes=found.unknown_codes,
            near=found.near,
        )
        lacking = found.incomplete and not got.citations
        return self._answer(
            work,
            code,
            found,
            timings,
            summary=got.summary,
            causes=got.causes,
            actions=got.actions,
            text=got.text,
            citations=got.citations,
            answered_by=got.answered_by,
            note=join(got.note, note("incomplete", work.lang)) if lacking else got.note,
        )

    def _answer(
        self, work: Work, code: str, found: Found, timings: Timings, **parts: object
    ) -> Answer:
        return msgspec.convert(
            {
                "id": work.answer_id,
                "stage": "final",
                "asset": work.asset,
                "code": code,
                "question": work.question,
                "lang": work.lang,
                "scope": found.scope,
                "occurrences": work.occurrences,
                "first_seen": work.first_seen,
                "last_seen": work.last_seen,
                "timings_ms": timings,
                "created": now(),
                "trace": work.trace,
                **parts,
            },
            Answer,
        )

    async def _with_model(self, job: Job, draft: Draft) -> Answer:
        """Return the model's answer; the passages' own where the model gives none in time."""
        answer = draft.answer
        begun = time.time()
        try:
            async with asyncio.timeout(max(job.deadline_at - begun, 0.5)):
                standing = await self._reuse.get_or_make(
                    draft.key,
                    lambda writing: self._write(job, draft, writing),
                    who=(job.work.place, job.work.answer_id),
                    priority=self._now(job.work)[0].priority,
                )
            final = _as(answer, standing)
        except Busy:
            final = msgspec.structs.replace(
                answer, note=join(answer.note, note("busy", job.work.lang))
            )
        except (AndonError, TimeoutError) as error:
            reason = error.reason if isinstance(error, AndonError) else "the deadline is over"
            log.warning("the passages stand, the model gave no answer: %s", reason)
            why = note("model_failed", job.work.lang).format(reason=reason)
            final = msgspec.structs.replace(answer, note=join(answer.note, why))
        ended = time.time()
        timings = msgspec.structs.replace(
            answer.timings_ms, model=_ms(begun, ended), total=_ms(job.received_at, ended)
        )
        return msgspec.structs.replace(final, timings_ms=timings, created=now())

    async def _write(self, job: Job, draft: Draft, writing: Writing) -> Answer:
        """Have the model write the answer, and leave out what does not stand on the passages."""
        request = Generate(
            id=writing.id,
            system=prompt.SYSTEM[job.work.lang],
            question=job.work.question,
            passages=prompt.passages(draft.hits),
            lang=job.work.lang,
            priority=writing.priority,
        )
        return written(draft.answer, await self._generate(job, request), draft.hits)

    async def _generate(self, job: Job, request: Generate) -> Generated:
        """Ask the bridge and hand on what it writes, piece by piece."""
        topic = STREAM.topic(self._config.prefix, asset=job.work.place)
        deadline_s = _DEADLINES * self._config.orchestrator.deadline_s
        seq = 0

        async def tell(delta: str, *, done: bool = False) -> None:
            nonlocal seq
            piece = StreamDelta(answer_id=job.work.answer_id, seq=seq, delta=delta, done=done)
            seq += 1
            try:
                await self._bus.publish(topic, STREAM.encode(piece), qos=STREAM.qos)
            except Retryable as error:
                log.debug("a piece of the stream is lost: %s", error)

        try:
            stream = self._caller.stream(GENERATE, request, deadline_s=deadline_s)
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Generated):
                        return piece
                    await tell(piece.text)
        finally:
            await tell("", done=True)
        raise Retryable("generate", "the bridge ended without an answer")

    def _urge(self, request_id: str, priority: Priority | None) -> None:
        """Tell the bridge how urgent a request is now, None for not at all; it need not hear it."""

        async def tell() -> None:
            urge = Urge(id=request_id, priority=priority)
            try:
                await self._caller.call(URGE, urge, deadline_s=_URGE_S)
            except AndonError as error:
                log.info("the bridge does not know that %s changed: %s", request_id, error)

        task = asyncio.create_task(tell(), name=f"urge {request_id}")
        self._urging.add(task)
        task.add_done_callback(self._urging.discard)

    async def _give(
        self,
        job: Job,
        answer: Answer,
        *,
        done: bool,
        failed: str = "",
        generation: int | None = None,
    ) -> None:
        """Keep and publish an answer, with what was counted of its alarm meanwhile."""
        work, stands = self._now(job.work)
        answer = counted(answer, work)
        outgoing = given(
            answer,
            self._config.prefix,
            work.place,
            self._config.orchestrator.answers_stand_s,
            work.copies,
            stands=stands,
        )
        await self._ledger.answer(
            job, answer, outgoing, done=done, failed=failed, generation=generation
        )
        self._committed()

    def _now(self, work: Work) -> tuple[Work, bool]:
        """Return work as its alarm is now, and whether its answer may stand on its topics."""
        if not work.key:
            return work, True
        alarm, stands = self._alarm(work.place, work.key, work.answer_id)
        return (current(work, alarm) if alarm else work), stands


def _ms(begin: float, end: float) -> float:
    return round((end - begin) * 1000, 1)


def _as(answer: Answer, standing: Answer) -> Answer:
    """Return an answer with the words of one to the same question that stands."""
    return msgspec.structs.replace(
        answer,
        summary=standing.summary,
        causes=standing.causes,
        actions=standing.actions,
        text=standing.text,
        citations=standing.citations,
        answered_by=standing.answered_by,
        model=standing.model,
        grounded=standing.grounded,
        note=standing.note,
    )
