"""All alarms and areas: finds the one a report is about, and knows what is due when (pure).

Time comes in as an argument; what is to be done, and to be written into the ledger, comes out.
A report costs the same however many alarms stand.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from schemas.faults import Alarm, Fault
from services.orchestrator import alarms, floods
from services.orchestrator.alarms import Standing, key_of
from services.orchestrator.effects import (
    Answer,
    Effect,
    Forgotten,
    Front,
    Publish,
    PublishFlood,
    Repeat,
    TakeBack,
)
from services.orchestrator.floods import Area, Raise, area_of
from services.orchestrator.places import Places
from services.orchestrator.room import Room
from services.orchestrator.steady import Steady
from services.runtime.config import Alarms as Limits

Key = tuple[str, str]
"""Asset and key of an alarm."""
_Due = tuple[float, int, Key]
"""When, alarm (0) or area (1), which; an area is `(area, "")`."""


class Changes(msgspec.Struct, frozen=True):
    """What the ledger has to write; None where a row goes."""

    alarms: dict[Key, Standing | None]
    """By asset and key."""
    areas: dict[str, Area | None]
    """By area."""


class Board:
    """The alarms that stand.

    Changes since the last `commit` can be taken back by `rollback`, for a ledger that could not
    be written.
    """

    def __init__(
        self, limits: Limits, standing: Iterable[Standing] = (), areas: Iterable[Area] = ()
    ) -> None:
        """Begin with the rows of the ledger."""
        self._limits = limits
        self._alarms: dict[Key, Standing] = {}
        self._areas: dict[str, Area] = {}
        self._places = Places()
        self._room = Room()
        self._heap: list[_Due] = []
        self._heaped: dict[tuple[int, Key], float] = {}
        self._before_alarms: dict[Key, Standing | None] = {}
        self._before_areas: dict[str, Area | None] = {}
        latest = 0.0
        self._heard = 0
        for one in sorted(standing, key=lambda s: (s.heard, s.seen_at)):
            self._heard = max(self._heard, one.heard)
            self._set_alarm((one.asset, one.key), one)
            latest = max(latest, one.seen_at)
        for area in areas:
            self._set_area(area.area, area)
            latest = max([latest, *(r.at for r in area.recent[-1:])])
        self._steady = Steady(latest)
        self.commit()

    def __len__(self) -> int:
        return len(self._alarms)

    def get(self, asset: str, key: str) -> Standing | None:
        """Return an alarm that is remembered, active or not."""
        return self._alarms.get((asset, key))

    def now(self, asset: str, key: str, answer_id: str) -> tuple[Alarm | None, bool]:
        """Return the alarm an answer is about, as it is now, and whether the answer may stand.

        One that is covered by a more urgent alarm, or gone for long enough, may not stand on the
        topics of the asset. None where the alarm is forgotten, or came again as a new one.
        """
        standing = self._alarms.get((asset, key))
        if standing is None or standing.alarm.answer_id != answer_id:
            return None, False
        top = self._places.top(asset)
        return standing.alarm, standing.shown if top is None else top == key

    def active(self, asset: str) -> list[Standing]:
        """Return the active alarms of an asset, the most urgent first."""
        return [self._alarms[asset, key] for key in self._places.active(asset)]

    def report(self, fault: Fault, at: float, *, answer_id: str) -> list[Effect]:
        """Take in a fault; return what is to be done, in order, what was due before it included.

        A clear that names no alarm clears all of the asset. A clear of an alarm that does not
        stand changes nothing.

        Args:
            fault: the report.
            at: now, s since 1970.
            answer_id: for new work, should there be any.
        """
        now = self._steady.time(at)
        effects = self._elapse(now)
        if fault.state == "active":
            return effects + self._raise(fault, now, answer_id)
        return effects + self._clear(fault, now)

    def tick(self, at: float) -> list[Effect]:
        """Do what is due by now, s since 1970; return what is to be done, in order."""
        return self._elapse(self._steady.time(at))

    def changes(self) -> Changes:
        """Return what changed since the last commit, each as it is now."""
        return Changes(
            {key: self._alarms.get(key) for key in self._before_alarms},
            {area: self._areas.get(area) for area in self._before_areas},
        )

    def commit(self) -> None:
        """Say that the changes are written."""
        self._before_alarms.clear()
        self._before_areas.clear()

    def rollback(self) -> None:
        """Go back to the last commit."""
        before_alarms, self._before_alarms = self._before_alarms, {}
        before_areas, self._before_areas = self._before_areas, {}
        for key, standing in before_alarms.items():
            self._set_alarm(key, standing)
        for asset in {asset for asset, _ in before_alarms}:
            # They came back in another order than they were heard of.
            stand = [self._alarms[asset, key] for key in self._places.active(asset)]
            for one in sorted(stand, key=lambda s: s.heard):
                self._places.put(asset, one.key, None)
                self._places.put(asset, one.key, one)
        for area, state in before_areas.items():
            self._set_area(area, state)
        self.commit()

    def _raise(self, fault: Fault, now: float, answer_id: str) -> list[Effect]:
        key = (fault.asset, key_of(fault))
        top = self._places.top(fault.asset)
        effects = [self._ranked(effect) for effect in self._step(key, fault, now, answer_id)]
        effects = self._topped(fault.asset, top, effects)
        if any(isinstance(effect, Answer) for effect in effects):
            effects += self._count(key, fault, now)
        while len(self._alarms) > self._limits.most:
            effects += self._forget(self._room.first())
        return effects

    def _forget(self, key: Key) -> list[Effect]:
        standing, top = self._alarms[key], self._places.top(key[0])
        self._set_alarm(key, None)
        effects: list[Effect] = [Forgotten(*key, standing.alarm)]
        if top == key[1] and self._places.top(key[0]) is None:
            effects.append(TakeBack(standing.asset, alarm=True))
        elif standing.shown and not standing.active:
            effects += self._free(standing.asset)
        return self._topped(standing.asset, top, effects)

    def _topped(self, asset: str, before: str | None, effects: list[Effect]) -> list[Effect]:
        """Return effects with which the asset's topics hold the alarm that stands on top.

        What is told of another is not retained, and the one on top has the last word. Where
        another came on top than before, its answer takes the place.
        """
        top = self._places.top(asset)
        if top is None:
            return effects
        alarm = self._alarms[asset, top].alarm
        told = [e.key for e in effects if isinstance(e, Publish)]
        given = any(isinstance(e, Answer | Repeat) and e.key == top for e in effects)
        effects = [
            replace(e, retain=False) if isinstance(e, Publish | Repeat) and e.key != top else e
            for e in effects
        ]
        # Where none stood, the answer of one that cleared may still be there.
        new = before != top and (before is not None or self._places.waits(asset))
        if (told or new) and told[-1:] != [top]:
            effects.append(Publish(asset, top, alarm))
        if new and not given:
            effects.append(self._ranked(Repeat(asset, top, alarm)))
        return effects

    def _clear(self, fault: Fault, now: float) -> list[Effect]:
        named = self._alarms.get((fault.asset, key_of(fault)))
        if fault.code or (named is not None and named.active):
            keys = [key_of(fault)]
        else:
            keys = self._places.active(fault.asset)
        top = self._places.top(fault.asset)
        effects = [e for key in keys for e in self._step((fault.asset, key), fault, now, "")]
        return self._topped(fault.asset, top, effects)

    def _step(self, key: Key, fault: Fault, now: float, answer_id: str) -> list[Effect]:
        before = self._alarms.get(key)
        after, effects = alarms.report(before, fault, now, self._limits, answer_id=answer_id)
        if after is not before:
            self._set_alarm(key, self._numbered(after, effects))
        return effects

    def _numbered(self, standing: Standing | None, effects: list[Effect]) -> Standing | None:
        """Return an alarm as the latest of which something is told; what is held tells nothing."""
        if standing is None or not effects:
            return standing
        self._heard += 1
        return replace(standing, heard=self._heard)

    def _count(self, key: Key, fault: Fault, now: float) -> list[Effect]:
        name = self._area_of(fault.asset)
        before = self._areas.get(name) or Area(area=name)
        new = Raise(now, *key, f"{fault.asset} {fault.code}".rstrip())
        after, flood = floods.count(before, new, fault.received, self._limits)
        self._set_area(name, after)
        effects: list[Effect] = [PublishFlood(name, flood)] if flood else []
        if before.first is None and after is not None and after.first is not None:
            first = self._alarms.get((after.first.asset, after.first.key))
            if first is not None:
                effects.append(Front(first.asset, first.key, first.alarm.answer_id))
        return effects

    def _ranked(self, effect: Effect) -> Effect:
        """Mark work of the first-out alarm of a flood."""
        if not isinstance(effect, Answer | Repeat):
            return effect
        area = self._areas.get(self._area_of(effect.asset))
        first = area.first if area else None
        front = first is not None and (first.asset, first.key) == (effect.asset, effect.key)
        return replace(effect, front=True) if front else effect

    def _area_of(self, asset: str) -> str:
        return area_of(asset, self._limits.area_levels)

    def _elapse(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        freed: dict[str, None] = {}
        while self._heap and self._heap[0][0] <= now:
            when, kind, key = heapq.heappop(self._heap)
            if self._heaped.get((kind, key)) != when:
                continue  # an earlier entry took its place
            del self._heaped[kind, key]
            if kind:
                effects += self._elapse_area(key[0], now)
                continue
            standing, top = self._alarms[key], self._places.top(key[0])
            after, more = alarms.elapse(standing, now, self._limits)
            self._set_alarm(key, self._numbered(after, more))
            freed |= {e.asset: None for e in more if isinstance(e, TakeBack)}
            more = [self._ranked(e) for e in more if not isinstance(e, TakeBack)]
            effects += self._topped(key[0], top, more)
        return effects + [e for asset in freed for e in self._free(asset)]

    def _free(self, asset: str) -> list[Effect]:
        """Return how an answer that has stood long enough goes, unless another needs the place."""
        needed = self._places.top(asset) is not None or self._places.waits(asset)
        return [] if needed else [TakeBack(asset)]

    def _elapse_area(self, name: str, now: float) -> list[Effect]:
        after, flood = floods.elapse(self._areas[name], now, self._limits)
        self._set_area(name, after)
        return [PublishFlood(name, flood)] if flood else []

    def _set_alarm(self, key: Key, standing: Standing | None) -> None:
        before = self._alarms.get(key)
        if before != standing:
            self._before_alarms.setdefault(key, before)
        self._places.put(*key, standing)
        self._room.put(key, standing)
        if standing is None:
            self._alarms.pop(key, None)
            self._heaped.pop((0, key), None)
            return
        self._alarms[key] = standing
        self._plan(alarms.due(standing, self._limits), 0, key)

    def _set_area(self, name: str, area: Area | None) -> None:
        before = self._areas.get(name)
        if before != area:
            self._before_areas.setdefault(name, before)
        if area is None:
            self._areas.pop(name, None)
            self._heaped.pop((1, (name, "")), None)
            return
        self._areas[name] = area
        self._plan(floods.due(area, self._limits), 1, (name, ""))

    def _plan(self, when: float | None, kind: int, key: Key) -> None:
        """Remember to look at an alarm or area; one that is looked at sooner anyway is not new."""
        planned = self._heaped.get((kind, key))
        if when is None or (planned is not None and planned <= when):
            return
        self._heaped[kind, key] = when
        heapq.heappush(self._heap, (when, kind, key))
        if len(self._heap) > 2 * len(self._heaped) + 64:
            self._heap = [(w, k, one) for (k, one), w in self._heaped.items()]
            heapq.heapify(self._heap)
