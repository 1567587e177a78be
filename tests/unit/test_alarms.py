"""Alarms in simulated time: each rule, and both sides of its limit."""

from __future__ import annotations

import pytest

from schemas.faults import Priority
from services.orchestrator.alarms import key_of
from services.orchestrator.effects import Answer, Escalate, Publish, PublishFlood, Repeat, TakeBack
from tests.support.alarm_line import Line, kinds, told
from tests.support.reports import brief, fault, written

pytestmark = pytest.mark.unit

MOTOR = "plant/motor7"
HOUR = 3600.0


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


def test_of_equally_urgent_alarms_the_latest_is_retained() -> None:
    line = Line()
    for code in ("E1", "E2", "E3"):
        line.on(0, code)
    gone, stands, given = line.off(10, "E3")
    assert isinstance(gone, Publish)
    assert not gone.retain
    assert isinstance(stands, Publish)
    assert isinstance(given, Repeat)
    assert (stands.key, stands.retain, given.key) == ("E2", True, "E2")


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
    assert line.tick(400) == [], "E3's answer stands there"
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
        assert kinds(effects) == ["Publish", "Repeat"], "no new work"
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
    assert line.on(301) == [], "a repetition of it is held as well"
    assert line.off(302) == []
    assert told(line.tick(602)) == ["cleared 4"], "it is told what was counted meanwhile"


@pytest.mark.parametrize(("quiet", "calm"), [(299.5, False), (300.0, True), (4000.0, True)])
def test_chatter_ends_when_it_was_quiet(quiet: float, calm: bool) -> None:
    line = Line()
    for at, hear in ((0, line.on), (10, line.off), (20, line.on)):
        hear(at)
    effects = line.tick(20 + quiet)
    if calm:
        assert kinds(effects) == ["Publish", "Repeat"]
        assert told(effects) == ["active 2"]
    else:
        assert effects == []


def test_quiet_is_counted_from_the_last_transition() -> None:
    line = Line()
    for at, hear in ((0, line.on), (10, line.off), (20, line.on), (310, line.off)):
        hear(at)
    assert line.tick(320) == []
    assert told(line.tick(610)) == ["cleared 2"]


def test_nothing_is_taken_back_while_it_chatters() -> None:
    line = Line(take_back_s=100)
    for at, hear in ((0, line.on), (10, line.off), (20, line.on), (30, line.off)):
        hear(at)
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
    marks = [told((line.off if at % 2 else line.on)(at)) for at in range(6)]
    assert marks == [["active 1"], ["cleared 1"]] * 2 + [["active 2 chattering"], []]


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
