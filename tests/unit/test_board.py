"""All alarms together in simulated time: clocks, restarts, commits that fail, and memory."""

from __future__ import annotations

import pytest

from schemas.faults import Priority
from services.orchestrator.alarms import report
from services.orchestrator.effects import Forgotten, Publish, Repeat, TakeBack
from services.runtime.config import Alarms
from tests.support.alarm_line import Line, kinds, told
from tests.support.reports import EPOCH, brief, fault

pytestmark = pytest.mark.unit

MOTOR = "plant/motor7"
HOUR = 3600.0


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


def test_what_cleared_is_forgotten_first_then_the_stale_then_the_least_urgent() -> None:
    line = Line(most=100, stale_after_s=1000)
    line.on(0, "stale", priority="critical", asset="s/x")
    line.tick(1000)
    line.on(1001, "gone", priority="critical", asset="g/x")
    line.off(1002, "gone", asset="g/x")
    line.on(1003, "advice", priority="advice", asset="a/x")
    for number in range(97):
        line.on(1004, "critical", priority="critical", asset=f"c{number}/x")

    def forgotten(priority: Priority, asset: str) -> list[str]:
        effects = line.on(1005, "new", priority=priority, asset=asset)
        return [e.asset for e in effects if isinstance(e, Forgotten)]

    assert forgotten("critical", "n1/x") == ["g/x"]
    assert forgotten("critical", "n2/x") == ["s/x"]
    assert forgotten("critical", "n3/x") == ["a/x"]
    assert forgotten("advice", "n4/x") == ["n4/x"], "all others are more urgent"
    assert forgotten("critical", "n5/x") == ["c0/x"]


def test_a_forgotten_alarm_does_not_stand_on_its_topics_for_good() -> None:
    line = Line(most=100)
    for number in range(101):
        effects = line.on(number, f"E{number}", asset=f"{number}/x")
    assert TakeBack("0/x", alarm=True) in effects
    assert len(line.board) == 100


def test_where_another_stands_it_takes_the_place_of_the_forgotten() -> None:
    line = Line(most=100)
    line.on(0, "E1")
    line.on(1, "E2")
    line.on(2, "E1")
    for number in range(99):
        effects = line.on(3, "c", asset=f"{number}/x", priority="critical")
    assert [e.key for e in effects if isinstance(e, Forgotten)] == ["E2"]
    assert not any(isinstance(e, TakeBack | Repeat) for e in effects), "E1's stands there"


def test_a_later_alarm_does_not_cover_a_more_urgent_one() -> None:
    line = Line()
    line.on(0, "E1", priority="critical")
    effects = line.on(1, "E2", priority="advice")
    assert kinds(effects) == ["Publish", "Answer", "Publish"]
    published = [e for e in effects if isinstance(e, Publish)]
    assert [(e.key, e.retain) for e in published] == [("E2", False), ("E1", True)]
    assert [line.board.now(MOTOR, f"E{n}", f"a{n}")[1] for n in (1, 2)] == [True, False]
    effects = line.on(2, "E2", priority="critical")
    assert [(e.key, e.retain) for e in effects if isinstance(e, Publish)] == [
        ("E2", True),
    ], "the latest of equals"
    assert isinstance(effects[-1], Repeat)


def test_when_the_most_urgent_clears_the_next_has_the_place_at_once() -> None:
    line = Line()
    line.on(0, "E1", priority="critical")
    line.on(1, "E2", priority="advice")
    gone, stands, given = line.off(2, "E1")
    assert isinstance(gone, Publish)
    assert not gone.retain
    assert isinstance(stands, Publish)
    assert stands.retain
    assert isinstance(given, Repeat)
    assert (stands.key, given.key) == ("E2", "E2")
    assert line.tick(302) == [], "nothing is to be taken back"


def test_an_answer_may_stand_while_its_alarm_does_and_for_a_while_after() -> None:
    line = Line()
    line.on(0)
    assert line.board.now(MOTOR, "E1", "a1")[1]
    assert line.board.now(MOTOR, "E1", "other") == (None, False)
    line.off(100)
    assert line.board.now(MOTOR, "E1", "a1")[1]
    line.tick(400)
    assert not line.board.now(MOTOR, "E1", "a1")[1]


def test_chatter_is_told_once_and_held_until_it_is_over() -> None:
    line = Line()
    line.on(0)
    line.off(10)
    assert told(line.on(20)) == ["active 2 chattering"]
    for at in range(30, 600, 20):
        assert line.off(at) == []
        assert line.on(at + 10) == []
    assert line.tick(800) == []
    assert told(line.tick(900)) == ["active 31"]


def test_chatter_that_begins_with_a_clear_stands_until_it_is_over() -> None:
    line = Line()
    line.on(0)
    line.off(100)
    line.on(110)
    assert told(line.off(120)) == ["active 1 chattering"]
    line.restart()
    assert line.off(125) == [], "known already"
    assert told(line.tick(420)) == ["cleared 1"]


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
    for at, hear in ((0, line.on), (10, line.off), (20, line.on)):
        hear(at)
    for number in range(12):
        line.on(30, f"F{number}")
    before = line.board.changes()
    line.restart()
    assert line.off(40) == [], "it chatters"
    assert len(line.board) == len(before.alarms) == 13
    assert told(line.tick(340)) == ["cleared 2", "active 1"]


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
    area = line.board._areas.get("plant")
    assert area is not None
    assert len(area.recent) == 1
    assert kinds(line.on(1001, "F1")) == ["Publish", "Answer"]
    stale = [words for words in told(line.tick(25 * HOUR)) if "stale" in words]
    assert stale[-2:] == ["active 1 stale", "active 1 stale"]


def test_changes_are_what_the_ledger_has_to_write() -> None:
    line = Line()
    line.on(0)
    changes = line.board.changes()
    assert changes.alarms == {(MOTOR, "E1"): line.board.get(MOTOR, "E1")}
    assert changes.areas == {"plant": line.board._areas.get("plant")}
    line.board.commit()
    line.off(1)
    line.tick(10_000)
    changes = line.board.changes()
    assert (changes.alarms, changes.areas) == ({(MOTOR, "E1"): None}, {"plant": None})


def test_alarms_that_come_once_take_no_memory_for_ever() -> None:
    line = Line(most=100)
    most = 0
    for at in range(2000):
        line.on(at, f"E{at}", asset=f"{at}/x")
        most = max(most, len(line.board._heap))
    assert len(line.board) == 100
    line.tick(5000)
    assert len(line.board.changes().alarms) >= 2000
    # One entry an alarm (100) and area (600 in a window), and as many again that are out of date.
    assert most < 1500
    line.tick(40 * HOUR)
    assert line.board._heap == []


def test_an_earlier_time_is_no_time() -> None:
    limits = Alarms()
    standing, _ = report(None, fault(), 1000.0, limits, answer_id="a1")
    again, _ = report(standing, fault(), 400.0, limits, answer_id="a2")
    assert again is not None
    assert again.seen_at == 1000
    gone, _ = report(again, fault(cleared=True), 300.0, limits, answer_id="")
    assert gone is not None
    assert gone.turns == (1000, 1000)
    held, _ = report(gone, fault(), 200.0, limits, answer_id="a3")
    assert held is not None
    assert (brief(held.alarm), held.seen_at) == ("active 3 chattering", 1000)


def test_repetitions_take_no_memory() -> None:
    line = Line()
    for at in range(2000):
        line.on(at)
        line.on(at, "E2", asset="plant/motor8")
    assert len(line.board._heap) < 200
