"""How answers are given: kept and put into the outbox, as their alarm stands at that moment."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.answers import Answer
from schemas.faults import Alarm
from services.orchestrator.ledger import Ledger
from services.orchestrator.made import Record
from services.orchestrator.notes import join
from services.orchestrator.publication import given
from services.orchestrator.records import Job, Work, counted, current
from services.runtime.clock import now
from services.runtime.config import Config

AlarmOf = Callable[[str, str, str], tuple[Alarm | None, bool]]
"""As `Board.now`."""


class Giving:
    """Gives answers, and knows how their alarms are."""

    def __init__(
        self, config: Config, ledger: Ledger, *, committed: Callable[[], None], alarm: AlarmOf
    ) -> None:
        """Prepare.

        Args:
            config: the configuration.
            ledger: where answers are kept.
            committed: called when something new is in the outbox.
            alarm: how an alarm is now.
        """
        self._config = config
        self._ledger = ledger
        self._committed = committed
        self._alarm = alarm
        self.given = 0
        """Answers given since the start."""

    async def give(
        self,
        job: Job,
        answer: Answer,
        *,
        done: bool,
        failed: str = "",
        generation: int | None = None,
        record: Record | None = None,
    ) -> None:
        """Keep and publish an answer, with what was counted of its alarm meanwhile.

        Raises:
            Retryable: the ledger cannot be written now.
        """
        work, stands = self.now(job.work)
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

    async def give_standing(self, job: Job, why: str, *, failed: str = "") -> bool:
        """Give the job, as final, what it was given before, if that stands on the manuals.

        Returns:
            Whether there is such an answer: nothing without citations takes its place.

        Raises:
            Retryable: the ledger cannot be read or written now.
        """
        standing = await self._ledger.given(job)
        if standing is None or not standing.citations:
            return False
        said = standing.note if why in standing.note else join(standing.note, why)
        answer = msgspec.structs.replace(standing, stage="final", note=said, created=now())
        await self.give(job, answer, done=True, failed=failed)
        return True

    def cleared(self, work: Work) -> bool:
        """Return whether the work's alarm is gone: it needs no model's time any more."""
        alarm = self._alarm(work.place, work.key, work.answer_id)[0] if work.key else None
        return alarm is not None and alarm.state == "cleared"

    def now(self, work: Work) -> tuple[Work, bool]:
        """Return work as its alarm is now, and whether its answer may stand on its topics."""
        if not work.key:
            return work, True
        alarm, stands = self._alarm(work.place, work.key, work.answer_id)
        return (current(work, alarm) if alarm else work), stands
