"""An alarm is reported again: what stands goes out once more, and nobody is asked twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plant_floor import Floor, floor

pytestmark = pytest.mark.integration


async def repeated(plant: Floor, times: int) -> None:
    """Report E1 of plant/m1 again, and wait for its answer to say so."""
    await plant.fault("plant/m1", "E1")
    await plant.until(lambda: plant.answers("plant/m1")[-1]["occurrences"] == times)


async def test_a_repetition_neither_searches_nor_asks(tmp_path: Path) -> None:
    async with floor(tmp_path, reuse_s=0) as plant:
        await plant.fault("plant/m1", "E1")
        first = await plant.final("plant/m1")
        plant.away = True
        for times in (2, 3):
            await repeated(plant, times)
        again = plant.retained("answer/plant/m1")
        assert again == {**first, "occurrences": 3, "last_seen": again["last_seen"]}
        assert [a["stage"] for a in plant.answers("plant/m1")] == ["passages", *["final"] * 3]
        assert (len(plant.searches), len(plant.asked)) == (1, 1)
        history = "SELECT json_array_length(history) AS n FROM job"
        [row] = await plant.service._ledger.database.fetch(history)
        assert row["n"] == 3, "due, working, done: a repetition is no transition"


async def test_a_restart_asks_nobody_again(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E1")
        assert (await plant.final("plant/m1"))["answered_by"] == "model"
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E1")
        assert (await plant.final("plant/m1"))["answered_by"] == "model"
        assert (plant.searches, plant.asked) == ([], [])


async def test_after_the_manual_changed_it_is_worked_out_anew(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E1")
        await plant.final("plant/m1")
        plant.generation = 8
        await plant.status("retriever", generation=8)
        await plant.until_known(8)
        await plant.fault("plant/m1", "E1")
        assert (await plant.final("plant/m1", 2))["occurrences"] == 2
        assert (len(plant.searches), len(plant.asked)) == (2, 2)


async def test_nothing_without_citations_takes_the_place_of_an_answer(tmp_path: Path) -> None:
    async with floor(tmp_path, deadline_s=6) as plant:
        await plant.fault("plant/m1", "E1")
        await plant.final("plant/m1")
        plant.away = True
        await plant.status("retriever", generation=8)
        await plant.until_known(8)
        await plant.fault("plant/m1", "E1")
        final = await plant.final("plant/m1", 2)
        assert (final["answered_by"], len(final["citations"])) == ("model", 1)
        assert (final["occurrences"], "search service is away" in final["note"]) == (2, True)
        plant.away = False
        await plant.fault("plant/m1", "E1")
        assert "away" not in (await plant.final("plant/m1", 3))["note"]


async def test_an_alarm_whose_work_is_lost_is_answered_at_the_next_report(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E1")
        await plant.final("plant/m1")
        async with plant.service._ledger.database.transaction() as db:
            await db.execute("DELETE FROM answer")
            await db.execute("DELETE FROM job")
        await plant.fault("plant/m1", "E1")
        assert (await plant.final("plant/m1", 2))["occurrences"] == 2
