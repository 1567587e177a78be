"""Reports of what is wrong, and passages that say what to do then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from services.retriever.judging import Judge
from services.retriever.question import read
from services.retriever.ranking import rank
from services.retriever.symptoms import LISTED, TELLS, circumstances, of_a_fault, reported
from services.retriever.tokens import tokens

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "question",
    [
        "gearbox stalled",
        "mixer overcurrent",
        "over-voltage while braking",
        "hoist trips on oc",
        "spindle too hot",
        "no communication with the pump",
        "mill hard limit",
        "搅拌机过流",
        "直流母线欠压",
        "卷扬机堵转",
        "屏幕不亮",
        "I cannot start the pump",
        "泵没有压力",
    ],
)
def test_what_is_wrong_is_reported(question: str) -> None:
    assert reported(question)


@pytest.mark.parametrize(
    "question",
    [
        "overcurrent threshold",
        "stall delay time",
        "how do I reset the overload fault",
        "overvoltage protection value",
        "which register has the error",
        "过流保护值",
        "欠压阈值设定",
        "怎么清除故障",
        "rotor length",
        "brake lining",
        "where is the brake relay wired, I cannot find it",
        "which cable for the encoder? I don't know",
        "编码器怎么接线，我没有说明书",
        "",
    ],
)
def test_who_asks_for_a_value_reports_nothing(question: str) -> None:
    assert not reported(question)


@pytest.mark.parametrize(
    ("headers", "section", "sure"),
    [
        ("Code | Meaning | Cause | Remedy", "", TELLS),
        ("序号 | 现象 | 排除方法", "", TELLS),
        ("Bit | Alarm", "", LISTED),
        ("Bit | Text", "7 Fault list", LISTED),
        ("", "一般故障", LISTED),
        ("No. | Name | Factory setting", "9 Faults and protection", 0.0),
        ("名称 | 设定范围 | 出厂值", "故障与保护", 0.0),
        ("No. | Name", "3 Dimensions", 0.0),
        ("", "", 0.0),
    ],
)
def test_which_passages_are_of_a_fault(headers: str, section: str, sure: float) -> None:
    assert of_a_fault(tokens(headers), " ".join(tokens(section))) == sure


@dataclass(frozen=True)
class Row:
    """A row of an invented manual."""

    id: int
    document: int
    name: str
    headers: str
    kind: str = "row"
    section: str = ""
    head: str = ""

    @property
    def body(self) -> str:
        """Its tokens: its name, and what all rows have."""
        return f"{self.name} see sheet"

    def labels(self) -> Sequence[str]:
        """Tokens of its headers."""
        return tokens(self.headers)


VALUE = Row(1, 1, "rotor jam delay", "No. | Name | Factory setting")
FAULT = Row(2, 1, "drum rotor jam", "Code | Name | Remedy")
OTHERS = Row(3, 2, "rotor jam", "Code | Name | Remedy")


def order(
    *, reports: bool, meant: Sequence[int] = (), in_language: Sequence[int] = ()
) -> list[int]:
    words = ["rotor", "jam"]
    rows = {row.id: row for row in (VALUE, FAULT, OTHERS)}
    question = read(words, words, (), {"rotor": 9, "jam": 4}, 100, reports=reports)
    found = rank(
        rows,
        question,
        codes_asked=0,
        code_hits={},
        word_hits=[(1, 5.0), (2, 4.0), (3, 3.0)],
        vector_hits=[],
        named={},
        meant=meant,
        in_language=in_language,
        judge=Judge(question, words),
    )
    return [one.id for one in found]


def test_a_report_finds_the_fault_before_the_parameter() -> None:
    assert order(reports=True).index(FAULT.id) < order(reports=True).index(VALUE.id)
    assert order(reports=False).index(VALUE.id) < order(reports=False).index(FAULT.id)


def test_the_fault_with_the_plainest_name_goes_first() -> None:
    assert order(reports=True)[:2] == [OTHERS.id, FAULT.id]


def test_of_faults_as_near_the_one_in_the_asked_language_goes_first() -> None:
    assert order(reports=True, in_language=[FAULT.id])[0] == FAULT.id
    # No parameter goes before a fault for its language.
    assert order(reports=True, in_language=[VALUE.id])[0] == OTHERS.id


@pytest.mark.parametrize(
    ("question", "beside"),
    [
        ("overvoltage while lowering the hoist", "while lowering the hoist"),
        ("hoist trips on undervoltage, mains dip", "mains dip"),
        ("卷扬机过压，刚换过电阻", "刚换过电阻"),
        ("hoist stalled, brake overheats", ""),
        ("overvoltage", ""),
    ],
)
def test_what_says_when_a_fault_comes_is_told_from_the_fault(question: str, beside: str) -> None:
    assert circumstances(question) == frozenset(tokens(beside))


def test_the_named_machine_goes_before_the_same_fault_of_another() -> None:
    assert order(reports=True)[0] == OTHERS.id
    assert order(reports=True, meant=[1])[0] == FAULT.id
    assert order(reports=True, meant=[1])[-1] == OTHERS.id


def test_a_word_that_no_manual_has_counts_whole_in_a_report() -> None:
    words = ["hopper", "jam"]
    told = [
        read(words, words, (), {"jam": 4}, 100, reports=reports).weights["hopper"]
        for reports in (False, True)
    ]
    assert told[1] == pytest.approx(2 * told[0])
