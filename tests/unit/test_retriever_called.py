"""What a passage is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import Field, Passage
from services.retriever.called import called

pytestmark = pytest.mark.unit


def row(*fields: tuple[str, str], text: str = "") -> Passage:
    return Passage(
        ordinal=0,
        kind="row",
        text=text or " | ".join(f"{name}: {value}" for name, value in fields),
        fields=[Field(name, value) for name, value in fields],
    )


@pytest.mark.parametrize(
    ("passage", "name"),
    [
        (row(("Code", "E005"), ("Fault name", "DC bus undervoltage"), ("Remedy", "check")),
         "DC bus undervoltage"),
        (row(("代码", "E005"), ("处理", "检查"), ("故障名称", "直流母线欠压")), "直流母线欠压"),
        (row(("Alarm", "AL12"), ("Reason", "door open")), "door open"),
        (row(("No.", "4"), ("Torque", "12 Nm"), ("Screw", "M6 hexagon")), "12 Nm"),
        (row(("No.", "4"), ("Code", "E1"), text="E1 | 4"), "E1 "),
        (Passage(ordinal=0, text="words", section="7 Faults > 7.2 Earth fault"), "7.2 Earth fault"),
        (Passage(ordinal=0, text="words"), ""),
        (Passage(ordinal=0, kind="entry", text="E005 Undervoltage\nCause: low mains"),
         "E005 Undervoltage"),
    ],
)  # fmt: skip
def test_what_a_passage_is_called(passage: Passage, name: str) -> None:
    assert called(passage) == name


FIELDS = st.lists(
    st.tuples(st.sampled_from(["Code", "Name", "Value", "名称"]), st.text(max_size=200))
)


@given(FIELDS, st.sampled_from(["row", "entry"]), st.text(max_size=200))
def test_a_name_is_short_and_some_words_of_the_passage(
    fields: list[tuple[str, str]], kind: str, text: str
) -> None:
    passage = Passage(
        ordinal=0,
        kind=kind,  # type: ignore[arg-type]
        text=text,
        fields=[Field(name, value) for name, value in fields],
    )
    name = called(passage)
    assert len(name) <= 120
    assert name in text or any(name in value for _, value in fields)
