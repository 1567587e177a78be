"""Words that do not say what is asked, and questions no manual answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.idle import (
    beyond,
    how_often,
    joining,
    machines,
    of_commands,
    tells_interval,
    unpointed,
)

pytestmark = pytest.mark.unit

SPELT = {"OC": "overcurrent", "UV": "undervoltage", "VFD": "inverter"}


def spelt_out(short: str) -> str:
    return SPELT.get(short, "")


@pytest.mark.parametrize(
    ("question", "plain"),
    [
        ("o.c. at start", "overcurrent at start"),
        ("U/V trip", "undervoltage trip"),
        ("my V.F.D. hums", "my inverter hums"),
        ("x.y. stage", "XY stage"),
        ("E.OC on display", "E.OC on display"),
        ("E.L. fault", "E.L. fault"),
        ("brakes, e.g. of a hoist", "brakes, e.g. of a hoist"),
        ("P0.17 and 1.5 kW", "P0.17 and 1.5 kW"),
    ],
)
def test_abbreviations_with_points_are_spelt_out(question: str, plain: str) -> None:
    assert unpointed(question, spelt_out) == plain


@given(st.text(max_size=60))
def test_a_question_without_points_stays(question: str) -> None:
    bare = question.replace(".", "").replace("/", "")
    assert unpointed(bare, spelt_out) == bare


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("inverter undervoltage", {"inverter"}),
        ("变频器欠压", {"变频", "频器"}),
        ("my BMS gets hot", {"bms"}),
        ("motor overload", set()),
    ],
)
def test_what_the_machine_is_called(question: str, words: set[str]) -> None:
    assert machines(question, []) == words


def test_a_machine_inside_a_term_is_none() -> None:
    assert machines("drive belt slips", [(0, 10)]) == set()
    assert machines("drive belt slips", [(0, 5)]) == {"driv"}


def test_a_machine_beside_a_term_is_one() -> None:
    assert machines("drive on the drive belt", [(13, 23)]) == {"driv"}
    assert machines("drive on", [(0, 5), (6, 8)]) == {"driv"}


def test_what_is_asked_of_a_command() -> None:
    assert of_commands("what does QXYZ return") == {"return"}
    assert of_commands("QXYZ 命令是干什么的") == {"命令", "干什", "什么"}
    assert of_commands("the pump does not return to zero") == set()


@pytest.mark.parametrize(
    "question",
    [
        "who wrote hamlet",
        "Who founded the company",
        "how much does a spare drive cost",
        "which brand is the best",
        "when was the transistor invented",
        "write me a poem about motors",
        "谁发明了电话",
        "这个变频器多少钱",
    ],
)
def test_what_no_manual_says(question: str) -> None:
    assert beyond(question)


@pytest.mark.parametrize(
    "question",
    [
        "who may open the cabinet",
        "who should I call",
        "how much oil does the gearbox take",
        "when was the fault cleared",
        "which parameter sets the ramp",
        "多少伏",
    ],
)
def test_what_manuals_may_say(question: str) -> None:
    assert not beyond(question)


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("how often is the filter to be changed", True),
        ("滤芯多久换一次", True),
        ("滤芯更换周期", True),
        ("which filter is fitted", False),
        ("滤芯型号", False),
    ],
)
def test_how_often_something_is_to_be_done(question: str, asks: bool) -> None:
    assert how_often(question) is asks


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("Replace the filter every 2000 hours.", True),
        ("每 6 个月更换滤芯", True),
        ("The filter is behind the flap.", False),
        ("滤芯在盖板后面", False),
    ],
)
def test_a_text_tells_an_interval_or_not(text: str, tells: bool) -> None:
    assert tells_interval(text) is tells


def test_a_report_says_besides_that_it_is_one() -> None:
    assert joining("gate trips during lifting") == {"trip", "dur"}
    assert joining("gate open") == set()
