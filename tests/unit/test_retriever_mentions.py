"""Names and messages in a question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.mentions import MAX_MESSAGES, asking, messages, name_like

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("how does the Huanyang show a fault", {"huanyang"}),
        ("CyberGear 怎么清除故障", {"cybergear"}),
        ("modbus 怎么接线", {"modbus"}),
        ("connect the drive to PROFINET", {"profinet"}),
        ("reset of an ax5 drive", {"ax5"}),
        ("The drive is hot. Which fan is it?", set()),
        ("How do I set the ramp", set()),
        ("MOTOR DOES NOT TURN", set()),
        ("变频器过热", set()),
    ],
)
def test_what_looks_like_a_name(question: str, names: set[str]) -> None:
    assert names <= set(name_like(question))
    assert not {"the", "which", "motor", "drive", "fan"} & set(name_like(question))
    if not names:
        assert not name_like(question) - {"i"}


def test_the_trades_own_words_are_no_names() -> None:
    question = "enable STO on the Kelvarn"
    assert name_like(question) == {"sto", "kelvarn"}
    assert name_like(question, lambda word: word == "STO") == {"kelvarn"}


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("display shows 'Phase Line Error!'", [("phas", "line", "error")]),
        ("“电机 过载” 是什么", [("电机", "过载")]),
        ("SERVO42C says Motor Type Error", [("motor", "type", "error")]),
        ("it says “stop”", []),
        ("the drive doesn't start, it's hot", []),
        ("how do I set the acceleration time", []),
    ],
)
def test_what_a_question_quotes(question: str, quoted: list[tuple[str, ...]]) -> None:
    assert messages(question) == quoted


@given(st.text("Ab '\"“”「」c", max_size=80))
def test_messages_are_few_different_and_of_several_words(question: str) -> None:
    found = messages(question)
    assert len(found) <= MAX_MESSAGES
    assert len(set(found)) == len(found)
    assert all(len(run) > 1 for run in found)


def test_words_that_only_ask_or_greet() -> None:
    assert asking("How often should the fan be cleaned") == {"often"}
    assert asking("你好，变频器过流") == {"你好"}
    assert asking("it trips often after many starts") == frozenset()
