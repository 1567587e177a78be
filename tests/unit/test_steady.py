from __future__ import annotations

import pytest

from services.orchestrator.board import Board
from services.orchestrator.steady import Steady, onward
from services.runtime.config import Alarms
from tests.support.reports import fault

pytestmark = pytest.mark.unit

NOW_S = 1_790_000_000.0
DAY_S = 86_400.0


def test_a_clock_that_is_set_at_work_makes_no_time_pass() -> None:
    wall, passing = [NOW_S], [50.0]
    clock = onward(lambda: wall[0], lambda: passing[0])
    assert clock() == NOW_S
    for step in (25 * 3600, -3600, -NOW_S):
        wall[0] += step
        passing[0] += 2
    assert clock() == NOW_S + 6


@pytest.mark.parametrize("kept", [False, True])
def test_a_box_that_learns_the_time_late_has_no_stale_alarms(kept: bool) -> None:
    """Within one process, or at the start of the next one."""
    board = Board(Alarms())
    board.report(fault("E1"), 100.0, answer_id="a")
    if kept:
        board = Board(Alarms(), [one for one in board.changes().alarms.values() if one])
    assert board.tick(NOW_S) == []
    assert board.tick(NOW_S + 3600) == []
    # From there on it goes at the clock's pace.
    effects = board.tick(NOW_S + 2 * DAY_S)
    assert [effect.alarm.stale for effect in effects] == [True]  # type: ignore[union-attr]
    later = Board(Alarms(), [one for one in board.changes().alarms.values() if one])
    assert later.tick(NOW_S + 2 * DAY_S) == []


def test_what_passed_while_nobody_ran_counts() -> None:
    steady = Steady(NOW_S)
    assert steady.time(NOW_S + 3 * DAY_S) == NOW_S + 3 * DAY_S
