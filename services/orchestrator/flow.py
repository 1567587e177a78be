"""The way of one answer: retrieve, passages out, model, check, final out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from schemas.answers import Answer, StreamDelta, Timings
from schemas.channels import SEARCH, STREAM
from schemas.faults import Alarm, Priority
from schemas.generation import Generate, Generated
from schemas.retrieval import Found
from services.orchestrator import prompt
from services.orchestrator.asking import Asking
from services.orchestrator.draft import Draft
from services.orchestrator.extract import extract
from services.orchestrator.ledger import Ledger
from services.orchestrator.made import Outcome, Record
from services.orchestrator.notes import join, note, sourced
from services.orchestrator.prepared import Prepared
from services.orchestrator.publication import given, harmless
from services.orchestrator.quote import cited_first
from services.orchestrator.records import Job, Work, counted, current, search
from services.orchestrator.reuse import Busy, Gone, Key, Reuse, Writing
from services.orchestrator.templates import Prompt
from services.orchestrator.versions import Versions
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
_DEADLINES = 2
"""A request to the model lasts for as many deadlines: who asks the same later waits for it too."""


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
        versions: Versions,
        asking: Asking,
        committed: Callable[[], None],
        model_ready: Callable[[], bool],
        prepared: Prepared,
        model: Callable[[], str],
        alarm: Callable[[str, str, str], tuple[Alarm | None, bool]],
    ) -> None:
        """Prepare.

        Args:
            config: the configuration.
            ledger: where answers are kept.
            bus: for the stream, which needs no keeping.
            caller: for the retriever.
            versions: what the model is told.
            asking: for the bridge.
            committed: called when something new is in the outbox.
            model_ready: whether the bridge says that its model can be asked.
            prepared: answers that were prepared before they were needed.
            model: name of the model, the last that was heard of; empty while unknown.
            alarm: as `Board.now`.
        """
        self._config = config
        self._ledger = ledger
        self._bus = bus
        self._caller = caller
        self._committed = committed
        self._model_ready = model_ready
        self._prepared = prepared
        self._model = model
        self._alarm = alarm
        self._versions = versions
        self._asking = asking
        self._least = config.orchestrator.grounded_share
        self._reuse = Reuse[Outcome](config.orchestrator.reuse_s, time.monotonic, urge=asking.urge)
        self.given = 0
        """Answers given since the start."""

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
        record, why = None, ""
        if self._config.orchestrator.use_model and answer.citations:
            ready = self._model_ready()
            # Where no model ever wrote anything its prompts need not be loaded.
            known = ready or self._reuse or self._prepared.some
            draft = self.draft(job.work, found, answer) if known else None
            if draft and (standing := self._reuse.get(self._key(draft))):
                answer, record = _as(answer, standing.answer), standing.record
            elif draft and (prepared := await self._prepared.given(draft, found, self._model())):
                said = join(answer.note, prepared.answer.note)
                answer, record = _as(answer, prepared.answer), prepared.record
                answer = msgspec.structs.replace(answer, note=said, prepared=True)
            elif time.time() >= job.deadline_at:
                why = "late"
            elif self._cleared(job.work):
                why = "cleared"
            elif draft and ready:
                early = msgspec.structs.replace(answer, stage="passages")
                await self._give(job, sourced(early, found.hits), done=False)
                return draft
            else:
                why = "no_model"
        if why:
            said = note(why, job.work.lang)
            answer = msgspec.structs.replace(answer, note=join(answer.note, said))
        answer = sourced(answer, found.hits)
        shown = None if missing or why == "cleared" else generation
        await self._give(job, answer, done=True, generation=shown, record=record)
        return None

    def prompt(self, work: Work) -> Prompt:
        """Return what the model is told now."""
        return self._versions.active(prompt.name_of(work))

    def draft(self, work: Work, found: Found, answer: Answer | None = None) -> Draft:
        """Return what the model shall have a word on.

        Args:
            work: what has to be answered.
            found: by the retriever.
            answer: what that gives by itself, where it is known already.
        """
        if answer is None:
            answer = self._from_passages(work, found, Timings(), "")
        hits = cited_first(found.hits, answer.citations)
        return Draft(work, answer, hits, found.generation, self.prompt(work))

    def _key(self, draft: Draft) -> Key:
        """Return what makes another question the same: another model answers it otherwise."""
        return (*draft.key, self._model())

    async def model(self, job: Job, draft: Draft) -> None:
        """Give the job its final answer, with the model's word if it has a good one.

        Raises:
            Retryable: the ledger cannot be written now; the job is due again.
        """
        answer, record, whole = await self._with_model(job, draft)
        answer = sourced(answer, draft.hits)
        # One that was cut short does not stand for an alarm that comes again.
        shown = draft.generation if whole else None
        await self._give(job, answer, done=True, generation=shown, record=record)

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

    def release(self, place: str, answer_id: str) -> None:
        """Let an answer be final as its passages gave it: its alarm is gone."""
        self._reuse.release((place, answer_id))

    async def _retrieve(self, job: Job) -> tuple[Found, str]:
        """Return what was found, and the key of a note where the retriever stayed away."""
        work, wait = job.work, _RETRY_S
        request = search(work, self._config.orchestrator.passages)
        # Somebody may set the clock while we wait: it must not make that an hour.
        most = self._config.orchestrator.deadline_s
        until = time.monotonic() + min(job.deadline_at - time.time(), most)
        while True:
            left = until - time.monotonic()
            try:
                deadline_s = min(_SEARCH_S, max(left, _LATE_S))
                return await self._caller.call(SEARCH, request, deadline_s=deadline_s), ""
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

    async def _with_model(self, job: Job, draft: Draft) -> tuple[Answer, Record | None, bool]:
        """Return the model's answer; the passages' own where the model gives none in time.

        With it what it was made with, and whether it had that time; an alarm that goes ends it.
        """
        answer, record, whole = draft.answer, None, True
        begun = time.time()
        try:
            self._still_wanted(job.work)
            async with asyncio.timeout(max(job.deadline_at - begun, 0.5)):
                standing = await self._reuse.get_or_make(
                    self._key(draft),
                    lambda writing: self._write(job, draft, writing),
                    who=(job.work.place, job.work.answer_id),
                    priority=self._now(job.work)[0].priority,
                )
            final, record = _as(answer, standing.answer), standing.record
        except (Busy, Gone) as error:
            whole = isinstance(error, Busy)
            why = note("busy" if whole else "cleared", job.work.lang)
            final = msgspec.structs.replace(answer, note=join(answer.note, why))
        except TimeoutError:
            log.warning("the passages stand, the model gave no answer: the deadline is over")
            why = note("model_slow", job.work.lang)
            final = msgspec.structs.replace(answer, note=join(answer.note, why))
        except AndonError as error:
            log.warning("the passages stand, the model gave no answer: %s", error.reason)
            why = note("model_failed", job.work.lang).format(reason=error.reason)
            final = msgspec.structs.replace(answer, note=join(answer.note, why))
        ended = time.time()
        timings = msgspec.structs.replace(
            answer.timings_ms, model=_ms(begun, ended), total=_ms(job.received_at, ended)
        )
        final = msgspec.structs.replace(final, timings_ms=timings, created=now())
        return final, record, whole

    async def _write(self, job: Job, draft: Draft, writing: Writing) -> Outcome:
        """Have the model write the answer, and check it against the passages."""
        request = draft.request(writing.id, writing.priority)
        generated = await self._generate(job, request)
        return draft.outcome(request, generated, self._ledger.number(), least=self._least)

    async def _generate(self, job: Job, request: Generate) -> Generated:
        """Ask the bridge and hand on what it writes, piece by piece."""
        topic = STREAM.topic(self._config.prefix, asset=job.work.place)
        deadline_s = _DEADLINES * self._config.orchestrator.deadline_s
        seq = 0

        async def tell(delta: str, *, done: bool = False) -> None:
            nonlocal seq
            piece = StreamDelta(
                answer_id=job.work.answer_id, seq=seq, delta=harmless(delta), done=done
            )
            seq += 1
            try:
                await self._bus.publish(topic, STREAM.encode(piece), qos=STREAM.qos)
            except Retryable as error:
                log.debug("a piece of the stream is lost: %s", error)

        try:
            return await self._asking.generate(request, deadline_s=deadline_s, tell=tell)
        finally:
            await tell("", done=True)

    async def _give(
        self,
        job: Job,
        answer: Answer,
        *,
        done: bool,
        failed: str = "",
        generation: int | None = None,
        record: Record | None = None,
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
            job, answer, outgoing, done=done, failed=failed, generation=generation, record=record
        )
        self._committed()
        self.given += 1

    def _cleared(self, work: Work) -> bool:
        """Return whether the work's alarm is gone: it needs no model's time any more."""
        alarm = self._alarm(work.place, work.key, work.answer_id)[0] if work.key else None
        return alarm is not None and alarm.state == "cleared"

    def _still_wanted(self, work: Work) -> None:
        """Raise Gone where the alarm went since its passages came out."""
        if self._cleared(work):
            raise Gone("ask the language model", "the alarm is gone")

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
        prompt=standing.prompt,
        grounded=standing.grounded,
        extract=standing.extract,
        note=standing.note,
    )
