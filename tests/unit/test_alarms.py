"""Alarms in simulated time: each rule, and both sides of its limit."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from schemas.faults import Priority
from services.orchestrator.alarms import Standing, key_of
from services.orchestrator.board import Board
from services.orchestrator.effects import (
    Answer,
    Effect,
    Escalate,
    Forgotten,
    Publish,
    PublishFlood,
    Repeat,
    TakeBack,
)
from services.orchestrator.floods import Area
from services.runtime.config import Alarms
from tests.support.reports import EPOCH, brief, fault, written

pytestmark = pytest.mark.unit

MOTOR = "plant/motor7"
HOUR = 3600.0


class Line:
    """A board with its own numbering of answers, told seconds after EPOCH."""

    def __init__(self, **limits: Any) -> None:
        self.limits = Alarms(**limits)
        self.board = Board(self.limits)
        self._ids = itertools.count(1)

    def on(self, at: float, code: str = "E1", **parts: Any) -> list[Effect]:
        one = fault(code, at=at, **parts)
        return self.board.report(one, EPOCH + at, answer_id=f"a{next(self._ids)}")

    def off(self, at: float, code: str = "E1", **parts: Any) -> list[Effect]:
        return self.on(at, code, cleared=True, **parts)

    def tick(self, at: float) -> list[Effect]:
        return self.board.tick(EPOCH + at)

    def restart(self) -> None:
        """Go through the ledger's JSON."""
        changes = self.board.changes()
        alarms, areas = list(changes.alarms.values()), list(changes.areas.values())
        read = msgspec.json.decode
        self.board = Board(
            self.limits,
            read(msgspec.json.encode([a for a in alarms if a]), type=list[Standing]),
            read(msgspec.json.encode([a for a in areas if a]), type=list[Area]),
        )


def kinds(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def told(effects: list[Effect]) -> list[str]:
    return [brief(effect.alarm) for effect in effects if isinstance(effect, Publish)]


def test_a_new_alarm_is_published_and_answered() -> None:
    published, answer = Line().on(0)
    assert isinstance(published, Publish)
    assert isinstance(answer, Answer)
    assert published.alarm == answer.alarm
    assert (answer.asset, answer.key, answer.front) == (MOTOR, "E1", False)
    alarm = answer.alarm
    assert (brief(alarm), alarm.answer_id, alarm.priority) == ("active 1", "a1", "warning")
    assert alarm.first_seen == alarm.last_seen == written(0)


def test_a_repetition_counts_and_repeats_the_standing_answer() -> None:
    line = Line()
    line.on(0)
    published, repeat = line.on(5)
    assert isinstance(published, Publish)
    assert isinstance(repeat, Repeat)
    assert (brief(repeat.alarm), repeat.alarm.answer_id) == ("active 2", "a1")
    assert (repeat.alarm.first_seen, repeat.alarm.last_seen) == (written(0), written(5))


@pytest.mark.parametrize(
    ("first", "second", "stands", "escalates"),
    [
        ("warning", "critical", "critical", True),
        ("advice", "warning", "warning", True),
        ("critical", "critical", "critical", False),
        ("critical", "advice", "critical", False),
    ],
)
def test_a_more_urgent_repetition_escalates(
    first: Priority, second: Priority, stands: Priority, escalates: bool
) -> None:
    line = Line()
    line.on(0, priority=first)
    effects = line.on(1, priority=second)
    assert kinds(effects) == ["Publish", *(["Escalate"] if escalates else []), "Repeat"]
    for effect in effects:
        assert isinstance(effect, Publish | Escalate | Repeat)
        assert (effect.alarm.priority, effect.alarm.answer_id) == (stands, "a1")


def test_other_codes_assets_and_words_are_other_alarms() -> None:
    line = Line()
    reports = [
        {},
        {"code": "E2"},
        {"asset": "plant/motor8"},
        {"code": "", "text": "Door open"},
        {"code": "", "text": "Motor hot"},
    ]
    assert [kinds(line.on(0, **r)) for r in reports] == [["Publish", "Answer"]] * 5
    again = line.on(1, "", text="door  OPEN")
    assert kinds(again) == ["Publish", "Repeat"]
    assert told(again) == ["active 2"]


def test_the_key_is_the_code_or_stands_for_the_words() -> None:
    assert key_of(fault("E005", text="x")) == "E005"
    assert key_of(fault("", text="x")) != key_of(fault("", text="y"))
    assert key_of(fault("", text="x")).startswith("text:")


def test_a_clear_and_a_raise_after_it_is_a_new_alarm() -> None:
    line = Line()
    line.on(0, priority="critical")
    line.on(1)
    assert told(line.off(100)) == ["cleared 2"]
    published, answer = line.on(200)
    assert isinstance(published, Publish)
    assert isinstance(answer, Answer)
    alarm = answer.alarm
    assert (brief(alarm), alarm.answer_id, alarm.priority) == ("active 1", "a4", "warning")
    assert alarm.first_seen == written(200)


def test_a_clear_of_what_does_not_stand_changes_nothing() -> None:
    line = Line()
    assert line.off(0) == []
    line.on(1)
    assert line.off(2, "E2") == []
    line.off(3)
    assert line.off(4) == []
    assert line.off(5, "") == []


def test_a_clear_without_a_code_clears_all_of_the_asset() -> None:
    line = Line()
    line.on(0, "E1")
    line.on(0, "E2", priority="critical")
    line.on(0, "E1", asset="plant/motor8")
    effects = line.off(100, "")
    assert told(effects) == ["cleared 1", "cleared 1"]
    assert {e.key for e in effects if isinstance(e, Publish)} == {"E1", "E2"}
    assert [s.key for s in line.board.active("plant/motor8")] == ["E1"]


def test_a_clear_by_words_clears_that_alarm_only() -> None:
    line = Line()
    line.on(0, "", text="door open")
    line.on(0, "", text="motor hot")
    cleared, stands = line.off(100, "", text="door open")
    assert isinstance(cleared, Publish)
    assert isinstance(stands, Publish)
    assert (cleared.alarm.state, stands.alarm.state) == ("cleared", "active")
    # The same words again name nothing that stands: all is well then.
    assert told(line.off(200, "", text="door open")) == ["cleared 1"]


def test_after_a_clear_the_most_urgent_alarm_that_stands_is_retained() -> None:
    line = Line()
    line.on(0, "E1", priority="advice")
    line.on(0, "E2", priority="critical")
    line.on(0, "E3", priority="warning")
    effects = line.off(10, "E3")
    assert [(e.key, e.alarm.state) for e in effects if isinstance(e, Publish)] == [
        ("E3", "cleared"),
        ("E2", "active"),
    ]


@pytest.mark.parametrize(("after", "gone"), [(299.5, False), (300.0, True), (5000.0, True)])
def test_answer_and_display_are_taken_back_after_the_clear(after: float, gone: bool) -> None:
    line = Line()
    line.on(0)
    line.off(100)
    assert line.tick(100 + after) == ([TakeBack(MOTOR)] if gone else [])


def test_a_raise_keeps_the_answer_in_its_place() -> None:
    line = Line()
    line.on(0)
    line.off(100)
    line.on(399)
    assert line.tick(400) == []
    line.off(500)
    assert line.tick(799) == []
    assert line.tick(800) == [TakeBack(MOTOR)]
    assert line.tick(5000) == []
    assert len(line.board) == 0, "nothing is left to remember"


def test_answers_are_taken_back_when_the_last_alarm_of_the_asset_is_gone() -> None:
    line = Line()
    for code in ("E1", "E2", "E3"):
        line.on(0, code)
    line.off(100, "E1")
    line.off(200, "E2")
    [repeat] = line.tick(400)
    assert isinstance(repeat, Repeat), "E1's answer may stand there, E3 needs the place"
    assert repeat.key == "E3"
    line.off(450, "E3")
    assert line.tick(749) == []
    assert line.tick(750) == [TakeBack(MOTOR)]


def test_many_clears_due_together_take_one_place_back() -> None:
    line = Line()
    for number in range(20):
        line.on(0, f"E{number}", asset="motor")
    line.off(100, "", asset="motor")
    assert [e for e in line.tick(400) if not isinstance(e, PublishFlood)] == [TakeBack("motor")]


CHATTER = [
    # Seconds of the third transition after the first, and whether it chatters.
    (20.0, True),
    (59.9, True),
    (60.0, False),
    (60.1, False),
]


@pytest.mark.parametrize(("third", "chatters"), CHATTER)
def test_three_transitions_within_a_minute_chatter(third: float, chatters: bool) -> None:
    line = Line()
    line.on(0)
    line.off(10)
    effects = line.on(third)
    if chatters:
        assert kinds(effects) == ["Publish"], "no new work"
        assert told(effects) == ["active 2 chattering"]
    else:
        assert kinds(effects) == ["Publish", "Answer"]
        assert told(effects) == ["active 1"]


@pytest.mark.parametrize(("third", "chatters"), CHATTER)
def test_a_clear_can_be_the_third(third: float, chatters: bool) -> None:
    line = Line()
    line.on(0)
    line.off(1000)
    line.on(1010)
    assert ("chattering" in told(line.off(1000 + third))[0]) is chatters


def test_repetitions_are_no_transitions() -> None:
    line = Line()
    for at in range(20):
        assert "chattering" not in told(line.on(at))[0]
    assert line.off(20)
    for at in range(21, 40):
        assert line.off(at) == []
    assert told(line.on(60)) == ["active 1"]


def test_chatter_counts_on_keeps_its_answer_and_escalates() -> None:
    line = Line()
    line.on(0)
    line.off(10)
    line.on(20)
    line.off(30)
    effects = line.on(400 - 100, priority="critical")
    assert kinds(effects) == ["Publish", "Escalate"]
    assert told(effects) == ["active 3 chattering"]
    assert isinstance(effects[1], Escalate)
    assert effects[1].alarm.answer_id == "a1"
    assert kinds(line.on(301)) == ["Publish"], "a repetition of it is held as well"


@pytest.mark.parametrize(("quiet", "calm"), [(299.5, False), (300.0, True), (4000.0, True)])
def test_chatter_ends_when_it_was_quiet(quiet: float, calm: bool) -> None:
    line = Line()
    for at, report in ((0, line.on), (10, line.off), (20, line.on)):
        report(at)
    effects = line.tick(20 + quiet)
    if calm:
        assert kinds(effects) == ["Publish", "Repeat"]
        assert told(effects) == ["active 2"]
    else:
        assert effects == []


def test_quiet_is_counted_from_the_last_transition() -> None:
    line = Line()
    for at, report in ((0, line.on), (10, line.off), (20, line.on), (310, line.off)):
        report(at)
    assert line.tick(320) == []
    assert told(line.tick(610)) == ["cleared 2"]


def test_nothing_is_taken_back_while_it_chatters() -> None:
    line = Line(take_back_s=100)
    for at, report in ((0, line.on), (10, line.off), (20, line.on), (30, line.off)):
        report(at)
    assert line.tick(329) == []
    effects = line.tick(330)
    assert kinds(effects) == ["Publish", "TakeBack"]
    assert told(effects) == ["cleared 2"]


def test_an_answer_taken_back_before_is_repeated_when_chatter_begins() -> None:
    line = Line(take_back_s=5)
    line.on(0)
    line.off(10)
    assert line.tick(20) == [TakeBack(MOTOR)]
    effects = line.on(30)
    assert kinds(effects) == ["Publish", "Repeat"]
    assert told(effects) == ["active 2 chattering"]


def test_the_number_of_transitions_can_be_set() -> None:
    line = Line(chatter_transitions=5, chatter_window_s=10)
    marks = [
        told((line.off if at % 2 else line.on)(at))[0].endswith("chattering") for at in range(6)
    ]
    assert marks == [False] * 4 + [True] * 2


@pytest.mark.parametrize(("after", "stale"), [(23.9, False), (24.0, True), (100.0, True)])
def test_an_alarm_nobody_reports_for_a_day_is_stale(after: float, stale: bool) -> None:
    line = Line()
    line.on(0)
    line.on(HOUR)
    assert told(line.tick(HOUR + after * HOUR)) == (["active 2 stale"] if stale else [])


def test_a_stale_alarm_is_news_when_it_is_reported_again() -> None:
    line = Line()
    line.on(0, priority="critical")
    line.tick(30 * HOUR)
    published, answer = line.on(31 * HOUR)
    assert isinstance(published, Publish)
    assert isinstance(answer, Answer)
    alarm = answer.alarm
    assert (brief(alarm), alarm.answer_id, alarm.priority) == ("active 2", "a2", "warning")
    assert alarm.first_seen == written(0)


def test_a_stale_alarm_can_clear_and_stands_behind_the_others() -> None:
    line = Line()
    line.on(0, "E1", priority="critical")
    line.on(30 * HOUR, "E2", priority="advice")
    assert [s.key for s in line.board.active(MOTOR)] == ["E2", "E1"]
    effects = line.off(31 * HOUR, "E1")
    assert told(effects) == ["cleared 1", "active 1"]


def test_what_was_due_comes_before_the_report() -> None:
    line = Line()
    line.on(0)
    line.off(100)
    assert kinds(line.on(1000)) == ["TakeBack", "Publish", "Answer"]


def test_no_more_alarms_are_kept_than_allowed() -> None:
    line = Line(most=100)
    for number in range(100):
        line.on(number, f"E{number}", asset=f"a{number}")
    line.on(100, "E0", asset="a0")
    effects = line.on(101, "new")
    [forgotten] = [e for e in effects if isinstance(e, Forgotten)]
    assert (forgotten.asset, forgotten.key) == ("a1", "E1"), "the one not reported for longest"
    assert len(line.board) == 100
    assert line.board.changes().alarms["a1", "E1"] is None


def test_the_place_of_a_forgotten_cleared_alarm_is_taken_back() -> None:
    line = Line(most=100)
    line.on(0)
    line.off(1)
    for number in range(100):
        effects = line.on(2, f"E{number}", asset=f"{number}/x")
    assert kinds(effects) == ["Publish", "Answer", "Forgotten", "TakeBack"]


def test_a_clock_that_steps_back_lets_no_time_pass() -> None:
    line = Line()
    line.on(0)
    line.off(1000)
    assert line.tick(1000 - HOUR) == []
    assert line.tick(1299 - HOUR) == [], "299 s since the clear"
    assert line.tick(1300 - HOUR) == [TakeBack(MOTOR)]
    assert kinds(line.on(1301 - HOUR)) == ["Publish", "Answer"]


def test_transitions_across_a_step_back_are_counted_together() -> None:
    line = Line()
    line.on(0)
    line.off(-50)
    assert told(line.on(-100)) == ["active 2 chattering"]
    for at in range(-90, 200):
        assert line.tick(at) == [], "at 199 it is 299 s since the step"
    assert told(line.tick(200)) == ["active 2"]


def test_a_restart_with_an_earlier_clock_goes_on_counting() -> None:
    line = Line()
    line.on(0)
    line.off(1000)
    line.restart()
    assert line.tick(-EPOCH) == [], "a box without a battery begins in 1970"
    assert line.tick(-EPOCH + 299) == []
    assert line.tick(1000) == [], "the clock is set right: that is no time"
    assert line.tick(1300) == [TakeBack(MOTOR)]


def test_all_of_it_goes_through_json() -> None:
    line = Line()
    for at, report in ((0, line.on), (10, line.off), (20, line.on)):
        report(at)
    for number in range(12):
        line.on(30, f"F{number}")
    before = line.board.changes()
    line.restart()
    assert told(line.off(40)) == ["cleared 2 chattering", "active 1"]
    assert len(line.board) == len(before.alarms) == 13


def test_a_rollback_undoes_reports_and_time() -> None:
    line = Line()
    line.on(0)
    line.board.commit()
    for number in range(20):
        line.on(1, f"F{number}")
    line.off(2)
    line.tick(1000)
    line.board.rollback()
    changes = line.board.changes()
    assert (changes.alarms, changes.areas) == ({}, {})
    assert [s.key for s in line.board.active(MOTOR)] == ["E1"]
    area = line.board.area("plant")
    assert area is not None
    assert len(area.recent) == 1
    assert kinds(line.on(1001, "F1")) == ["Publish", "Answer"]
    assert told(line.tick(25 * HOUR)) == ["active 1 stale", "active 1 stale"]


def test_changes_are_what_the_ledger_has_to_write() -> None:
    line = Line()
    line.on(0)
    changes = line.board.changes()
    assert changes.alarms == {(MOTOR, "E1"): line.board.get(MOTOR, "E1")}
    assert changes.areas == {"plant": line.board.area("plant")}
    line.board.commit()
    line.off(1)
    line.tick(10_000)
    changes = line.board.changes()
    assert (changes.alarms, changes.areas) == ({(MOTOR, "E1"): None}, {"plant": None})


def test_another_answer_can_be_made_the_standing_one() -> None:
    line = Line()
    line.on(0)
    [published] = line.board.answered(MOTOR, "E1", "b7")
    assert isinstance(published, Publish)
    assert published.alarm.answer_id == "b7"
    assert line.board.answered(MOTOR, "E1", "b7") == []
    assert line.board.answered(MOTOR, "E9", "b7") == []
    repeat = line.on(1)[1]
    assert isinstance(repeat, Repeat)
    assert repeat.alarm.answer_id == "b7"


def test_wait_says_when_to_tick() -> None:
    line = Line()
    assert line.board.wait(EPOCH) is None
    line.on(0)
    line.off(100)
    wait = line.board.wait(EPOCH + 150)
    assert wait is not None
    assert wait <= 250
    for _ in range(10):
        at = 150 + (line.board.wait(EPOCH + 150) or 0)
        if line.tick(at):
            break
    assert at == 400
    assert line.board.wait(EPOCH + 9000) == 0


def test_repetitions_take_no_memory() -> None:
    line = Line()
    for at in range(2000):
        line.on(at)
        line.on(at, "E2", asset="plant/motor8")
    assert len(line.board._heap) < 200
