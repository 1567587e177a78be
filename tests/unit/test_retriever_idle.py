"""Words that do not say what is asked, and questions no manual answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.idle import beyond, machines, of_commands, unpointed

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
