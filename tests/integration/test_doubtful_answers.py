"""An answer that does not stand on the manuals: as such it is shared, repeated and displayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.generation import Point
from tests.support.plant_floor import Floor, floor

pytestmark = pytest.mark.integration

MADE_UP = [Point(text=f"Set P9.{n} to {n} V.", passages=[1]) for n in range(1, 7)]


def shown(plant: Floor, place: str) -> list[str]:
    """What the display of a place showed, in order."""
    return [p.decode() for t, p in plant.got if t == f"andon/display/{place}" and p]


def doubtful(answer: dict[str, Any], first: dict[str, Any]) -> bool:
    """Whether the model's answer is marked, with the manuals' own words beside it."""
    own = {name: first[name] for name in ("summary", "causes", "actions", "text")}
    return (
        (answer["answered_by"], answer["grounded"]) == ("model", False)
        and answer["extract"] == own
        and answer["text"].count("[not in the manuals] Set P9.") == 6
        and answer["actions"] == []
        and "does not stand on the manuals" in answer["note"]
    )


async def test_another_machine_gets_it_as_doubtful_as_it_is(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        plant.actions = MADE_UP
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1")
        first = plant.answers("plant/m1")[0]
        assert doubtful(final, first)
        await plant.fault("plant/m2", "E005")
        again = await plant.final("plant/m2")
        assert len(plant.asked) == 1, "it was not written anew"
        assert doubtful(again, first)
        await plant.until(lambda: shown(plant, "plant/m2"))
        assert not [text for text in shown(plant, "plant/m1") if "P9" in text]
        assert shown(plant, "plant/m2") == shown(plant, "plant/m1")[-1:]


async def test_a_repetition_goes_out_as_doubtful_as_it_was(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        plant.actions = MADE_UP
        for n in (1, 2):
            await plant.fault("plant/m1", "E005")
            final = await plant.final("plant/m1", n)
            assert final["occurrences"] == n
            assert doubtful(final, plant.answers("plant/m1")[0])
        assert len(plant.asked) == 1
        await plant.settled()
        assert len(set(shown(plant, "plant/m1"))) == 1


async def test_how_much_must_stand_is_configured(tmp_path: Path) -> None:
    async with floor(tmp_path, grounded_share=0.1) as plant:
        plant.actions = MADE_UP
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1")
        assert final["grounded"] is True
        assert final["extract"] is None
        assert final["text"].count("[not in the manuals] Set P9.") == 6
        assert not [text for text in shown(plant, "plant/m1") if "P9" in text]
