"""The way of one answer: retrieve, passages out, model, check, final out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from schemas.answers import Answer, StreamDelta, Timings
from schemas.channels import STREAM
from schemas.faults import Priority
from schemas.generation import Generate, Generated
from schemas.retrieval import Found
from services.orchestrator import prompt
from services.orchestrator.asking import Asking
from services.orchestrator.draft import Draft, drafted
from services.orchestrator.giving import AlarmOf, Giving
from services.orchestrator.ledger import Ledger
from services.orchestrator.made import Outcome, Record
from services.orchestrator.notes import join, model_failed, note, sourced
from services.orchestrator.plain import in_words_of, of_nothing, of_passages
from services.orchestrator.prepared import Prepared
from services.orchestrator.publication import harmless
from services.orchestrator.records import Job, Work
from services.orchestrator.reuse import Busy, Gone, Key, Reuse, Writing
from services.orchestrator.searching import Searching
from services.orchestrator.templates import Prompt
from services.orchestrator.versions import Versions
from services.runtime.bus import Bus
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import AndonError, Retryable
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

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
        alarm: AlarmOf,
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
            model: the model, as `made.known_as` has it, the last that was heard of; empty while
                unknown.
            alarm: as `Board.now`.
        """
        self._config = config
        self._ledger = ledger
        self._bus = bus
        self._searching = Searching(config.orchestrator, caller)
        self._giving = Giving(config, ledger, committed=committed, alarm=alarm)
        self._model_ready = model_ready
        self._prepared = prepared
        self._model = model
        self._versions = versions
        self._asking = asking
        self._least = config.orchestrator.grounded_share
        self._reuse = Reuse[Outcome](config.orchestrator.reuse_s, time.monotonic, urge=asking.urge)

    @property
    def given(self) -> int:
        """Return how many answers were given since the start."""
        return self._giving.given

    async def passages(self, job: Job) -> Draft | None:
        """Search, and give the job the answer its passages make.

        Returns:
            What the model shall have a word on; None where that was the final answer.

        Raises:
            Retryable: the ledger cannot be written now; the job is due again.
        """
        begun = time.time()
        found, missing = await self._searching.found(job)
        if missing and await self._giving.give_standing(job, note(missing, job.work.lang)):
            return None
        retrieved = time.time()
        timings = Timings(
            queue=_ms(job.received_at, begun),
            retrieve=_ms(begun, retrieved),
            total=_ms(job.received_at, retrieved),
        )
        answer = of_passages(job.work, found, timings, missing)
        generation = found.generation
        record, why = None, ""
        if self._config.orchestrator.use_model and answer.citations:
            ready = self._model_ready()
            # Where no model ever wrote anything its prompts need not be loaded.
            known = ready or self._reuse or self._prepared.some
            draft = self.draft(job.work, found, answer) if known else None
            if draft and (standing := self._reuse.get(self._key(draft))):
                answer, record = in_words_of(answer, standing.answer), standing.record
            elif draft and (prepared := await self._prepared.given(draft, found, self._model())):
                said = join(answer.note, prepared.answer.note)
                answer, record = in_words_of(answer, prepared.answer), prepared.record
                answer = msgspec.structs.replace(answer, note=said, prepared=True)
            elif time.time() >= job.deadline_at:
                why = "late"
            elif self._giving.cleared(job.work):
                why = "cleared"
            elif draft and ready:
                early = msgspec.structs.replace(answer, stage="passages")
                await self._giving.give(job, sourced(early, found.hits), done=False)
                return draft
            else:
                why = "no_model"
        if why:
            said = note(why, job.work.lang)
            answer = msgspec.structs.replace(answer, note=join(answer.note, said))
        answer = sourced(answer, found.hits)
        shown = None if missing or why == "cleared" else generation
        await self._giving.give(job, answer, done=True, generation=shown, record=record)
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
        return drafted(work, found, self.prompt(work), answer)

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
        await self._giving.give(job, answer, done=True, generation=shown, record=record)

    async def give_up(self, job: Job, reason: str) -> None:
        """Give the job a final answer, and do not try again.

        What its passages gave stands, if it is out; otherwise the answer says why there is none.

        Raises:
            Retryable: the ledger cannot be written now; the job is due again.
        """
        said = note("failed", job.work.lang)
        why = model_failed(job.work.lang)
        if await self._giving.give_standing(job, why, failed=reason):
            return
        timings = Timings(total=_ms(job.received_at, time.time()))
        answer = of_nothing(job.work, job.work.code, Found(hits=[]), timings, said)
        await self._giving.give(job, answer, done=True, failed=reason)

    def escalate(self, place: str, answer_id: str, priority: Priority) -> None:
        """Let an answer that waits for the model be more urgent from now on."""
        self._reuse.escalate((place, answer_id), priority)

    def release(self, place: str, answer_id: str) -> None:
        """Let an answer be final as its passages gave it: its alarm is gone."""
        self._reuse.release((place, answer_id))

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
                    priority=self._giving.now(job.work)[0].priority,
                )
            final, record = in_words_of(answer, standing.answer), standing.record
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
            why = model_failed(job.work.lang, error)
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

    def _still_wanted(self, work: Work) -> None:
        """Raise Gone where the alarm went since its passages came out."""
        if self._giving.cleared(work):
            raise Gone("ask the language model", "the alarm is gone")


def _ms(begin: float, end: float) -> float:
    return round((end - begin) * 1000, 1)
