"""Prepared answers in the ledger: what is due, what is given, what is forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from schemas.answers import Answer
from schemas.generation import Generate, Generated
from schemas.prompts import Made
from schemas.retrieval import DocumentRef, Found, Hit, Passage
from services.orchestrator.draft import Draft
from services.orchestrator.ledger import Ledger
from services.orchestrator.made import Outcome, known_as, packed
from services.orchestrator.night import Basis
from services.orchestrator.plan import COVERED, DOUBTFUL, DUE, Case, Coverage, Plan
from services.orchestrator.prepared import Prepared, shown, told, unit_of
from services.orchestrator.records import Work
from services.orchestrator.templates import Prompt, Template
from services.orchestrator.versions import shipped

pytestmark = pytest.mark.integration

MOMENT = "2026-01-31T12:00:00.000Z"
SHIPPED = Prompt("fault.en", 0, Template(shipped("fault.en")))
OF_MACHINE = Prompt(
    "fault.en",
    1,
    Template(
        "{% block system %}s{% endblock %}"
        "{% block question %}{{ question }} {{ asset }}{% endblock %}"
    ),
)
BASIS = Basis(generation=3, model="phi", prompt=told(SHIPPED))
CASE = Case("plant/m1", "en", "E1")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(tmp_path / "ledger.db")
    yield opened
    await opened.close()


@pytest.fixture
def prepared(ledger: Ledger) -> Prepared:
    return Prepared(ledger.database)


@pytest.fixture
def plan(ledger: Ledger) -> Plan:
    return Plan(ledger.database)


def found(code: str = "E1", revision: int = 1, generation: int = 3, by: str = "code") -> Found:
    document = DocumentRef(doc_id="d", revision=revision, title="D", file="d.pdf")
    hit = Hit(document=document, passage=Passage(ordinal=7, text="x"), score=1.0, by=by)  # type: ignore[arg-type]
    return Found(hits=[hit], codes=[code], generation=generation)


def answer(summary: str) -> Answer:
    return Answer(
        id="prepared",
        stage="final",
        asset=None,
        code="E1",
        question="q",
        lang="en",
        summary=summary,
        text="",
        answered_by="model",
        first_seen=MOMENT,
        last_seen=MOMENT,
        created=MOMENT,
    )


def draft(of: Found, prompt: Prompt = SHIPPED, asset: str = "plant/m1", code: str = "E1") -> Draft:
    work = Work(
        answer_id="a",
        place=asset,
        asset=asset,
        code=code,
        question="Fault E1",
        lang="en",
        priority="warning",
        trace="",
        first_seen=MOMENT,
        last_seen=MOMENT,
    )
    return Draft(work, answer("of the passages"), of.hits, of.generation, prompt)


def unit(of: Found, prompt: Prompt = SHIPPED, asset: str = "plant/m1") -> str:
    return unit_of(draft(of, prompt, asset), of)


def outcome(number: int, summary: str) -> Outcome:
    request = Generate(id="a", system="s", question="q", passages=[], lang="en")
    generated = Generated(summary=summary, causes=[], actions=[], model="phi", passages_used=0)
    making = Made(
        prompt="fault.en@0",
        digest="d",
        request=request,
        generated=generated,
        generation=3,
        doubts=[],
        share=1.0,
        created=MOMENT,
    )
    return Outcome(answer(summary), packed(number, making))


async def keep(prepared: Prepared, basis: Basis, summary: str, revision: int = 1) -> None:
    of = unit(found(revision=revision))
    made = outcome(abs(hash((basis, summary))) % 2**40, summary)
    await prepared.keep(CASE, basis, unit=of, digest=b"d", outcome=made)


async def given(prepared: Prepared, of: Found, model: str = "phi") -> str:
    got = await prepared.given(draft(of), of, model)
    return got.answer.summary if got else ""


async def due(plan: Plan, basis: Basis = BASIS) -> Case | None:
    return next(iter(await plan.due("en", basis, 1)), None)


async def test_the_likely_codes_come_first_and_one_that_was_done_no_more(
    prepared: Prepared,
    plan: Plan,
) -> None:
    await plan.put("plant/m1", "en", ["E1", "E2"])
    await plan.put("plant/m2", "en", ["E9"])
    seen = []
    while case := await due(plan):
        seen.append((case.asset, case.code))
        await prepared.checked(case, BASIS, "" if case.code != "E2" else "none")
    assert seen == [("plant/m1", "E1"), ("plant/m2", "E9"), ("plant/m1", "E2")]
    assert await plan.coverage("en", BASIS) == {
        "plant/m1": Coverage(codes=2, ready=1),
        "plant/m2": Coverage(codes=1, ready=1),
    }
    assert await plan.due("zh", BASIS, 9) == []


@pytest.mark.parametrize(("query", "plainly"), [(DUE, "COVERING INDEX"), (COVERED, "SCAN plan")])
async def test_a_large_plan_is_not_looked_at_row_by_row(
    ledger: Ledger, query: str, plainly: str
) -> None:
    values = ("en", str(BASIS), 9)
    steps = await ledger.database.fetch(f"EXPLAIN QUERY PLAN {query}", values)
    [step] = [str(row["detail"]) for row in steps]
    assert plainly in step


@pytest.mark.parametrize(
    "other",
    [
        Basis(4, "phi", BASIS.prompt),
        Basis(3, "qwen", BASIS.prompt),
        Basis(3, known_as("phi", "its file was replaced"), BASIS.prompt),
        Basis(3, "phi", "another"),
    ],
)
async def test_another_manual_model_or_prompt_makes_all_due_again(
    prepared: Prepared, plan: Plan, other: Basis
) -> None:
    await plan.put("plant/m1", "en", ["E1"])
    await keep(prepared, BASIS, "a")
    assert await due(plan) is None
    assert await due(plan, other) == CASE


async def test_a_plan_that_is_made_anew_keeps_what_was_done(prepared: Prepared, plan: Plan) -> None:
    await plan.put("plant/m1", "en", ["E1", "E2"])
    await keep(prepared, BASIS, "a")
    await plan.put("plant/m1", "en", ["E3", "E1"])
    found_due = [await due(plan)]
    await prepared.checked(Case("plant/m1", "en", "E3"), BASIS)
    found_due.append(await due(plan))
    assert found_due == [Case("plant/m1", "en", "E3"), None]
    await plan.only(["plant/m2"])
    assert await plan.coverage("en", BASIS) == {}


async def test_an_answer_is_given_for_its_code_manual_generation_prompt_and_model(
    prepared: Prepared,
) -> None:
    await keep(prepared, BASIS, "a")
    assert await given(prepared, found()) == "a"
    for other in (found("E2"), found(revision=2), found(generation=4), found(by="words")):
        assert await given(prepared, other) == ""
    assert await given(prepared, Found(hits=[], codes=["E1"], generation=3)) == ""
    for model in ("qwen", known_as("phi", "its file was replaced")):
        assert await given(prepared, found(), model=model) == ""
    assert await given(prepared, found(), model="") == "a", "no model is known: any will do"
    assert await prepared.given(draft(found(), OF_MACHINE), found(), "phi") is None
    assert await prepared.given(draft(found(), code=""), found(), "phi") is None, "a question"


def test_a_prompt_that_names_the_machine_makes_an_answer_for_each() -> None:
    one, other = (unit(found(), OF_MACHINE, asset) for asset in ("plant/m1", "plant/m2"))
    assert one != other
    assert unit(found(), asset="plant/m1") == unit(found(), asset="plant/m2")


async def test_what_rests_on_one_machines_own_notes_is_not_given_to_another(
    prepared: Prepared,
) -> None:
    notes = DocumentRef(doc_id="n", revision=1, title="N", file="n.md", assets=["plant/m1"])
    note = Hit(document=notes, passage=Passage(ordinal=0, text="y"), score=0.5, by="words")
    plain = found()
    own = Found(hits=[*plain.hits, note], codes=plain.codes, generation=plain.generation)
    await prepared.keep(CASE, BASIS, unit=unit(own), digest=b"d", outcome=outcome(1, "of m1"))
    assert await given(prepared, own) == "of m1"
    other = await prepared.given(draft(plain, asset="plant/m2"), plain, "phi")
    assert other is None


async def test_what_it_was_made_with_goes_along(prepared: Prepared) -> None:
    await keep(prepared, BASIS, "a")
    got = await prepared.given(draft(found()), found(), "phi")
    assert got is not None
    assert got.record.id
    assert got.record.request
    assert prepared.some


async def test_what_still_stands_after_a_change_is_not_written_again(prepared: Prepared) -> None:
    await keep(prepared, BASIS, "a")
    later = Basis(4, BASIS.model, BASIS.prompt)
    kept = await prepared.kept(unit(found()), "en", later)
    assert kept is not None
    assert (kept.shown, kept.generation, kept.reason) == (b"d", 3, "")
    await prepared.checked(CASE, later, unit=unit(found()))
    assert await given(prepared, found(generation=4)) == "a"
    assert await given(prepared, found(generation=3)) == ""


async def test_what_does_not_stand_is_remembered_and_never_given(
    prepared: Prepared, plan: Plan
) -> None:
    await plan.put("plant/m1", "en", ["E1"])
    made = outcome(1, "x")
    await prepared.keep(CASE, BASIS, unit=unit(found()), digest=b"d", outcome=made, reason=DOUBTFUL)
    assert await given(prepared, found()) == ""
    kept = await prepared.kept(unit(found()), "en", BASIS)
    assert kept is not None
    assert kept.reason == DOUBTFUL
    assert await due(plan) is None
    assert await plan.coverage("en", BASIS) == {"plant/m1": Coverage(codes=1, doubtful=1)}


async def test_what_no_plan_found_again_is_forgotten(prepared: Prepared) -> None:
    await keep(prepared, BASIS, "old", revision=1)
    await keep(prepared, Basis(4, BASIS.model, BASIS.prompt), "new", revision=2)
    await keep(prepared, Basis(3, "qwen", BASIS.prompt), "of another model")
    await prepared.tidy(Basis(4, BASIS.model, BASIS.prompt), keep_s=3600)
    assert await given(prepared, found()) == ""
    assert await given(prepared, found(revision=2, generation=4)) == "new"
    assert await given(prepared, found(), model="qwen") == "of another model"
    await prepared.tidy(Basis(4, BASIS.model, BASIS.prompt), keep_s=-1)
    assert await given(prepared, found(), model="qwen") == ""


def test_what_the_model_is_shown_tells_answers_apart() -> None:
    one = shown(draft(found()), found())
    assert one == shown(draft(found(generation=9)), found(generation=9))
    other_words = msgspec.structs.replace(
        draft(found()).work, code="e-1", question="Fault e-1: it smells", text="it smells"
    )
    assert one == shown(dataclasses.replace(draft(found()), work=other_words), found())
    others = [
        shown(draft(found(), OF_MACHINE), found()),
        shown(draft(found("E2")), found("E2")),
        shown(dataclasses.replace(draft(found()), hits=[]), found()),
    ]
    assert one not in others


async def test_a_change_elsewhere_does_not_take_a_prepared_answer_away(prepared: Prepared) -> None:
    of = found()
    made = outcome(5, "a")
    await prepared.keep(CASE, BASIS, unit=unit(of), digest=shown(draft(of), of), outcome=made)
    assert await given(prepared, found(generation=4)) == "a"
    passage = Passage(ordinal=7, text="other words")
    hits = [msgspec.structs.replace(of.hits[0], passage=passage)]
    changed = msgspec.structs.replace(of, hits=hits, generation=4)
    assert await given(prepared, changed) == ""
