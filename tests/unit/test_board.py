"""All alarms together in simulated time: clocks, restarts, commits that fail, and memory."""

from __future__ import annotations

import pytest

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
