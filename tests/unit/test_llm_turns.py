from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm_bridge.turns import PRIORITIES, Place, Turns

pytestmark = pytest.mark.unit

AGE = 60.0


@dataclass
class Line:
    """Turns, and what a queue does with them."""

    slots: int = 1
    cut_off: bool = True
    begun: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turns = Turns(self.slots, ageing_s=AGE, cut_off=self.cut_off)
        self.now = 0.0

    def come(self, name: str, priority: str = "warning") -> Place:
        background = priority == "background"
        place = self.turns.enter(
            name,
            "advice" if background else priority,  # type: ignore[arg-type]
            self.now,
            background=background,
        )
        self.turns.waiting.append(place)
        self.call()
        return place

    def call(self) -> None:
        while (place := self.turns.next(self.now)) is not None:
            self.turns.begin(place, self.turns.free()[0], self.now)
            self.begun.append(place.id)

    def end(self, place: Place) -> None:
        self.turns.end(place)
        self.call()

    def drain(self) -> list[str]:
        """Let all be written, one after the other; return the order from here on."""
        done = len(self.begun)
        while self.turns.written:
            self.end(self.turns.written[0])
        return self.begun[done:]


def test_the_urgent_come_first_and_equals_in_order() -> None:
    line = Line()
    for n, priority in enumerate(
        ["warning", "background", "advice", "warning", "critical", "advice", "critical"]
    ):
        line.come(f"{priority}{n}", priority)
    assert line.drain() == [
        "critical4", "critical6", "warning3", "advice2", "advice5", "background1",
    ]  # fmt: skip


def test_an_advice_that_waited_long_is_as_good_as_a_warning() -> None:
    line = Line(cut_off=False)
    line.come("first", "critical")
    line.come("old advice", "advice")
    line.come("old background", "background")
    line.now = AGE
    line.come("warning")
    line.come("critical", "critical")
    line.come("young advice", "advice")
    line.now = 100 * AGE
    line.come("late critical", "critical")
    order = ["critical", "late critical", "old advice", "warning", "young advice", "old background"]
    assert line.drain() == order


def test_a_critical_one_takes_the_slot_of_the_latest_advice() -> None:
    line = Line(slots=3)
    first, second = line.come("first", "advice"), line.come("second", "advice")
    line.come("warning")
    assert line.turns.cut() == []
    line.come("critical", "critical")
    assert line.turns.cut() == [second]
    second.leaving = True
    assert line.turns.cut() == []  # it has one already
    line.come("another", "critical")
    assert line.turns.cut() == [first]
    first.leaving = True
    line.come("third", "critical")
    assert line.turns.cut() == []  # a warning stays


def test_one_that_was_cut_off_keeps_its_place() -> None:
    line = Line()
    first = line.come("first", "advice")
    line.come("second", "advice")
    line.now = 5.0
    line.come("critical", "critical")
    assert line.turns.cut() == [first]
    line.end(first)
    line.turns.waiting.append(first)
    assert line.drain() == ["first", "second"]


def test_an_advice_that_grew_old_is_not_cut_off_again() -> None:
    line = Line()
    busy = line.come("busy", "critical")
    line.come("old", "advice")
    line.now = AGE
    line.end(busy)
    line.come("critical", "critical")
    assert line.begun == ["busy", "old"]
    assert line.turns.cut() == []


def test_cutting_off_can_be_switched_off_for_advice_alone() -> None:
    line = Line(cut_off=False)
    line.come("advice", "advice")
    line.come("critical", "critical")
    assert line.turns.cut() == []
    other = Line(cut_off=False)
    background = other.come("background", "background")
    other.come("advice", "advice")
    assert other.turns.cut() == [background]


def test_background_runs_only_while_there_is_no_other() -> None:
    line = Line(slots=2)
    background = line.come("background", "background")
    live = line.come("live", "advice")
    assert line.begun == ["background", "live"]  # a slot is free for it
    assert line.turns.cut() == [background]
    line.end(background)
    line.turns.waiting.append(background)
    line.call()
    assert line.begun == ["background", "live"]
    line.end(live)
    assert line.begun == ["background", "live", "background"]


def test_who_is_urged_moves_or_keeps_its_slot() -> None:
    line = Line()
    written = line.come("written", "advice")
    line.come("a", "advice")
    later = line.come("b", "background")
    line.turns.urge(later, "warning")
    line.turns.urge(written, "critical")
    line.come("critical", "critical")
    assert line.turns.cut() == []
    assert written.priority == "critical"
    assert line.drain() == ["critical", "b", "a"]


def test_depth_counts_by_priority() -> None:
    line = Line()
    for priority in ("critical", "advice", "advice", "background"):
        line.come(priority, priority)
    assert line.turns.depth() == {"critical": 0, "warning": 0, "advice": 2, "background": 1}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(PRIORITIES), min_size=200, max_size=200),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_of_200_none_overtakes_beyond_those_in_flight(
    priorities: list[str], slots: int, random: object
) -> None:
    line = Line(slots=slots, cut_off=False)
    rank = {f"{n}": PRIORITIES.index(priority) for n, priority in enumerate(priorities)}
    for name, priority in enumerate(priorities):
        line.come(str(name), priority)
    early = set(line.begun)
    while line.turns.written:
        line.end(random.choice(line.turns.written))  # type: ignore[attr-defined]
    assert len(line.begun) == 200
    late = [(rank[name], int(name)) for name in line.begun if name not in early]
    assert late == sorted(late)


@given(st.lists(st.tuples(st.sampled_from(PRIORITIES), st.integers(0, 90)), max_size=40))
def test_background_never_stands_before_a_live_one(came: list[tuple[str, int]]) -> None:
    line = Line(cut_off=False)
    line.come("first", "critical")
    for name, (priority, after) in enumerate(came):
        line.come(f"{name}{priority}", priority)
        line.now += after
    order = [place.background for place in line.turns.order(line.now)]
    assert order == sorted(order)
    critical = [place.priority == "critical" for place in line.turns.order(line.now)]
    assert critical == sorted(critical, reverse=True)
