"""What stands on the topics of a machine with several alarms, or one that went."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from tests.support.plant_floor import floor

pytestmark = pytest.mark.integration


async def test_an_answer_that_comes_after_the_alarm_was_taken_back_does_not_stay(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path, alarms={"take_back_s": 1}) as plant:
        plant.away = True
        await plant.fault("plant/m1", "E1")
        await plant.until(lambda: plant.searches)
        await plant.fault("plant/m1", "E1", state="cleared")
        await plant.until(lambda: plant.answers("plant/m1"))
        assert plant.answers("plant/m1") == [None]
        plant.away = False
        assert (await plant.final("plant/m1"))["answered_by"] == "extract", "kept, and told"
        assert plant.retained("answer/plant/m1") is None
        assert plant.retained("display/plant/m1") is None


async def test_a_later_alarm_does_not_cover_a_more_urgent_one(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        await plant.fault("plant/m1", "E1", severity="critical")
        await plant.final("plant/m1")
        await plant.fault("plant/m1", "E2", severity="info")
        assert (await plant.final("plant/m1", 2))["code"] == "E2", "who listens hears both"
        assert plant.retained("answer/plant/m1")["code"] == "E1"
        assert plant.retained("alarm/plant/m1")["code"] == "E1"
        # What is retained may be said again, where it was looked after just then.
        told = [code for code, _ in groupby(a["code"] for a in plant.on("alarm/plant/m1"))]
        assert told == ["E1", "E2", "E1"]
        await plant.fault("plant/m1", "E1", state="cleared")
        await plant.until(lambda: plant.retained("answer/plant/m1")["code"] == "E2")
        assert plant.retained("alarm/plant/m1")["code"] == "E2"


async def test_repetitions_of_an_open_alarm_are_counted_in_its_answer(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        plant.model_may.clear()
        await plant.fault("plant/m1", "E1")
        await plant.until(lambda: plant.answers("plant/m1"))
        for _ in range(4):
            await plant.fault("plant/m1", "E1")
        await plant.until(lambda: len(plant.on("alarm/plant/m1")) == 5)
        plant.model_may.set()
        assert (await plant.final("plant/m1"))["occurrences"] == 5
