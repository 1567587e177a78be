"""An answer that stands on no manual of its machine says so, wherever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plant_floor import Floor, floor

pytestmark = pytest.mark.integration

EN = "Not in this machine's manuals; from T."
ZH = "本机手册中没有此内容；摘自《T》。"


def displays(plant: Floor, place: str) -> list[str]:
    return [p.decode() for t, p in plant.got if t == f"andon/display/{place}"]


async def test_it_is_told_on_the_display_in_the_text_and_in_the_note(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        plant.scopes = {"plant/m1": "widened"}
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1")
        # Also on what the passages give before the model has its word.
        assert [answer["stage"] for answer in plant.answers("plant/m1")] == ["passages", "final"]
        for answer in plant.answers("plant/m1"):
            assert answer["text"].startswith(f"{EN}\n\n")
            assert answer["text"].count(EN) == 1
            assert answer["note"].count(EN) == 1
        assert final["answered_by"] == "model"
        for shown in displays(plant, "plant/m1"):
            assert shown.split("\n")[-1] == "Not in this machine's manuals → T p.3"


async def test_what_the_model_wrote_for_another_machine_brings_no_such_words_along(
    tmp_path: Path,
) -> None:
    async with floor(tmp_path) as plant:
        plant.scopes = {"plant/m1": "widened"}
        await plant.fault("plant/m1", "E005")
        await plant.final("plant/m1")
        await plant.fault("plant/m2", "E005")
        own = await plant.final("plant/m2")
        assert (own["answered_by"], EN in own["text"] or EN in own["note"]) == ("model", False)
        assert displays(plant, "plant/m2")[-1].split("\n")[-1] == "→ T p.3"
        assert len(plant.asked) == 1


@pytest.mark.parametrize(("assets", "told"), [(["plant/other"], True), ([], False)])
async def test_where_a_machine_has_no_manuals_those_of_others_are_told_and_everybodys_not(
    tmp_path: Path, assets: list[str], told: bool
) -> None:
    async with floor(tmp_path) as plant:
        plant.scopes, plant.assets = {"plant/m1": "all"}, assets
        await plant.fault("plant/m1", "E005")
        final = await plant.final("plant/m1")
        assert (EN in final["text"], EN in final["note"]) == (told, told)


async def test_it_is_told_in_the_language_of_the_question(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        plant.scopes = {"plant/m1": "widened"}
        await plant.ask("pda", question="E005 怎么办", asset="plant/m1")
        final = await plant.final("ask/pda")
        assert final["text"].startswith(ZH)
        assert final["note"].startswith(ZH)
        assert displays(plant, "ask/pda")[-1].split("\n")[-1] == "本机手册中没有 → T p.3"


async def test_a_question_about_no_machine_is_told_nothing(tmp_path: Path) -> None:
    async with floor(tmp_path) as plant:
        plant.scopes, plant.assets = {"": "all"}, ["plant/other"]
        await plant.ask("pda", question="E005?")
        assert EN not in (await plant.final("ask/pda"))["text"]
