"""The night shift: answers for the codes that may strike, while the language model is idle."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import msgspec

from schemas.answers import Language
from schemas.channels import CORPUS, SEARCH, UNITS
from schemas.retrieval import CorpusQuery, Found, UnitQuery
from services.orchestrator.asking import Asking
from services.orchestrator.flow import Flow
from services.orchestrator.night import Basis, is_open, planned, rest_s, worth_preparing
from services.orchestrator.prepared import Case, Coverage, Prepared, shown, told, unit_of
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
_TOLD = 50
"""Assets whose coverage the status tells."""
_DAY_S = 86_400.0
_ASSET = "prepared "
"""Begins the fact of an asset's coverage."""


@dataclass(slots=True)
class Wanted:
    """What the preparations need to know of the rest of the service."""

    idle_since: Callable[[], float | None]
    """Since when there is no other work, seconds of a clock that never steps back; None: busy."""
    model: Callable[[], str]
    """Name of the model that can be asked now; empty where there is none."""
    generation: Callable[[], int | None]
    """Of the corpus; None while unknown."""
    flow: Flow
    """The way a live answer goes."""
    asking: Asking
    """The model."""
    number: Callable[[], int]
    """Of a new record of what an answer is made with."""


class Preparing:
    """Prepares answers, one at a time, and tells how far it is.

    The bridge lets every other request go first and cuts a preparation off for it; here none is
    begun while there is other work.
    """

    def __init__(
        self,
        config: Config,
        prepared: Prepared,
        caller: Caller,
        health: Health,
        wanted: Wanted,
    ) -> None:
        """Prepare.

        Args:
            config: the configuration.
            prepared: where answers are kept.
            caller: for the retriever and the bridge.
            health: where the progress is told.
            wanted: the rest of the service.
        """
        self._settings = config.orchestrator.night
        self._limit = config.orchestrator.passages
        self._least = config.orchestrator.grounded_share
        self._keep_s = config.orchestrator.keep_days * _DAY_S
        self._prepared = prepared
        self._caller = caller
        self._health = health
        self._wanted = wanted
        told = [config.orchestrator.lang, *(t.lang for t in config.orchestrator.triggers if t.lang)]
        self._langs: list[Language] = list(dict.fromkeys(told))
        self._planned_at: object = None
        self._planned: object = None
        self._done: dict[Language, Basis] = {}
        self._next: dict[Language, tuple[Basis, list[Case]]] = {}
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
            except Retryable as error:
                log.info("preparing answers waits: %s", error)
                pause = _AGAIN_S
            except AndonError as error:
                log.warning("preparing answers waits: %s", error)
                pause = _AGAIN_S
            await asyncio.sleep(pause)

    def _may_begin(self) -> bool:
        since = self._wanted.idle_since()
        return (
            bool(self._wanted.model())
            and since is not None
            and time.monotonic() - since >= self._settings.after_s
            and is_open(self._settings.hours, datetime.now().astimezone().time())
        )

    def _basis(self, lang: Language) -> Basis | None:
        generation = self._wanted.generation()
        if generation is None:
            return None
        prompt = self._wanted.flow.prompt(_work(Case("", lang, "")))
        return Basis(generation, self._wanted.model(), told(prompt))

    async def _step(self) -> float:
        """Prepare one answer; return how long to rest, s."""
        bases = {lang: basis for lang in self._langs if (basis := self._basis(lang))}
        if not await self._plan() and bases == self._done:
            return _LOOK_S
        self._done = {}
        for lang, basis in bases.items():
            if (case := await self._due(lang, basis)) is not None:
                began = time.monotonic()
                self._health.facts["preparing"] = f"{case.code} for {case.asset}"
                pause = await self._work(case, basis)
                if time.monotonic() - self._counted_at >= _COUNT_S:
                    await self._count(bases)
                took_s = time.monotonic() - began
                return rest_s(took_s, self._settings.share) if pause is None else pause
            if not self._aside:
                await self._prepared.tidy(basis, keep_s=self._keep_s)
        self._health.facts["preparing"] = ""
        await self._count(bases)
        if self._aside:
            return _AGAIN_S
        self._done = bases
        return _LOOK_S

    async def _due(self, lang: Language, basis: Basis) -> Case | None:
        """Return the likeliest code whose answer is due, those set aside left out."""
        known, cases = self._next.get(lang, (None, []))
        if known != basis or not cases:
            at = time.monotonic()
            self._aside = {case: until for case, until in self._aside.items() if until > at}
            due = await self._prepared.due(lang, basis, _BATCH + len(self._aside))
            cases = [case for case in reversed(due) if case not in self._aside]
            self._next[lang] = (basis, cases)
        return cases.pop() if cases else None

    async def _work(self, case: Case, basis: Basis) -> float | None:
        """Prepare an answer; return how long to wait, s; None for the rest that work asks for.

        Raises:
            AndonError: the retriever is away, or the ledger cannot be read or written.
        """
        found = await self._search(case)
        try:
            return None if await self._prepare(case, basis, found) else _LOOK_S
        except Damaged:
            raise
        except AndonError as error:
            log.info("%s for %s is prepared later: %s", case.code, case.asset, error)
        except Exception:
            log.exception("%s for %s could not be prepared", case.code, case.asset)
        # It would fail again at once, and must not hold up the others.
        self._aside[case] = time.monotonic() + _LATER_S
        return _AGAIN_S

    async def _plan(self) -> bool:
        """Put down which codes may strike, where manuals or what occurred have changed since.

        Returns:
            Whether it was so.
        """
        state = (self._wanted.generation(), self._wanted.flow.given)
        if state == self._planned_at:
            return False
        occurred = await self._prepared.occurred()
        plan = (state[0], frozenset(occurred))
        changed = plan != self._planned
        if changed:
            bound = await self._bound()
            assets = list(dict.fromkeys([*(case.asset for case in occurred), *bound]))
            for asset in assets:
                units = await self._units(asset)
                for lang in self._langs:
                    seen = [c.code for c in occurred if (c.asset, c.lang) == (asset, lang)]
                    await self._prepared.plan(asset, lang, planned(seen, units))
            await self._prepared.only(assets)
            self._next.clear()
        self._planned_at, self._planned = state, plan
        return changed

    async def _bound(self) -> list[str]:
        """Return the assets that documents name, patterns left aside."""
        found: dict[str, None] = {}
        async for page in self._caller.pages(CORPUS, CorpusQuery(totals=False), deadline_s=_RPC_S):
            for held in page.documents:
                if held.active:
                    plain = (one for one in held.document.assets if not {"+", "#"} & set(one))
                    found |= dict.fromkeys(plain)
        return list(found)

    async def _units(self, asset: str) -> list[str]:
        """Return the fault codes that the manuals of an asset define."""
        return [
            unit.code
            async for page in self._caller.pages(UNITS, UnitQuery(asset=asset), deadline_s=_RPC_S)
            for unit in page.units
            if worth_preparing(unit)
        ]

    async def _search(self, case: Case) -> Found:
        asked = search(_work(case), self._limit)
        found: Found = await self._caller.call(SEARCH, asked, deadline_s=_RPC_S)
        return found

    async def _prepare(self, case: Case, basis: Basis, found: Found) -> bool:
        """Have an answer for a code, or know why there is none; return whether that is known.

        Raises:
            AndonError: it could not be made now; it stays due.
        """
        draft = self._wanted.flow.draft(_work(case), found)
        if (found.generation, told(draft.prompt)) != (basis.generation, basis.prompt):
            return False  # a manual or the prompt changed meanwhile
        # What is to be said of the machine and the search is said when the fault strikes.
        plain = msgspec.structs.replace(draft.answer, note="")
        draft = dataclasses.replace(draft, answer=plain)
        unit = unit_of(draft, found)
        if not unit:
            await self._prepared.checked(case, basis, "no manual defines it")
            return True
        request = draft.request(f"prepared.{uuid4().hex}", "advice", background=True)
        digest = shown(draft, found)
        kept = await self._prepared.kept(unit, case.lang, basis)
        # Another machine with the same manuals may be shown other passages of them.
        if kept and (kept.generation == basis.generation or kept.shown == digest):
            await self._prepared.checked(case, basis, kept.reason, unit=unit)
            return True
        generated = await self._wanted.asking.generate(request, deadline_s=_MODEL_S)
        if generated.model != basis.model:
            return False  # the model was changed meanwhile
        outcome = draft.outcome(request, generated, self._wanted.number(), least=self._least)
        stands = outcome.answer.answered_by == "model" and outcome.answer.grounded
        await self._prepared.keep(
            case,
            basis,
            unit=unit,
            digest=digest,
            outcome=outcome,
            reason="" if stands else "what the model wrote does not stand on the manuals",
        )
        return True

    async def _count(self, bases: Mapping[Language, Basis]) -> None:
        """Tell how far the preparations are, in all and by asset."""
        self._counted_at = time.monotonic()
        total: dict[str, Coverage] = {}
        for lang, basis in bases.items():
            for asset, one in (await self._prepared.coverage(lang, basis)).items():
                total[asset] = total.get(asset, Coverage(0, 0, 0)).plus(one)
        facts = self._health.facts
        for name in [one for one in facts if one.startswith(_ASSET)]:
            del facts[name]
        facts["prepared"] = sum(one.ready for one in total.values())
        facts["to_prepare"] = sum(one.due for one in total.values())
        for asset, one in sorted(total.items())[:_TOLD]:
            facts[f"{_ASSET}{asset}"] = f"{one.ready} of {one.codes}"


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
