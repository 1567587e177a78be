"""What should stand on the retained topics, and what of it the broker lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import TypeVar

import msgspec

from schemas.answers import Answer
from schemas.channel import Channel
from schemas.channels import ALARM, ANSWER, ASKED, DISPLAY, FLOOD
from schemas.faults import Alarm, Flood
from services.orchestrator import floods
from services.orchestrator.alarms import RANK, Standing
from services.orchestrator.floods import Area
from services.orchestrator.ledger import Ledger
from services.orchestrator.outbox import Make
from services.orchestrator.publication import given
from services.orchestrator.records import Outgoing, counted
from services.runtime.clock import now
from services.runtime.config import Config

_NO_FLOOD = Flood(active=False, since="", alarms_in_window=0, first_out="")
_T = TypeVar("_T")


class _Named(msgspec.Struct):
    """The part of an answer that says which one it is."""

    id: str = ""


class Kept:
    """Compares what the broker retains with the ledger; an owner for `runtime.retained`.

    Answers to persons are left alone: those who asked have them, or took them back.
    """

    def __init__(
        self, config: Config, ledger: Ledger, restore: Callable[[list[Make]], None]
    ) -> None:
        """Prepare.

        Args:
            config: the configuration.
            ledger: what is committed.
            restore: sends messages again, each made when its turn comes.
        """
        self._prefix = config.prefix
        self._limits = config.orchestrator.alarms
        self._stand_s = config.orchestrator.answers_stand_s
        self._ledger = ledger
        self._restore = restore
        self.begin()

    @property
    def filters(self) -> Sequence[str]:
        """See `retained.Owner.filters`."""
        return [channel.filter(self._prefix) for channel in (ALARM, FLOOD, ANSWER, DISPLAY)]

    def begin(self) -> None:
        """See `retained.Owner.begin`."""
        self._begun = now()
        self._alarms: dict[str, bytes] = {}
        self._floods: dict[str, bytes] = {}
        self._answers: dict[str, tuple[str, bytes]] = {}
        self._displays: dict[str, bytes] = {}

    def seen(self, topic: str, payload: bytes) -> None:
        """See `retained.Owner.seen`; of answers, which are long, what tells them apart is kept."""
        if not payload:
            return
        if found := ALARM.parameters(topic, self._prefix):
            self._alarms[found["asset"]] = payload
        elif found := FLOOD.parameters(topic, self._prefix):
            self._floods[found["area"]] = payload
        elif found := DISPLAY.parameters(topic, self._prefix):
            self._displays[found["asset"]] = _digest(payload)
        elif found := ANSWER.parameters(topic, self._prefix):
            answer = _decoded(_Named, payload)
            self._answers[found["asset"]] = (answer.id if answer else "", _digest(payload))

    async def settle(self) -> int:
        """See `retained.Owner.settle`."""
        lost: list[Make] = []
        standings = _by_asset(await self._ledger.standings())
        # The most urgent machines first.
        assets = sorted(standings, key=lambda asset: min(map(_urgency, standings[asset])))
        for asset in dict.fromkeys([*assets, *self._alarms, *self._answers]):
            if not asset.startswith(ASKED):
                lost += await self._differing(asset, standings.get(asset, []))
        areas = {area.area: area for area in await self._ledger.areas()}
        lost += [
            partial(self._flood, name)
            for name in dict.fromkeys([*areas, *self._floods])
            if self._flood_differs(areas.get(name), self._floods.get(name))
        ]
        self._restore(lost)
        self.begin()
        return len(lost)

    async def _differing(self, asset: str, standings: list[Standing]) -> list[Make]:
        """Return what has to be sent again of one machine."""
        lost: list[Make] = []
        seen = self._alarms.get(asset)
        if await self._alarm_differs(asset, standings, seen):
            lost.append(partial(self._alarm, asset))
        answer_id, digest = self._answers.get(asset, ("", b""))
        answer = await self._given(asset, standings)
        if answer and answer.created >= self._begun:
            pass  # it was on its way meanwhile
        elif answer:
            as_json, as_text = given(answer, self._prefix, asset, 1)
            if _digest(as_json.payload) != digest:
                lost.append(partial(self._answer, asset, ANSWER))
            if _digest(as_text.payload) != self._displays.get(asset):
                lost.append(partial(self._answer, asset, DISPLAY))
        elif not any(s.shown for s in standings) and await self._known(asset, answer_id):
            lost += [partial(self._answer, asset, channel) for channel in (ANSWER, DISPLAY)]
        return lost

    async def _alarm_differs(
        self, asset: str, standings: list[Standing], seen: bytes | None
    ) -> bool:
        """Return whether not the alarm on top is retained, or none though one stands."""
        if standings:
            told = on_top(standings)
            return ALARM.encode(told.alarm) != seen and (told.active or seen is not None)
        alarm = _decoded(Alarm, seen)
        if alarm is None or alarm.state != "active":
            return False
        return await self._known(asset, alarm.answer_id)

    def _flood_differs(self, area: Area | None, seen: bytes | None) -> bool:
        flood = _decoded(Flood, seen)
        stands = floods.standing(area, time.time(), self._limits) if area else None
        if stands is None:
            return flood is not None and flood.active
        return flood is None or (flood.active, flood.since) != (True, stands.since)

    async def _alarm(self, asset: str) -> Outgoing:
        """Return the alarm as it has to be published now."""
        standings = await self._of(asset)
        payload = ALARM.encode(on_top(standings).alarm) if standings else b""
        return self._retained(ALARM, payload, asset=asset)

    async def _answer(self, asset: str, channel: Channel) -> Outgoing | None:
        """Return the answer, or its display, as it has to be published now."""
        standings = await self._of(asset)
        if not any(s.shown for s in standings):
            return self._retained(channel, b"", asset=asset)
        answer = await self._given(asset, standings)
        if answer is None:
            return None
        left = self._stand_s - int(_age_s(answer))
        as_json, as_text = given(answer, self._prefix, asset, left)
        return as_json if channel is ANSWER else as_text

    async def _flood(self, name: str) -> Outgoing:
        """Return the flood as it has to be published now."""
        areas = {area.area: area for area in await self._ledger.areas()}
        area = areas.get(name)
        flood = floods.standing(area, time.time(), self._limits) if area else None
        return self._retained(FLOOD, FLOOD.encode(flood or _NO_FLOOD), area=name)

    def _retained(self, channel: Channel, payload: bytes, **where: str) -> Outgoing:
        return Outgoing(
            topic=channel.topic(self._prefix, **where),
            payload=payload,
            retain=channel.retain,
            content_type=channel.content_type if payload else "",
        )

    async def _of(self, asset: str) -> list[Standing]:
        """Return the alarms of a machine, the most urgent first."""
        rows = await self._ledger.database.fetch("SELECT body FROM alarm WHERE asset = ?", (asset,))
        return [msgspec.json.decode(row["body"], type=Standing) for row in rows]

    async def _given(self, asset: str, standings: Sequence[Standing]) -> Answer | None:
        """Return the answer that holds the topics of a machine, None where none was given yet."""
        shown = [one for one in standings if one.shown]
        if not shown:
            return None
        alarm = on_top(shown).alarm
        row = await self._ledger.database.first(
            "SELECT answer.body FROM job JOIN answer USING (id)"
            " WHERE job.answer_id = ? AND job.place = ?",
            (alarm.answer_id, asset),
        )
        answer = msgspec.json.decode(row["body"], type=Answer) if row else None
        if answer is None or _age_s(answer) >= self._stand_s:
            return None
        return counted(answer, alarm)  # as its last repetition was told

    async def _known(self, asset: str, answer_id: str) -> bool:
        """Return whether the ledger gave this answer.

        Of one it never heard of, as after a ledger that was damaged, it cannot say that its time
        is over.
        """
        row = await self._ledger.database.first(
            "SELECT 1 FROM job WHERE answer_id = ? AND place = ?", (answer_id, asset)
        )
        return row is not None


def on_top(standings: Sequence[Standing]) -> Standing:
    """Return the alarm that holds the topics of its machine, as `Board` has it.

    That is the most urgent, of several the latest; where none is active, the one told last.
    """
    return min(standings, key=_urgency)


def _by_asset(standings: Iterable[Standing]) -> dict[str, list[Standing]]:
    found: dict[str, list[Standing]] = {}
    for one in standings:
        found.setdefault(one.asset, []).append(one)
    return found


def _urgency(standing: Standing) -> tuple[bool, bool, int, int, float]:
    alarm = standing.alarm
    rank = RANK[alarm.priority] if standing.active else 0
    return not standing.active, alarm.stale, rank, -standing.heard, -standing.seen_at


def _age_s(answer: Answer) -> float:
    return max(0.0, time.time() - datetime.fromisoformat(answer.created).timestamp())


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=8).digest()


def _decoded(kind: type[_T], payload: bytes | None) -> _T | None:
    """Return a payload as what it should be; None where it is none, or somebody else's words."""
    try:
        return msgspec.json.decode(payload, type=kind) if payload else None
    except (msgspec.DecodeError, RecursionError):
        return None
