"""Answers of the model that several wait for: nobody's deadline or place is another's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.plant_floor import floor

pytestmark = pytest.mark.integration


async def test_a_deadline_takes_nobody_else_s_passages_away(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=6.0) as plant:  # all ask before one is over
        plant.model_may.clear()
        for number in range(4):
            await plant.fault(f"plant/m{number}", "E005")
            await plant.until(lambda n=number: plant.answers(f"plant/m{n}"))
            await asyncio.sleep(0.1)  # deadlines of their own
        for number in range(4):
            final = await plant.final(f"plant/m{number}")
            assert final["answered_by"] == "extract"
            assert final["citations"]
            assert "not ready in time" in final["note"]
        assert len(plant.asked) == 1
        await plant.until(lambda: plant.urged)
        assert plant.urged[-1].priority is None, "the bridge need not go on"


async def test_who_has_time_left_gets_what_another_began(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=8.0) as plant:
        plant.model_may.clear()
        await plant.fault("plant/m1", "E005")
        await plant.until(lambda: plant.answers("plant/m1"))
        await asyncio.sleep(4.0)  # half of it
        await plant.fault("plant/m2", "E005")
        assert (await plant.final("plant/m1"))["answered_by"] == "extract"
        plant.model_may.set()
        assert (await plant.final("plant/m2"))["answered_by"] == "model"
        assert len(plant.asked) == 1


async def test_an_error_of_ours_leaves_the_passages_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with floor(tmp_path) as plant:

        async def breaks(*_: object) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(plant.service._flow, "_generate", breaks)
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1")
        assert (final["answered_by"], len(final["citations"])) == ("extract", 1)
        assert "internal error" in final["note"]
        [row] = await plant.service._ledger.database.fetch("SELECT state, reason FROM job")
        assert (row["state"], row["reason"]) == ("failed", "ValueError: a bug")


async def test_a_model_that_hangs_keeps_nobody_from_the_passages(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=60.0) as plant:
        plant.model_may.clear()
        for number in range(230):
            await plant.fault(f"plant/m{number}", f"E{number:03}")
        await plant.fault("plant/critical", "E999", severity="critical")
        await plant.until(lambda: all(plant.answers(f"plant/m{n}") for n in range(230)))
        await plant.until(lambda: plant.answers("plant/critical"))
        await plant.settled()
        [critical] = plant.answers("plant/critical")
        assert critical["stage"] == "passages", "it has a place at the model"
        finals = [n for n in range(230) if plant.answers(f"plant/m{n}")[-1]["stage"] == "final"]
        assert finals, "not all can wait for the model"
        for number in finals:
            final = plant.answers(f"plant/m{number}")[-1]
            assert final["citations"]
            assert "too many others waited" in final["note"]


async def test_the_bridge_hears_that_an_answer_became_urgent(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=60.0) as plant:
        plant.model_may.clear()
        await plant.fault("plant/m1", "E1", severity="info")
        await plant.until(lambda: plant.answers("plant/m1"))
        await plant.fault("plant/m1", "E1", severity="warning")
        await plant.until(lambda: len(plant.on("alarm/plant/m1")) > 1)
        await plant.fault("plant/m2", "E1", severity="critical")
        await plant.until(lambda: plant.answers("plant/m2"))
        await plant.settled()
        assert [one.priority for one in plant.asked[:1]] == ["advice"]
        assert [one.priority for one in plant.urged] == ["warning", "critical"]
        assert {one.id for one in plant.urged} == {plant.asked[0].id}


async def test_other_words_under_the_same_id_do_not_wait_for_the_lease(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=60.0, lease_s=3600.0) as plant:
        plant.model_may.clear()
        await plant.ask("s", id="q", question="first E1")
        await plant.until(lambda: plant.answers("ask/s"))
        await plant.ask("s", id="q", question="second E2")
        await plant.until(lambda: plant.answers("ask/s")[-1]["question"] == "second E2")
        plant.model_may.set()
        assert (await plant.final("ask/s"))["question"] == "second E2"


async def test_an_alarm_that_is_gone_needs_no_model_and_has_its_final_answer(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path, deadline_s=60.0) as plant:
        plant.model_may.clear()
        await plant.fault("plant/m1", "E1")
        await plant.until(lambda: plant.asked)
        await plant.fault("plant/m1", "E1", state="cleared")
        final = await plant.final("plant/m1")
        assert (final["answered_by"], len(final["citations"])) == ("extract", 1)
        assert "the alarm was gone" in final["note"]
        await plant.until(lambda: plant.urged)
        assert (plant.urged[-1].id, plant.urged[-1].priority) == (plant.asked[0].id, None)
        # It is back, and held from now on: what was cut short does not stand for it.
        plant.model_may.set()
        await plant.fault("plant/m1", "E1")
        assert (await plant.final("plant/m1", 2))["answered_by"] == "model"


async def test_an_answer_that_another_machine_waits_for_is_written_on(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=60.0) as plant:
        plant.model_may.clear()
        for name in ("m1", "m2"):
            await plant.fault(f"plant/{name}", "E1")
            await plant.until(lambda n=name: plant.answers(f"plant/{n}"))
        await plant.settled()
        await plant.fault("plant/m1", "E1", state="cleared")
        assert "the alarm was gone" in (await plant.final("plant/m1"))["note"]
        plant.model_may.set()
        assert (await plant.final("plant/m2"))["answered_by"] == "model"
        assert not plant.urged


async def test_an_alarm_that_was_gone_before_its_passages_is_final_at_once(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path, deadline_s=60.0) as plant:
        plant.away = True
        await plant.fault("plant/m1", "E1")
        await plant.until(lambda: plant.on("alarm/plant/m1"))
        await plant.fault("plant/m1", "E1", state="cleared")
        await plant.until(lambda: plant.on("alarm/plant/m1")[-1]["state"] == "cleared")
        plant.away = False
        final = await plant.final("plant/m1")
        assert "the alarm was gone" in final["note"]
        assert [answer["stage"] for answer in plant.answers("plant/m1")] == ["final"]
        assert not plant.asked
