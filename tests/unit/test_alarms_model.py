"""Alarms and floods against a model that keeps every event and works all out from scratch.

The model knows no state machine: it says from the list of events what must be true at a time.
All times are whole seconds, so that both sides compute them exactly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from schemas.faults import Alarm, Flood, Priority
from services.orchestrator.alarms import Standing
from services.orchestrator.board import Board
from services.orchestrator.effects import Answer, Effect, Publish, PublishFlood, Repeat, TakeBack
from services.orchestrator.floods import Area
from services.runtime.config import Alarms
from tests.support.reports import EPOCH, fault

pytestmark = pytest.mark.unit

LIMITS = Alarms(
    chatter_transitions=3,
    chatter_window_s=6.0,
    chatter_quiet_s=10.0,
    stale_after_s=40.0,
    take_back_s=8.0,
    flood_more_than=3,
    flood_fewer_than=2,
    flood_window_s=20.0,
)
ASSETS = ("hall/m1", "hall/m2", "m3")
CODES = ("E1", "E2", "E3")
URGENT: tuple[Priority, ...] = ("advice", "warning", "critical")

Key = tuple[str, str]


@dataclass
class Events:
    """What was reported of one alarm, in order: when, what, how urgent."""

    log: list[tuple[float, Literal["raise", "again", "clear"], Priority]] = field(
        default_factory=list
    )

    def active(self) -> bool:
        return bool(self.log) and self.log[-1][1] != "clear"

    def turns(self, end: int | None = None) -> list[float]:
        """Return when it came or went, as far as the first `end` events say."""
        return [at for at, kind, _ in self.log[:end] if kind != "again"]

    def stale(self, now: float) -> bool:
        return self.active() and now - self.log[-1][0] >= LIMITS.stale_after_s

    def held(self, place: int) -> bool:
        return chatters(self.turns(place + 1), self.log[place][0])

    def fresh(self) -> list[int]:
        """Return which events raised it without chatter: there it counts from 1."""
        return [
            i for i, (_, kind, _) in enumerate(self.log) if kind == "raise" and not self.held(i)
        ]

    def news(self) -> list[int]:
        """Return which events were new alarms: fresh ones, and those that found it stale."""
        late = [
            i
            for i, (at, kind, _) in enumerate(self.log)
            if kind == "again" and at - self.log[i - 1][0] >= LIMITS.stale_after_s
        ]
        return sorted(self.fresh() + late)

    def occurrences(self) -> int:
        return sum(kind != "clear" for _, kind, _ in self.log[self.fresh()[-1] :])

    def priority(self) -> Priority:
        since = self.log[self.news()[-1] :]
        return max((p for _, kind, p in since if kind != "clear"), key=URGENT.index)

    def free(self) -> float:
        """Return when a cleared alarm gives its place on the asset's topics free."""
        went = self.log[-1][0]
        quiet = LIMITS.chatter_quiet_s if chatters(self.turns(), went) else 0.0
        return went + max(LIMITS.take_back_s, quiet)


def chatters(turns: list[float], now: float) -> bool:
    """Return whether three turns came within 6 s, and no quiet of 10 s since."""
    return any(
        turns[i] - turns[i - 2] < LIMITS.chatter_window_s
        and all(b - a < LIMITS.chatter_quiet_s for a, b in pairwise([*turns[i:], now]))
        for i in range(2, len(turns))
    )


def flood_now(new: list[float], now: float) -> bool:
    """Return whether there is a flood, from the times of the new alarms in order."""
    window, flood = LIMITS.flood_window_s, False
    moments = [(at, 1) for at in new] + [(at + window, 0) for at in new if at + window <= now]
    seen: list[float] = []
    for at, is_new in sorted(moments):
        seen += [at] if is_new else []
        count = sum(at - one < window for one in seen)
        flood = count >= LIMITS.flood_fewer_than if flood else count > LIMITS.flood_more_than
    return flood


class Comparison(RuleBasedStateMachine):
    """Both hear the same, and must agree after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board(LIMITS)
        self.now = 0.0
        self.events: dict[Key, Events] = {}
        self.published: dict[Key, Alarm] = {}
        self.retained: dict[str, str] = {}
        self.floods: dict[str, Flood] = {}
        self.holds: dict[str, str] = {}
        self.works: Counter[Key] = Counter()
        self.ids = 0
        self.silent = False

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Publish():
                    self.published[effect.asset, effect.key] = effect.alarm
                    if effect.retain:
                        self.retained[effect.asset] = effect.key
                case PublishFlood():
                    before = self.floods.get(effect.area)
                    assert effect.flood.active or (before is not None and before.active)
                    self.floods[effect.area] = effect.flood
                case Answer():
                    self.works[effect.asset, effect.key] += 1
                    self.given(effect)
                case Repeat():
                    assert effect.alarm.state == "active"
                    assert self.works[effect.asset, effect.key], "there is an answer to repeat"
                    self.given(effect)
                case TakeBack():
                    assert self.holds.pop(effect.asset), "something is there to be taken back"
                case _:
                    pass

    def given(self, effect: Answer | Repeat) -> None:
        """Have the answer go out at once; it is retained where the board says so."""
        if self.board.now(effect.asset, effect.key, effect.alarm.answer_id)[1]:
            self.holds[effect.asset] = effect.key

    @rule(
        asset=st.sampled_from(ASSETS), code=st.sampled_from(CODES), priority=st.sampled_from(URGENT)
    )
    def active(self, asset: str, code: str, priority: Priority) -> None:
        self.ids += 1
        one = fault(code, asset=asset, priority=priority, at=self.now)
        self.do(self.board.report(one, EPOCH + self.now, answer_id=f"a{self.ids}"))
        events = self.events.setdefault((asset, code), Events())
        events.log.append((self.now, "again" if events.active() else "raise", priority))
        self.silent = False

    @rule(asset=st.sampled_from(ASSETS), code=st.sampled_from([*CODES, ""]))
    def cleared(self, asset: str, code: str) -> None:
        one = fault(code, asset=asset, cleared=True, at=self.now)
        self.do(self.board.report(one, EPOCH + self.now, answer_id="unused"))
        for (of, key), events in self.events.items():
            if of == asset and code in ("", key) and events.active():
                events.log.append((self.now, "clear", "advice"))
        self.silent = False

    @rule(
        passed=st.sampled_from([1, 2, 3, 5, 6, 7, 8, 10, 14, 20, 39, 40, 100]), silent=st.booleans()
    )
    def time_passes(self, passed: int, silent: bool) -> None:
        """Let time go on; in silence, without a tick before the next report."""
        self.now += passed
        self.silent = silent

    @rule(asset=st.sampled_from(ASSETS), code=st.sampled_from(CODES))
    def a_commit_fails(self, asset: str, code: str) -> None:
        self.do(self.board.tick(EPOCH + self.now))
        self.board.commit()
        before = self.state()
        for cleared in (False, True, False):
            one = fault(code, asset=asset, cleared=cleared, priority="critical", at=self.now)
            self.board.report(one, EPOCH + self.now, answer_id="lost")
        self.board.rollback()
        assert self.state() == before

    @rule()
    def restart(self) -> None:
        before = self.state()
        alarms, areas = map(msgspec.json.encode, before)
        self.board = Board(
            LIMITS,
            msgspec.json.decode(alarms, type=list[Standing]),
            msgspec.json.decode(areas, type=list[Area]),
        )
        assert self.state() == before

    def state(self) -> tuple[list[Standing], list[Area]]:
        standing = [s for key in sorted(self.events) if (s := self.board.get(*key))]
        return standing, [a for name in ("hall", "m3") if (a := self.board._areas.get(name))]

    @invariant()
    def they_agree(self) -> None:
        if self.silent:
            return
        self.do(self.board.tick(EPOCH + self.now))
        for key, events in self.events.items():
            self.check_alarm(key, events)
        for asset in ASSETS:
            self.check_place(asset)
        for area, inside in (("hall", ASSETS[:2]), ("m3", ASSETS[2:])):
            self.check_flood(area, inside)

    def check_alarm(self, key: Key, events: Events) -> None:
        told = self.published[key]
        held = chatters(events.turns(), self.now)
        assert told.state == ("active" if held or events.active() else "cleared")
        assert told.chattering == held
        assert told.stale == events.stale(self.now)
        assert told.priority == events.priority()
        assert self.works[key] == len(events.news())
        standing = self.board.get(*key)
        known = standing.alarm if standing else told
        assert known.occurrences == events.occurrences()
        if not held:
            assert known == told
        if standing is None:
            assert not events.active(), "only what is gone is forgotten"

    def check_place(self, asset: str) -> None:
        """The topics of an asset hold an answer exactly while one of its alarms needs it."""
        mine = {code: e for (of, code), e in self.events.items() if of == asset}
        active = {c for c, e in mine.items() if e.active() or chatters(e.turns(), self.now)}
        waiting = {code for code, e in mine.items() if not e.active() and self.now < e.free()}
        assert (asset in self.holds) == bool(active or waiting)
        if active:
            on_top = self.board._places.top(asset)
            assert active == {one.key for one in self.board.active(asset)}
            assert self.retained[asset] == on_top, "the retained alarm is the most urgent"
            assert self.holds[asset] == on_top, "and so is the answer"

    def check_flood(self, area: str, inside: tuple[str, ...]) -> None:
        mine = [e for (of, _), e in self.events.items() if of in inside]
        new = sorted(e.log[place][0] for e in mine for place in e.news())
        flood = flood_now(new, self.now)
        told = self.floods.get(area)
        assert (told is not None and told.active) == flood
        kept = self.board._areas.get(area)
        assert (kept is not None and kept.first is not None) == flood
        young = [at for at in new if self.now - at < LIMITS.flood_window_s]
        assert bool(kept) == bool(young)


TestComparison = Comparison.TestCase
TestComparison.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
