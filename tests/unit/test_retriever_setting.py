"""Where in the plant a question is asked, and where two words of Chinese meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.seams import seams
from services.retriever.setting import setting

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("question", "tags"),
    [
        ("On conveyor B417: the drive trips", {"b417"}),
        ("pump P-101 overload", {"p", "101"}),
        ("在B417输送机上：变频器过流", {"b417"}),
        ("line L4, no display", {"l4"}),
        # What asks for a code, a product and a size are no numbers of machines.
        ("motor F07801", set()),
        ("inverter ATV320 undervoltage", set()),
        ("motor 400V", set()),
        ("the drive trips", set()),
    ],
)
def test_numbers_of_the_plants_machines(question: str, tags: set[str]) -> None:
    assert tags <= setting(question).tags
    assert bool(tags) == bool(setting(question).tags)


def test_the_asset_has_such_numbers_too() -> None:
    assert {"kx417", "hall2"} <= setting("KX417 is hot", "hall2/KX417").tags


@pytest.mark.parametrize(
    ("question", "beside"),
    [
        ("Next to the ABB robot: what does F30002 mean", "abb"),
        ("the inverter beside the KUKA shows F30002", "kuka"),
        ("ABB机器人旁边的变频器报过流", "abb"),
    ],
)
def test_what_stands_beside_is_not_asked_about(question: str, beside: str) -> None:
    found = setting(question).beside
    assert beside in found
    assert not {"f30002", "inverter", "变频", "过流"} & found


def test_what_is_asked_about_as_well_stays() -> None:
    assert "abb" not in setting("Next to the ABB robot: how do I reset an ABB drive").beside


def test_only_a_place_is_one() -> None:
    assert "conveyor" in setting("On conveyor B417: the drive trips").place
    assert "conveyor" in setting("On conveyor B417 the drive trips").place
    assert "conveyor" not in setting("conveyor B417: how fast is the conveyor").place
    assert setting("Huanyang HY inverter: how do I reset it").place == frozenset()
    assert setting("In jog mode the speed is wrong").place == frozenset()


@given(st.text("On the line B417: next to ABB,机旁边 在上：", max_size=80))
def test_any_question_has_a_setting(question: str) -> None:
    found = setting(question)
    assert all([*found.tags, *found.beside, *found.place])


def test_a_pair_where_two_words_meet_is_a_seam() -> None:
    # 变频器 | 过流
    assert seams("变频器过流", {(0, 3), (3, 5)}) == {"器过"}
    # Inside another term, or beside what is no term, a pair may be a word.
    assert seams("加速时间", {(0, 4), (0, 2), (2, 4)}) == frozenset()
    assert seams("微电机异响", {(1, 3)}) == frozenset()
    assert seams("器过变频器过流", {(2, 5), (5, 7)}) == frozenset()
    assert seams("drive overcurrent", {(0, 5), (6, 17)}) == frozenset()
