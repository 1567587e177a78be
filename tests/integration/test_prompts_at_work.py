"""Prompts in a running orchestrator: what answers, what is kept of it, and what a trial leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import (
    ACTIVATE_PROMPT,
    MAKE_AGAIN,
    ROLL_BACK_PROMPT,
    SAVE_PROMPT,
    TRACE,
    TRY_PROMPT,
)
from schemas.generation import Point
from schemas.prompts import (
    ActivatePrompt,
    MadeAgain,
    MakeAgain,
    RollBackPrompt,
    SavePrompt,
    Trace,
    TraceAnswer,
    TriedPrompt,
    TryPrompt,
)
from schemas.retrieval import DocumentRef, Field, Hit, Passage
from services.runtime.errors import Rejected, Unavailable
from services.runtime.rpc import Caller
from tests.support.plant_floor import SOON_S, Floor, floor

pytestmark = pytest.mark.integration


def template(system: str, question: str = "{{ question }}") -> str:
    return (
        f"{{% block system %}}{system}{{% endblock %}}"
        f"{{% block question %}}{question}{{% endblock %}}"
    )


async def call(plant: Floor, rpc: Any, request: Any) -> Any:
    return await Caller(plant.plc, DEFAULT_PREFIX).call(rpc, request, deadline_s=SOON_S)


async def use(plant: Floor, system: str, question: str = "{{ question }}") -> None:
    text = template(system, question)
    await call(plant, SAVE_PROMPT, SavePrompt(name="fault.en", text=text, activate=True))


async def ledger(plant: Floor) -> dict[str, list[tuple[Any, ...]]]:
    database = plant.service._ledger.database
    names = [row[0] for row in await database.fetch("SELECT name FROM sqlite_schema")]
    tables = [
        name
        for name in names
        if not name.startswith("sqlite_")
        and await database.fetch("SELECT 1 FROM pragma_table_info(?)", (name,))
        and await database.fetch(
            "SELECT 1 FROM sqlite_schema WHERE name = ? AND type = 'table'", (name,)
        )
    ]
    return {
        name: [tuple(row) for row in await database.fetch(f"SELECT * FROM {name}")]  # noqa: S608
        for name in tables
    }


async def quiet(plant: Floor) -> None:
    """Wait until nothing is on its way out of the ledger any more."""
    await plant.service._ledger.settle()
    while await plant.service._ledger.outbox(0):  # noqa: ASYNC110  a table
        await asyncio.sleep(0.01)
    await plant.service._ledger.settle()


async def test_an_answer_says_which_prompt_it_was_made_with(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1")
        assert (final["answered_by"], final["prompt"]) == ("model", "fault.en@0")
        assert plant.answers("plant/m1")[0]["prompt"] == "", "no model took part in the passages"
        await plant.ask("s", question="E005 是什么故障?")
        assert (await plant.final("ask/s"))["prompt"] == "ask.zh@0"
        assert "维修" in plant.asked[-1].system


async def test_a_version_answers_from_now_on_and_what_is_being_written_keeps_its_own(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path) as plant:
        plant.model_may.clear()
        await plant.fault("plant/m1", "E005")
        await plant.until(lambda: plant.answers("plant/m1"))
        while not plant.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await use(plant, "Be brief.")
        await plant.fault("plant/m2", "E005")
        await plant.until(lambda: plant.answers("plant/m2"))
        while len(plant.asked) < 2:  # noqa: ASYNC110  the same fault, and yet not the same question
            await asyncio.sleep(0.001)
        plant.model_may.set()
        assert (await plant.final("plant/m1"))["prompt"] == "fault.en@0"
        assert (await plant.final("plant/m2"))["prompt"] == "fault.en@1"
        assert [one.system == "Be brief." for one in plant.asked] == [False, True]
        await plant.fault("plant/m3", "E005")
        assert (await plant.final("plant/m3"))["prompt"] == "fault.en@1"
        assert len(plant.asked) == 2, "the same question with the same prompt is written once"
        await call(plant, ROLL_BACK_PROMPT, RollBackPrompt(name="fault.en"))
        await plant.fault("plant/m4", "E005")
        assert (await plant.final("plant/m4"))["prompt"] == "fault.en@0"


async def test_an_answer_that_names_the_machine_is_no_other_machine_s(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await use(plant, "Help.", "{{ asset }}: {{ text }}{{ code }}")
        for asset in ("plant/m1", "plant/m2"):
            await plant.fault(asset, "E005", text="{{ hot }}")
            await plant.final(asset)
        assert [one.question for one in plant.asked] == [
            "plant/m1: {{ hot }}E005",
            "plant/m2: {{ hot }}E005",
        ]


async def test_a_prompt_that_comes_to_too_much_leaves_the_passages(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        long = "{% if code == 'E9' %}" + "{{ text }}" * 4 + "{% endif %}{{ question }}"
        await use(plant, "Help.", long)
        await plant.fault("plant/m1", "E9", text="y" * 4000)
        final = await plant.final("plant/m1")
        assert (final["answered_by"], len(final["citations"])) == ("extract", 1)
        assert "comes to more than" in final["note"]


async def test_a_trace_tells_what_the_model_was_asked_and_gave(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E005", text="hot")
        first = await plant.final("plant/m1")
        await plant.fault("plant/m2", "E005")
        second = await plant.final("plant/m2")
        trace: Trace = await call(plant, TRACE, TraceAnswer(answer_id=first["id"]))
        assert trace.made is not None
        assert trace.made.request == plant.asked[0]
        assert (trace.made.prompt, trace.made.generated.model) == ("fault.en@0", "m")
        assert (trace.made.generation, trace.place, trace.written_for) == (7, "plant/m1", "")
        assert [state.state for state in trace.history] == ["due", "working", "done"]
        shared: Trace = await call(plant, TRACE, TraceAnswer(answer_id=second["id"]))
        assert (shared.made, shared.written_for) == (trace.made, first["id"])
        [count] = await plant.service._ledger.database.fetch("SELECT count(*) FROM made")
        assert count[0] == 1, "kept once"


async def test_a_trace_of_an_answer_without_a_model(tmp_path: Path) -> None:
    async with floor(tmp_path, use_model=False) as plant:
        await plant.ask("a", id="same", question="E005?")
        await plant.ask("b", id="same", question="E006?")
        await plant.final("ask/a")
        await plant.final("ask/b")
        with pytest.raises(Rejected, match="several have that id: ask/a, ask/b"):
            await call(plant, TRACE, TraceAnswer(answer_id="same"))
        trace: Trace = await call(plant, TRACE, TraceAnswer(answer_id="same", place="ask/b"))
        assert (trace.made, trace.answer.question) == (None, "E006?")
        with pytest.raises(Rejected, match="no language model took part"):
            await call(plant, MAKE_AGAIN, MakeAgain(answer_id="same", place="ask/b"))
        with pytest.raises(Rejected, match="the ledger has no such answer"):
            await call(plant, TRACE, TraceAnswer(answer_id="x"))


async def test_making_again_and_trying_touch_nothing(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E005")
        answer_id = (await plant.final("plant/m1"))["id"]
        await quiet(plant)
        before, told, asked = await ledger(plant), len(plant.got), plant.asked[0]
        assert {"answer", "made", "outbox", "prompt"} <= before.keys()

        again: MadeAgain = await call(plant, MAKE_AGAIN, MakeAgain(answer_id=answer_id))
        assert again.differences == []
        assert again.generated == again.before.generated
        repeated = plant.asked[1]
        assert (repeated.seed, repeated.temperature) == (0, 0.0), "as the model says it was made"
        assert (repeated.system, repeated.question, repeated.passages) == (
            asked.system,
            asked.question,
            asked.passages,
        )
        assert repeated.id != asked.id

        tried: TriedPrompt = await call(
            plant,
            TRY_PROMPT,
            TryPrompt(name="fault.en", answer_id=answer_id, text=template("Be brief.")),
        )
        assert (tried.made.prompt, tried.made.request.system) == ("fault.en", "Be brief.")
        assert tried.made.request.passages == asked.passages
        assert (tried.before.id, tried.former) == (answer_id, again.before)
        judged = (tried.made.share, tried.made.doubts)
        assert judged == (again.before.share, again.before.doubts), "the same words"
        for bad, why in (
            (TryPrompt(name="fault.en", answer_id=answer_id, text="{{ x }}"), "outside of"),
            (TryPrompt(name="fault.en", answer_id=answer_id, version=4), "no such version"),
            (TryPrompt(name="fault.en", answer_id="x"), "no such answer"),
            (
                TryPrompt(name="fault.en", answer_id=answer_id, version=0, text=template("s")),
                "give one",
            ),
        ):
            with pytest.raises(Rejected, match=why):
                await call(plant, TRY_PROMPT, bad)

        await quiet(plant)
        assert await ledger(plant) == before
        assert len(plant.got) == told, "nothing is published"


async def test_a_fault_of_before_the_model_is_tried_with_its_passages_of_now(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path, use_model=False) as plant:
        await plant.fault("plant/m1", "E005")
        answer_id = (await plant.final("plant/m1"))["id"]
        tried: TriedPrompt = await call(
            plant, TRY_PROMPT, TryPrompt(name="fault.en", answer_id=answer_id)
        )
        assert (tried.former, tried.made.prompt) == (None, "fault.en@0")
        assert tried.made.request.passages[0].text.startswith("E005 | undervoltage")
        assert len(plant.searches) == 2
        assert (plant.searches[0]) == plant.searches[1]


OTHER = Hit(
    document=DocumentRef(doc_id="d", revision=1, title="T", file="t.pdf", lang="en"),
    passage=Passage(
        ordinal=2,
        text="Code: E006 | Cause: ramp too short | Remedy: set P7.01 to 40 s",
        kind="row",
        fields=[
            Field("Code", "E006"),
            Field("Cause", "ramp too short"),
            Field("Remedy", "set P7.01 to 40 s"),
        ],
    ),
    score=0.8,
    by="code",
)


@pytest.mark.parametrize("use_model", [True, False])
async def test_a_trial_is_judged_as_the_answer_was(tmp_path: Path, use_model: bool) -> None:
    """The entry of another fault supports nothing, though its words are in the passages."""
    async with floor(tmp_path, use_model=use_model) as plant:
        plant.more = [OTHER]
        plant.actions = [Point(text="Set P7.01 to 40 s.", passages=[2])] * 3
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1")
        answer_id = final["id"]
        tried: TriedPrompt = await call(
            plant, TRY_PROMPT, TryPrompt(name="fault.en", answer_id=answer_id)
        )
        assert not tried.made.grounded
        assert {doubt.why for doubt in tried.made.doubts[-3:]} == {"[2] is of another code"}
        assert (tried.made.of_another, tried.made.naming) == ([2], [1])
        if not use_model:
            return
        assert not final["grounded"]
        trace: Trace = await call(plant, TRACE, TraceAnswer(answer_id=answer_id))
        again: MadeAgain = await call(plant, MAKE_AGAIN, MakeAgain(answer_id=answer_id))
        assert trace.made is not None
        for judged in (tried.made, again):
            assert judged.doubts == trace.made.doubts
            assert (judged.share, judged.grounded) == (trace.made.share, False)


async def test_another_model_of_the_same_name_is_asked_anew_and_seen_in_the_trace(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path) as plant:
        plant.identity = "first"
        await plant.status("llm_bridge", model="m", identity="first")
        while plant.service.others.model != "m first":  # noqa: ASYNC110  a plain string
            await asyncio.sleep(0.001)
        await plant.fault("plant/m1", "E005")
        answer_id = (await plant.final("plant/m1"))["id"]
        await plant.fault("plant/m2", "E005")
        await plant.final("plant/m2")
        assert len(plant.asked) == 1
        plant.identity = "second"
        await plant.status("llm_bridge", model="m", identity="second")
        while plant.service.others.model != "m second":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await plant.fault("plant/m3", "E005")
        await plant.final("plant/m3")
        assert len(plant.asked) == 2
        again: MadeAgain = await call(plant, MAKE_AGAIN, MakeAgain(answer_id=answer_id))
        assert again.differences == ["identity"]


async def test_a_trial_does_not_keep_the_service_from_ending(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E005")
        answer_id = (await plant.final("plant/m1"))["id"]
        plant.model_may.clear()
        trial = asyncio.create_task(call(plant, MAKE_AGAIN, MakeAgain(answer_id=answer_id)))
        while len(plant.asked) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        plant.context.stopping.set()
        with pytest.raises(Unavailable, match="the orchestrator is stopping"):
            await trial
        while not plant.urged:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert (plant.urged[-1].id, plant.urged[-1].priority) == (plant.asked[1].id, None)


async def test_an_answer_given_once_more_keeps_what_it_was_made_with(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=6.0) as plant:
        await plant.fault("plant/m1", "E005")
        await plant.final("plant/m1")
        plant.away = True
        await plant.status("retriever", generation=8)
        await plant.until_known(8)
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1", 2)
        assert "search service is away" in final["note"]
        assert final["prompt"] == "fault.en@0"
        trace: Trace = await call(plant, TRACE, TraceAnswer(answer_id=final["id"]))
        assert trace.made is not None
        assert trace.made.request == plant.asked[0]


async def test_activation_of_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        with pytest.raises(Rejected, match="no such version"):
            await call(plant, ACTIVATE_PROMPT, ActivatePrompt(name="fault.en", version=3))
        await plant.fault("plant/m1", "E005")
        assert (await plant.final("plant/m1"))["prompt"] == "fault.en@0"
