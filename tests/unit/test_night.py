"""What is prepared, in which order, and when."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import Unit
from services.orchestrator.night import (
    Basis,
    closes,
    planned,
    rest_s,
    worth_preparing,
)

pytestmark = pytest.mark.unit

MINUTES = st.integers(0, 24 * 60 - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def is_open(hours: list[str], moment: time) -> bool:
    """Return whether a time lies in one of the spans, each cut at midnight."""

    def inside(span: str) -> bool:
        begin, end = map(time.fromisoformat, span.split("-"))
        if begin < end:
            return begin <= moment < end
        return moment >= begin or moment < end

    return not hours or any(map(inside, hours))


MIDNIGHT = datetime(2026, 3, 2)  # noqa: DTZ001  local time, as a box has it


@pytest.mark.parametrize(
    ("hours", "minutes"),
    [
        (["22:00-06:00"], 6 * 60),
        (["22:00-02:00", "02:00-06:00"], 6 * 60),
        (["22:00-02:00", "01:00-05:00"], 5 * 60),
        (["12:00-13:00"], 0),
        (["00:00-00:01"], 1),
        (["08:00-08:00"], None),
        ([], None),
        (["00:00-12:00", "12:00-00:00"], None),
    ],
)
def test_what_is_open_closes(hours: list[str], minutes: int | None) -> None:
    found = closes(hours, MIDNIGHT)
    assert found == (None if minutes is None else MIDNIGHT + timedelta(minutes=minutes))


@given(
    st.lists(st.tuples(MINUTES, MINUTES), max_size=4),
    st.datetimes(datetime(2026, 3, 2), datetime(2026, 3, 4)),  # noqa: DTZ001
)
def test_it_is_open_until_it_closes_and_not_then(
    spans: list[tuple[int, int]], moment: datetime
) -> None:
    hours = [f"{clock(begin)}-{clock(end)}" for begin, end in spans]
    end = closes(hours, moment)
    if end is None:
        minutes = (time(minute // 60, minute % 60) for minute in range(24 * 60))
        assert all(is_open(hours, minute) for minute in minutes)
        return
    assert not is_open(hours, end.time())
    assert (end > moment) is is_open(hours, moment.time())
    while moment < end:
        assert is_open(hours, moment.time())
        moment += timedelta(minutes=1)


@given(st.floats(0, 1e5), st.floats(0.01, 1))
def test_work_is_its_share_of_work_and_rest(took_s: float, share: float) -> None:
    assert took_s == pytest.approx(share * (took_s + rest_s(took_s, share)))


def test_what_occurred_comes_first_and_nothing_twice() -> None:
    assert planned(["E7", "E1"], ["E1", "E2", "E1", "E3"]) == ["E7", "E1", "E2", "E3"]


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (["Code", "Fault name", "Possible cause", "Remedy"], True),
        (["故障代码", "名称", "可能原因", "处理方法"], True),
        (["Parameter", "Name", "Factory setting", "Unit"], False),
        ([], False),
    ],
)
def test_only_codes_with_causes_or_remedies_are_worth_it(headers: list[str], wanted: bool) -> None:
    assert worth_preparing(Unit(code="E1", kind="row", headers=headers)) is wanted


def test_another_manual_prompt_or_model_is_another_basis() -> None:
    bases = [
        Basis(1, "m", "p"),
        Basis(2, "m", "p"),
        Basis(1, "n", "p"),
        Basis(1, "m", "q"),
    ]
    assert len({str(basis) for basis in bases}) == len(bases)
