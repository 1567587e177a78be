"""The night shift: answers for the codes that may strike, while the language model is idle."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import msgspec

from schemas.answers import Language
from schemas.channels import SEARCH
from schemas.retrieval import Found
from services.orchestrator.asking import Asking
from services.orchestrator.flow import Flow
from services.orchestrator.made import known_as
from services.orchestrator.night import Basis, closes, rest_s
from services.orchestrator.plan import ASSET, DOUBTFUL, UNDEFINED, Case, Coverage, Plan, facts_of
from services.orchestrator.planning import Planning
from services.orchestrator.prepared import Prepared, shown, told, unit_of
from services.orchestrator.records import Work, search
from services.orchestrator.triggers import question_about
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import AndonError, Damaged, Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

_LOOK_S = 2.0
"""Pause between two looks at whether there is anything to do, s."""
_AGAIN_S = 30.0
"""Pause after a failure, s."""
_LATER_S = 3600.0
"""An answer that could not be made is tried again after so long: others go first, s."""
_BATCH = 100
"""So many due answers are looked up together: in a large plant each look takes its time."""
_COUNT_S = 5.0
"""The progress is counted as often, s."""
_RPC_S = 30.0
_MODEL_S = 6 * 3600.0
"""An answer that is prepared waits for its turn as long as the model is wanted elsewhere, s."""
_CLOSING_S = 1.0
"""The bridge ends a request a little before its deadline, s."""
_DAY_S = 86_400.0


@dataclass(slots=True)
class Wanted:
    """What the preparations need to know of the rest of the service."""

    idle_since: Callable[[], float | None]
    """Since when there is no other work, seconds of a clock that never steps back; None: busy."""
    model: Callable[[], str]
    """The model that can be asked now, as `made.known_as` has it; empty where there is none."""
    generation: Callable[[], int | None]
    """Of the corpus; None while unknown."""
    flow: Flow
    """The way a live answer goes."""
    asking: Asking
    """The model."""
    number: Callable[[], int]
    """Of a new record of what an answer is made with."""
    stopping: asyncio.Event
    """Set when the service ends: nothing is begun then."""


class Preparing:
    """Prepares answers, one at a time, and tells how far it is.

    The bridge lets every other request go first and cuts a preparation off for it; here none is
    begun while there is other work. One language after the other: answers of the same prompt that
    follow each other share what the model's server has read of it.
    """

    def __init__(
        self,
        config: Config,
        prepared: Prepared,
        plan: Plan,
        caller: Caller,
        health: Health,
        *,
        wanted: Wanted,
    ) -> None:
        """Prepare.

        Args:
            config: the configuration.
            prepared: where answers are kept.
            plan: where it is kept what to prepare.
            caller: for the retriever and the bridge.
            health: where the progress is told.
            wanted: the rest of the service.
        """
        self._settings = config.orchestrator.night
        self._limit = config.orchestrator.passages
        self._least = config.orchestrator.grounded_share
        self._keep_s = config.orchestrator.keep_days * _DAY_S
        self._prepared = prepared
        self._plan = plan
        self._caller = caller
        self._health = health
        self._wanted = wanted
        told = [config.orchestrator.lang, *(t.lang for t in config.orchestrator.triggers if t.lang)]
        self._planning = Planning(plan, caller, list(dict.fromkeys(told)))
        self._known: dict[Language, Basis] = {}
        self._done = False
        """Whether nothing is due with what is known."""
        self._next: dict[Language, list[Case]] = {}
        """What is due, the likeliest last."""
        self._aside: dict[Case, float] = {}
        """What could not be made, and until when it waits."""
        self._counted_at = -_COUNT_S

    async def run(self) -> None:
        """Prepare what is due, whenever it may be done."""
        while True:
            pause = _LOOK_S
            try:
                if self._may_begin():
                    pause = await self._step()
            except Damaged:
                raise  # the process ends, and the next one mends the ledger
            except AndonError as error:
                # When all ends together the others may be gone before us.
                if not self._wanted.stopping.is_set():
                    level = logging.INFO if isinstance(error, Retryable) else logging.WARNING
                    log.log(level, "preparing answers waits: %s", error)
                pause = _AGAIN_S
            await asyncio.sleep(pause)

    def _may_begin(self) -> bool:
        since = self._wanted.idle_since()
        return (
            bool(self._wanted.model())
            and since is not None
            and time.monotonic() - since >= self._settings.after_s
            and self._left_s() > 0
            and not self._wanted.stopping.is_set()
        )

    def _left_s(self) -> float:
        """Return how long answers may be prepared from now on, s."""
        moment = datetime.now()  # noqa: DTZ005  the hours are those of the box's own clock
        end = closes(self._settings.hours, moment)
        return math.inf if end is None else end.timestamp() - moment.timestamp()

    def _basis(self, lang: Language, generation: int) -> Basis:
        prompt = self._wanted.flow.prompt(_work(Case("", lang, "")))
        return Basis(generation, self._wanted.model(), told(prompt))

    async def _step(self) -> float:
        """Prepare one answer; return how long to rest, s."""
        generation = self._wanted.generation()
        if generation is None:
            return _LOOK_S
        renewed = await self._planning.renew(generation, self._wanted.flow.given)
        bases = {lang: self._basis(lang, generation) for lang in self._planning.langs}
        if renewed or bases != self._known:
            self._known, self._done = bases, False
            self._next.clear()
            await self._count()
        if self._done:
            return _LOOK_S
        for lang, basis in bases.items():
            if (case := await self._due(lang, basis)) is not None:
                self._health.facts["preparing"] = str(case)
                try:
                    pause = await self._work(case, basis)
                finally:
                    self._health.facts["preparing"] = ""
                if time.monotonic() - self._counted_at >= _COUNT_S:
                    await self._count()
                return pause
            if not self._aside:
                await self._prepared.tidy(basis, keep_s=self._keep_s)
        await self._count()
        if self._aside:
            return _AGAIN_S
        self._done = True
        return _LOOK_S

    async def _due(self, lang: Language, basis: Basis) -> Case | None:
        """Return the likeliest code whose answer is due, those set aside left out."""
        if not self._next.get(lang):
            at = time.monotonic()
            self._aside = {case: until for case, until in self._aside.items() if until > at}
            due = await self._plan.due(lang, basis, _BATCH + len(self._aside))
            self._next[lang] = [case for case in reversed(due) if case not in self._aside]
        return self._next[lang].pop() if self._next[lang] else None

    async def _work(self, case: Case, basis: Basis) -> float:
        """Prepare an answer; return how long to wait, s.

        Raises:
            AndonError: the retriever is away, or the ledger cannot be read or written.
        """
        found = await self._search(case)
        try:
            took_s = await self._prepare(case, basis, found)
        except Damaged:
            raise
        except AndonError as error:
            if self._wanted.stopping.is_set():
                return _LOOK_S
            if self._left_s() < _CLOSING_S:
                log.info("%s was not ready when the hours ended", case)
                self._next.clear()  # it is the likeliest still
                return _LOOK_S
            log.info("%s is prepared later: %s", case, error)
        except Exception:
            log.exception("%s could not be prepared", case)
        else:
            return _LOOK_S if took_s is None else rest_s(took_s, self._settings.share)
        # It would fail again at once, and must not hold up the others.
        self._aside[case] = time.monotonic() + _LATER_S
        return _AGAIN_S

    async def _search(self, case: Case) -> Found:
        asked = search(_work(case), self._limit)
        found: Found = await self._caller.call(SEARCH, asked, deadline_s=_RPC_S)
        return found

    async def _prepare(self, case: Case, basis: Basis, found: Found) -> float | None:
        """Have an answer for a code, or know why there is none.

        Returns:
            How long the model worked at it, s; None where it is still not known.

        Raises:
            AndonError: it could not be made now; it stays due.
        """
        draft = self._wanted.flow.draft(_work(case), found)
        if (found.generation, told(draft.prompt)) != (basis.generation, basis.prompt):
            return None  # a manual or the prompt changed meanwhile
        # What is to be said of the machine and the search is said when the fault strikes.
        plain = msgspec.structs.replace(draft.answer, note="")
        draft = dataclasses.replace(draft, answer=plain)
        unit = unit_of(draft, found)
        if not unit:
            await self._prepared.checked(case, basis, UNDEFINED)
            return 0.0
        request = draft.request(f"prepared.{uuid4().hex}", "advice", background=True)
        digest = shown(draft, found)
        kept = await self._prepared.kept(unit, case.lang, basis)
        # Another machine with the same manuals may be shown other passages of them.
        if kept and (kept.generation == basis.generation or kept.shown == digest):
            await self._prepared.checked(case, basis, kept.reason, unit=unit)
            return 0.0
        deadline_s = min(_MODEL_S, self._left_s())
        generated = await self._wanted.asking.generate(request, deadline_s=deadline_s)
        if known_as(generated.model, generated.identity) != basis.model:
            return None  # the model was changed meanwhile
        outcome = draft.outcome(request, generated, self._wanted.number(), least=self._least)
        stands = outcome.answer.answered_by == "model" and outcome.answer.grounded
        await self._prepared.keep(
            case,
            basis,
            unit=unit,
            digest=digest,
            outcome=outcome,
            reason="" if stands else DOUBTFUL,
        )
        # Not what it waited for its turn.
        return generated.total_ms / 1000

    async def _count(self) -> None:
        """Tell how far the preparations are, in all and by asset."""
        self._counted_at = time.monotonic()
        assets: dict[str, Coverage] = {}
        for lang, basis in self._known.items():
            for asset, one in (await self._plan.coverage(lang, basis)).items():
                assets[asset] = assets.get(asset, Coverage()).plus(one)
        facts = self._health.facts
        for name in [one for one in facts if one.startswith(ASSET)]:
            del facts[name]
        facts.update(facts_of(assets))
        facts["prepared_in"] = ", ".join(self._known)


def _work(case: Case) -> Work:
    moment = now()
    return Work(
        answer_id="prepared",
        place=case.asset,
        asset=case.asset,
        code=case.code,
        question=question_about(case.code, "", case.lang),
        lang=case.lang,
        priority="advice",
        trace="",
        first_seen=moment,
        last_seen=moment,
    )
