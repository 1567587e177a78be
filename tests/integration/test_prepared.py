"""Prepared answers in the ledger: what is due, what is given, what is forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.answers import Answer
from schemas.generation import Generate, PromptPassage
from schemas.retrieval import DocumentRef, Found, Hit, Passage
from services.orchestrator.ledger import Ledger
from services.orchestrator.night import Basis
from services.orchestrator.prepared import Case, Coverage, Prepared, shown, unit_of

pytestmark = pytest.mark.integration

BASIS = Basis(generation=3, model="phi", prompt="fault.en@0")
CASE = Case("plant/m1", "en", "E1")


@pytest.fixture
async def prepared(tmp_path: Path) -> AsyncIterator[Prepared]:
    ledger = await Ledger.open(tmp_path / "ledger.db")
    yield Prepared(ledger.database)
    await ledger.close()


def found(code: str = "E1", revision: int = 1, generation: int = 3, by: str = "code") -> Found:
    document = DocumentRef(doc_id="d", revision=revision, title="D", file="d.pdf")
    hit = Hit(document=document, passage=Passage(ordinal=7, text="x"), score=1.0, by=by)  # type: ignore[arg-type]
    return Found(hits=[hit], codes=[code], generation=generation)


def answer(summary: str) -> Answer:
    moment = "2026-01-31T12:00:00.000Z"
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
        first_seen=moment,
        last_seen=moment,
        created=moment,
    )


async def keep(prepared: Prepared, basis: Basis, summary: str, revision: int = 1) -> None:
    unit = unit_of(found(revision=revision))
    await prepared.keep(CASE, basis, unit=unit, digest=b"d", answer=answer(summary))


async def given(prepared: Prepared, of: Found, model: str = "phi") -> str:
    got = await prepared.answer(of, "en", prompt=BASIS.prompt, model=model)
    return got.summary if got else ""


async def test_the_likely_codes_come_first_and_one_that_was_done_no_more(
    prepared: Prepared,
) -> None:
    await prepared.plan("plant/m1", "en", ["E1", "E2"])
    await prepared.plan("plant/m2", "en", ["E9"])
    seen = []
    while case := await prepared.next("en", BASIS):
        seen.append((case.asset, case.code))
        await prepared.checked(case, BASIS, "" if case.code != "E2" else "none")
    assert seen == [("plant/m1", "E1"), ("plant/m2", "E9"), ("plant/m1", "E2")]
    assert await prepared.coverage("en", BASIS) == {
        "plant/m1": Coverage(codes=2, ready=1, due=0),
        "plant/m2": Coverage(codes=1, ready=1, due=0),
    }
    assert await prepared.next("zh", BASIS) is None


@pytest.mark.parametrize(
    "other",
    [Basis(4, "phi", "fault.en@0"), Basis(3, "qwen", "fault.en@0"), Basis(3, "phi", "fault.en@1")],
)
async def test_another_manual_model_or_prompt_makes_all_due_again(
    prepared: Prepared, other: Basis
) -> None:
    await prepared.plan("plant/m1", "en", ["E1"])
    await keep(prepared, BASIS, "a")
    assert await prepared.next("en", BASIS) is None
    assert await prepared.next("en", other) == CASE


async def test_a_plan_that_is_made_anew_keeps_what_was_done(prepared: Prepared) -> None:
    await prepared.plan("plant/m1", "en", ["E1", "E2"])
    await keep(prepared, BASIS, "a")
    await prepared.plan("plant/m1", "en", ["E3", "E1"])
    due = [await prepared.next("en", BASIS)]
    await prepared.checked(Case("plant/m1", "en", "E3"), BASIS)
    due.append(await prepared.next("en", BASIS))
    assert due == [Case("plant/m1", "en", "E3"), None]
    await prepared.only(["plant/m2"])
    assert await prepared.coverage("en", BASIS) == {}


async def test_an_answer_is_given_for_its_code_manual_generation_prompt_and_model(
    prepared: Prepared,
) -> None:
    await keep(prepared, BASIS, "a")
    assert await given(prepared, found()) == "a"
    for other in (found("E2"), found(revision=2), found(generation=4), found(by="words")):
        assert await given(prepared, other) == ""
    assert await given(prepared, Found(hits=[], codes=["E1"], generation=3)) == ""
    assert await given(prepared, found(), model="qwen") == ""
    assert await given(prepared, found(), model="") == "a", "no model is known: any will do"
    assert await prepared.answer(found(), "zh", prompt=BASIS.prompt, model="phi") is None


async def test_what_still_stands_after_a_change_is_not_written_again(prepared: Prepared) -> None:
    await keep(prepared, BASIS, "a")
    later = Basis(4, BASIS.model, BASIS.prompt)
    kept = await prepared.kept(unit_of(found()), "en", later)
    assert kept is not None
    assert (kept.shown, kept.reason) == (b"d", "")
    await prepared.checked(CASE, later, unit=unit_of(found()))
    assert await given(prepared, found(generation=4)) == "a"
    assert await given(prepared, found(generation=3)) == ""


async def test_what_does_not_stand_is_remembered_and_never_given(prepared: Prepared) -> None:
    await prepared.plan("plant/m1", "en", ["E1"])
    await prepared.keep(CASE, BASIS, unit=unit_of(found()), digest=b"d", reason="invented")
    assert await given(prepared, found()) == ""
    kept = await prepared.kept(unit_of(found()), "en", BASIS)
    assert kept is not None
    assert kept.reason == "invented"
    assert await prepared.next("en", BASIS) is None


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
    passage = PromptPassage(n=1, source="D", text="x")
    one = Generate(id="a", system="s", question="q", passages=[passage], lang="en")
    same = Generate(
        id="b", system="s", question="q", passages=[passage], lang="en", background=True
    )
    assert shown(one) == shown(same)
    others = [
        Generate(id="a", system="t", question="q", passages=[passage], lang="en"),
        Generate(id="a", system="s", question="q", passages=[], lang="en"),
        Generate(id="a", system="s", question="q", passages=[passage], lang="zh"),
    ]
    assert shown(one) not in {shown(other) for other in others}
