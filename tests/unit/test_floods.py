"""Floods in simulated time: where they begin and end, and what came first."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from schemas.faults import Flood
from services.orchestrator.board import Board
from services.orchestrator.effects import Answer, Effect, Front, PublishFlood, Repeat
from services.orchestrator.floods import Area, Raise, area_of, count
from services.runtime.config import Alarms
from tests.support.reports import EPOCH, fault, written

pytestmark = pytest.mark.unit


class Line:
    """An area `plant` in which every alarm is that of another machine."""

    def __init__(self, **limits: Any) -> None:
        self.board = Board(Alarms(**limits))
        self._ids = itertools.count(1)

    def on(self, at: float, machine: int, area: str = "plant", **parts: Any) -> list[Effect]:
        number = next(self._ids)
        one = fault(asset=f"{area}/m{machine}", at=at, **parts)
        return self.board.report(one, EPOCH + at, answer_id=f"a{number}")

    def many(self, at: float, count: int, begin: int = 0) -> list[Effect]:
        return [e for n in range(begin, begin + count) for e in self.on(at, n)]

    def tick(self, at: float) -> list[Effect]:
        return self.board.tick(EPOCH + at)

    def kept(self, area: str = "plant") -> Area:
        found = self.board._areas.get(area)
        assert found is not None
        return found


def floods(effects: list[Effect]) -> list[Flood]:
    return [e.flood for e in effects if isinstance(e, PublishFlood)]


@pytest.mark.parametrize(
    ("asset", "levels", "area"),
    [
        ("plant/motor7", 0, "plant"),
        ("site/hall2/line1/motor7", 0, "site/hall2/line1"),
        ("motor7", 0, "motor7"),
        ("/motor7", 0, "/motor7"),
        ("site/hall2/line1/motor7", 1, "site"),
        ("site/hall2/line1/motor7", 2, "site/hall2"),
        ("site/motor7", 5, "site/motor7"),
        ("/motor7", 1, "/motor7"),
    ],
)
def test_the_area_is_the_first_levels(asset: str, levels: int, area: str) -> None:
    assert area_of(asset, levels) == area


def test_ten_are_no_flood_and_eleven_are() -> None:
    line = Line()
    assert floods(line.many(0, 10)) == []
    effects = line.on(5, 10)
    assert floods(effects) == [
        Flood(active=True, since=written(5), alarms_in_window=11, first_out="plant/m0 E1")
    ]


@pytest.mark.parametrize(("last", "flood"), [(599.9, True), (600.0, False), (600.1, False)])
def test_the_eleventh_must_come_within_the_window(last: float, flood: bool) -> None:
    line = Line()
    line.on(0, 0)
    line.many(300, 9, begin=1)
    assert bool(floods(line.on(last, 10))) is flood


def test_the_first_out_alarm_goes_to_the_front_and_stays_there() -> None:
    line = Line()
    line.on(0, 7)
    line.many(1, 6)
    effects = line.many(2, 5, begin=10)
    assert [e for e in effects if isinstance(e, Front)] == [Front("plant/m7", "E1", "a1")]
    [repeat] = [e for e in line.on(3, 7) if isinstance(e, Repeat)]
    assert repeat.front
    [other] = [e for e in line.on(4, 11) if isinstance(e, Repeat)]
    assert not other.front
    line.on(100, 7, cleared=True)
    [again] = [e for e in line.on(200, 7) if isinstance(e, Answer)]
    assert again.front
    assert line.kept().first is not None


def test_a_first_out_alarm_that_is_forgotten_has_no_work_to_move() -> None:
    line = Line()
    line.on(0, 0)
    line.on(10, 0, cleared=True)
    effects = line.tick(500) + line.many(550, 10, begin=1)
    assert line.board.get("plant/m0", "E1") is None
    assert floods(effects)[0].first_out == "plant/m0 E1"
    assert not any(isinstance(e, Front) for e in effects)


def test_what_came_before_the_window_is_not_first_out() -> None:
    line = Line()
    line.on(0, 99)
    line.many(700, 10)
    assert floods(line.on(701, 10))[0].first_out == "plant/m0 E1"


def test_fewer_than_five_end_it() -> None:
    line = Line()
    line.many(0, 8)
    line.on(100, 8)
    line.on(200, 9)
    line.on(300, 10)
    line.on(400, 11)
    # Five are left until the last of those at 0 is gone, four after it.
    assert floods(line.tick(599.9)) == []
    assert floods(line.tick(600)) == [
        Flood(active=False, since=written(300), alarms_in_window=4, first_out="plant/m0 E1")
    ]


def test_five_keep_it_up() -> None:
    line = Line()
    line.many(0, 11)
    line.many(500, 5, begin=20)
    assert floods(line.tick(600)) == []
    assert floods(line.tick(1099)) == []
    [ended] = floods(line.tick(1100))
    assert (ended.active, ended.alarms_in_window) == (False, 0)


def test_it_ends_before_the_next_alarm_is_counted() -> None:
    line = Line()
    line.many(0, 11)
    effects = line.on(5000, 50)
    assert [f.active for f in floods(effects)] == [False]
    assert line.kept().first is None


def test_after_the_end_it_takes_eleven_again() -> None:
    line = Line()
    line.many(0, 11)
    line.tick(600)
    assert floods(line.many(601, 10, begin=20)) == []
    assert len(floods(line.on(602, 30))) == 1


def test_the_count_of_a_flood_is_told_now_and_then() -> None:
    line = Line()
    line.many(0, 11)
    assert floods(line.many(9, 50, begin=11)) == []
    assert [f.alarms_in_window for f in floods(line.many(10, 5, begin=70))] == [62]


def test_a_long_flood_is_counted_and_takes_little_room() -> None:
    line = Line(flood_update_s=1.0)
    last = [f for at in range(1200) for f in floods(line.many(at, 2, begin=2 * at))][-1]
    # It is told at the first of the last two; a part not wholly out of the window still counts.
    assert 1199 <= last.alarms_in_window <= 1219
    assert len(line.kept().recent) == 11
    assert len(line.kept().spans) <= 62


def test_repetitions_clears_and_chatter_are_not_new() -> None:
    line = Line()
    for at in range(20):
        line.on(at, 0)
    assert len(line.kept().recent) == 1
    for at in range(100, 120):
        line.on(at, 0, cleared=at % 2 == 0)
    # The clear at 100 and the raise at 101 are two transitions: new once, then it chatters.
    assert len(line.kept().recent) == 2


def test_a_stale_alarm_that_comes_again_is_new() -> None:
    line = Line()
    line.many(0, 11)
    line.tick(90_000)
    assert line.board._areas.get("plant") is None
    assert len(floods(line.many(90_001, 11))) == 1


def test_areas_are_counted_apart() -> None:
    line = Line()
    line.many(0, 10)
    for machine in range(10):
        assert floods(line.on(1, machine, area="paint")) == []
    [effect] = [e for e in line.on(2, 10, area="paint") if isinstance(e, PublishFlood)]
    assert effect.area == "paint"


def test_limits_and_depth_are_those_of_the_configuration() -> None:
    line = Line(flood_more_than=2, flood_fewer_than=1, flood_window_s=10, area_levels=1)
    line.on(0, 1, area="site/a")
    line.on(1, 1, area="site/b")
    [effect] = [e for e in line.on(2, 1, area="site/c") if isinstance(e, PublishFlood)]
    assert effect.area == "site"
    assert floods(line.tick(11.9)) == []
    assert [f.active for f in floods(line.tick(12))] == [False]


def test_an_area_is_forgotten_when_its_window_is_empty() -> None:
    line = Line()
    line.on(0, 0)
    line.tick(599)
    assert line.board._areas.get("plant") is not None
    line.tick(600)
    assert line.board._areas.get("plant") is None


def test_an_earlier_time_is_no_time() -> None:
    limits = Alarms(flood_more_than=2)
    area: Area | None = Area(area="plant")
    for at in (1000.0, 100.0, 0.0):
        assert area is not None
        area, flood = count(area, Raise(at, "plant/m0", "E1", "plant/m0 E1"), written(0), limits)
    assert area is not None
    assert [one.at for one in area.recent] == [1000.0] * 3
    assert flood is not None
    assert flood.alarms_in_window == 3
