"""The night shift's own course: what cannot be prepared holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.answers import Ask, Language
from schemas.channels import CORPUS, SEARCH
from schemas.generation import Generate, Generated, Point
from schemas.retrieval import (
    CorpusDocument,
    CorpusState,
    DocumentRef,
    Field,
    Found,
    Hit,
    Passage,
    Unit,
    UnitList,
)
from services.orchestrator import preparing
from services.orchestrator.asking import Asking
from services.orchestrator.board import Changes
from services.orchestrator.flow import Flow
from services.orchestrator.ledger import Ledger
from services.orchestrator.made import known_as
from services.orchestrator.night import Basis
from services.orchestrator.plan import Case, Coverage, Plan
from services.orchestrator.prepared import Prepared, told
from services.orchestrator.preparing import Preparing, Wanted
from services.orchestrator.records import Entry, Work
from services.orchestrator.versions import Versions
from services.runtime.config import Config, Night, Orchestrator, Trigger
from services.runtime.errors import DeadlineExceeded, Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller

pytestmark = pytest.mark.integration

ASSETS = ("plant/m1", "plant/m2")
CODES = ("E001", "E002", "E003", "E004")
MANUAL = DocumentRef(doc_id="d", revision=1, title="D", file="d.pdf", assets=list(ASSETS))


def passage(code: str) -> Passage:
    fields = [
        Field(name="Code", value=code),
        Field(name="Cause", value=f"the {code} fuse blew"),
        Field(name="Remedy", value=f"replace the {code} fuse"),
    ]
    text = " | ".join(f"{field.name}: {field.value}" for field in fields)
    return Passage(ordinal=CODES.index(code), text=text, kind="row", fields=fields)


class Retriever:
    """Finds one row a code; the second machine is shown another passage of the manual besides."""

    def __init__(self) -> None:
        self.generation = 3
        self.units: list[str] = []
        """Assets whose codes were asked for."""

    async def call(self, rpc: Any, request: Any, *, deadline_s: float) -> Found:
        assert (rpc, deadline_s > 0) == (SEARCH, True)
        shown = [Hit(document=MANUAL, passage=passage(request.code), score=1.0, by="code")]
        if request.asset == ASSETS[1]:
            more = Passage(ordinal=9, text="Fuses are in the cabinet.")
            shown.append(Hit(document=MANUAL, passage=more, score=0.5, by="words"))
        return Found(hits=shown, codes=[request.code], generation=self.generation)

    async def pages(
        self, rpc: Any, request: Any, *, deadline_s: float
    ) -> AsyncGenerator[Any, None]:
        assert deadline_s > 0
        if rpc is CORPUS:
            held = CorpusDocument(document=MANUAL, passages=9, active=True)
            yield CorpusState(documents=[held], passages=9, vectors=0, generation=3, embedding="")
        else:
            headers = ["Code", "Cause", "Remedy"]
            self.units.append(request.asset)
            yield UnitList(
                units=[Unit(code=code, kind="row", headers=headers) for code in CODES],
                generation=3,
            )


class Model:
    """Repeats the manual; breaks where told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.langs: list[str] = []
        self.within_s: list[float] = []
        """Deadlines."""
        self.breaks: dict[str, Exception] = {}
        """On which codes."""
        self.identity = ""
        self.took_ms = 0.0
        self.telling: list[object] = []
        """What the status said when it was asked."""
        self.health = Health()

    def urge(self, request_id: str, priority: object) -> None:
        raise AssertionError(f"nobody waits for {request_id}: {priority}")

    async def generate(self, request: Generate, *, deadline_s: float) -> Generated:
        assert request.background
        assert deadline_s > 0
        code = next(code for code in CODES if code in request.question)
        self.asked.append(code)
        self.langs.append(request.lang)
        self.within_s.append(deadline_s)
        self.telling.append(self.health.facts.get("preparing"))
        if code in self.breaks:
            raise self.breaks[code]
        text = f"Replace the {code} fuse."
        point = Point(text=text, passages=[1])
        used = len(request.passages)
        return Generated(
            summary=text,
            causes=[],
            actions=[point],
            model="phi",
            identity=self.identity,
            passages_used=used,
            total_ms=self.took_ms,
        )


@dataclass
class Shift:
    """A night shift, and what it works with."""

    night: Preparing
    plan: Plan
    basis: Basis
    model: Model
    retriever: Retriever
    health: Health
    flow: Flow
    known: dict[str, str] = field(default_factory=dict)

    async def all_done(self) -> None:
        """Go on until nothing is due."""
        while not self.night._done:
            await self.night._step()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(tmp_path / "ledger.db")
    yield opened
    await opened.close()


async def begun(ledger: Ledger, night: Night | None = None, **settings: Any) -> Shift:
    """Return a night shift."""
    night = night or Night(after_s=0, share=1)
    config = Config(orchestrator=Orchestrator(night=night, **settings))
    retriever, model, known = Retriever(), Model(), {"model": known_as("phi", "")}
    caller = cast("Caller", retriever)
    versions = await Versions.open(ledger.database)
    prepared, plan = Prepared(ledger.database), Plan(ledger.database)
    flow = Flow(
        config,
        ledger,
        cast("Any", None),
        caller,
        versions=versions,
        asking=cast("Asking", model),
        committed=lambda: None,
        model_ready=lambda: True,
        prepared=prepared,
        model=lambda: known["model"],
        alarm=lambda _place, _key, _id: (None, True),
    )
    wanted = Wanted(
        idle_since=time.monotonic,
        model=lambda: known["model"],
        generation=lambda: retriever.generation,
        flow=flow,
        asking=cast("Asking", model),
        number=ledger.number,
        stopping=asyncio.Event(),
    )
    basis = Basis(3, "phi", told(versions.active("fault.en")))
    preparations = Preparing(config, prepared, plan, caller, model.health, wanted=wanted)
    return Shift(preparations, plan, basis, model, retriever, model.health, flow, known)


async def test_what_cannot_be_prepared_holds_nobody_up_and_machines_share_what_is(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_AGAIN_S", 0.01)
    monkeypatch.setattr(preparing, "_BATCH", 3)
    shift = await begun(ledger)
    shift.model.breaks = {
        "E001": Retryable("ask the language model", "no JSON"),
        "E003": ZeroDivisionError("as nothing should"),
    }
    night = asyncio.create_task(shift.night.run())
    fine = {asset: Coverage(codes=4, ready=2, due=2) for asset in ASSETS}
    async with asyncio.timeout(60):
        while await shift.plan.coverage("en", shift.basis) != fine:
            assert not night.done(), night.exception()
            await asyncio.sleep(0.01)
    night.cancel()
    await asyncio.wait([night])
    # Once a machine for what breaks, once in all for what both have.
    assert sorted(shift.model.asked) == ["E001", "E001", "E002", "E003", "E003", "E004"]


async def test_a_request_ends_with_the_hours_and_goes_first_in_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.now() + timedelta(minutes=3)  # noqa: DTZ005  the box's own clock
    begin = end - timedelta(hours=1)
    shift = await begun(ledger, Night(after_s=0, hours=(f"{begin:%H:%M}-{end:%H:%M}",)))
    await shift.night._step()
    assert 0 < shift.model.within_s[0] <= 180
    shift.model.breaks = dict.fromkeys(CODES, DeadlineExceeded("ask", "the deadline is over"))
    monkeypatch.setattr(preparing, "closes", lambda _, moment: moment + timedelta(seconds=0.5))
    while len(shift.model.asked) < 3:
        await shift.night._step()
    assert shift.model.asked[1] == shift.model.asked[2], "it is not put off for an hour"
    assert shift.model.within_s[-1] <= 0.5


async def test_outside_of_the_hours_nothing_is_said_to_be_prepared(ledger: Ledger) -> None:
    shift = await begun(ledger)
    await shift.night._step()
    assert shift.model.telling == ["E001 for plant/m1"]
    assert shift.health.facts["preparing"] == ""


async def test_the_rest_is_for_what_the_model_worked_and_not_for_its_queue(ledger: Ledger) -> None:
    shift = await begun(ledger, Night(after_s=0, share=0.25))
    shift.model.took_ms = 2000.0
    assert await shift.night._step() == pytest.approx(6.0)


async def test_another_model_of_the_same_name_makes_all_due_again(ledger: Ledger) -> None:
    shift = await begun(ledger)
    await shift.all_done()
    asked = len(shift.model.asked)
    shift.known["model"] = known_as("phi", "b2")
    await shift.night._step()
    assert not shift.night._done, "what the one before wrote is not kept as this one's"
    assert (await shift.plan.coverage("en", shift.basis))["plant/m1"].ready == 4
    shift.model.identity = "b2"
    await shift.all_done()
    assert len(shift.model.asked) == 2 * asked + 1


async def test_only_what_changed_is_planned_anew(ledger: Ledger) -> None:
    shift = await begun(ledger)
    planning = shift.night._planning
    assert await planning.renew(3, 0)
    assert shift.retriever.units == list(ASSETS)
    assert not await planning.renew(3, 0)
    await report(ledger, ASSETS[1], "E009")
    assert await planning.renew(3, 1)
    assert shift.retriever.units[2:] == [ASSETS[1]]
    first = await shift.plan.due("en", shift.basis, 1)
    assert [(case.asset, case.code) for case in first] == [(ASSETS[0], "E001")]
    assert (await shift.plan.coverage("en", shift.basis))[ASSETS[1]].codes == 5
    await report(ledger, ASSETS[1], "E009")
    assert not await planning.renew(3, 2), "it occurred once more"
    assert await planning.renew(4, 2), "manuals changed"
    assert sorted(shift.retriever.units[3:]) == sorted(ASSETS)
    await shift.plan.put("plant/former", "en", ["E1"])
    assert await planning.renew(5, 2)
    assert set(await shift.plan.coverage("en", shift.basis)) == set(ASSETS)


async def report(ledger: Ledger, asset: str, code: str, lang: Language = "en") -> None:
    """Have the ledger know that a code occurred."""
    moment = "2026-01-31T12:00:00.000Z"
    work = Work(
        answer_id=f"a{ledger.number()}",
        place=asset,
        asset=asset,
        code=code,
        question=f"Fault {code}",
        lang=lang,
        priority="warning",
        trace="",
        first_seen=moment,
        last_seen=moment,
    )
    entry = Entry("t", Ask(question="as if a person had asked"), moment, work=work)
    await ledger.accept([entry], [], Changes({}, {}), deadline_s=60)


async def test_one_language_follows_the_other(ledger: Ledger) -> None:
    """Requests of the same prompt share what the model's server has read of it."""
    chinese = Trigger(topic="plant/+/alarm", lang="zh")
    shift = await begun(ledger, triggers=(chinese,))
    await shift.all_done()
    assert sorted(shift.model.langs) == shift.model.langs == ["en"] * 4 + ["zh"] * 4
    facts = shift.health.facts
    assert (facts["prepared"], facts["prepared_of"], facts["prepared_in"]) == (16, 16, "en, zh")


async def test_the_language_a_machine_speaks_is_prepared_for_it_unasked(ledger: Ledger) -> None:
    """Its faults come with Chinese words, and the configuration says nothing of Chinese."""
    await report(ledger, ASSETS[1], "E003", "zh")
    shift = await begun(ledger)
    await shift.all_done()
    assert shift.model.langs == ["en"] * 4 + ["zh"] * 4
    assert shift.model.asked[4] == "E003", "what occurred goes first"
    assert set(await shift.plan.coverage("zh", shift.basis)) == {ASSETS[1]}
    facts = shift.health.facts
    assert (facts["prepared_of"], facts["prepared_in"]) == (12, "en, zh")
    assert facts[f"prepared {ASSETS[1]}"].startswith("8 of 8")


@pytest.mark.parametrize(
    ("code", "told"),
    [("#2", "code 2 for plant/m1"), ("E005", "E005 for plant/m1"), ("#A1", "#A1 for plant/m1")],
)
def test_what_is_prepared_is_told_as_a_person_reads_it(code: str, told: str) -> None:
    assert str(Case("plant/m1", "en", code)) == told
