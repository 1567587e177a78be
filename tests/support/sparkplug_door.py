"""The orchestrator's intake behind a door that one Sparkplug edge node knocks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.faults import Alarm
from services.orchestrator.alarms import Standing
from services.orchestrator.board import Board
from services.orchestrator.intake import Intake
from services.orchestrator.records import Entry
from services.runtime.config import Config, Orchestrator, Trigger
from services.runtime.messages import Delivery, Properties
from tests.support import sparkplug as edge
from tests.support.sparkplug import metric, payload

NOW = "2026-01-31T12:00:00.000Z"
TRIGGER = Trigger(
    topic="spBv1.0/#",
    format="sparkplug",
    code=("Alarm/Code",),
    text=("Alarm/Text",),
    severity=("Alarm/Class",),
    state=("Alarm/Active",),
    priorities={"1": "critical"},
)
BIRTH = (
    metric("Alarm/Code", 0, alias=1, datatype=edge.INT32),
    metric("Alarm/Text", "", alias=2, datatype=edge.STRING),
    metric("Alarm/Class", 3, alias=3, datatype=edge.INT32),
    metric("Alarm/Active", True, alias=4, datatype=edge.BOOLEAN),
    metric("Speed", 1450.0, alias=5, datatype=edge.DOUBLE),
)


def standing_alarm(code: str) -> Standing:
    alarm = Alarm(
        code=code,
        state="active",
        priority="warning",
        occurrences=4,
        first_seen=NOW,
        last_seen=NOW,
        chattering=False,
        answer_id="a",
    )
    return Standing(asset="g/e/d", key=code, alarm=alarm, seen_at=1e6, turns=(1e6,))


class Door:
    """The intake, and edge node `e` of group `g` before it."""

    def __init__(
        self, trigger: Trigger = TRIGGER, *more: Trigger, standing: Sequence[str] = ()
    ) -> None:
        config = Config(orchestrator=Orchestrator(triggers=(trigger, *more)))
        before = [standing_alarm(code) for code in standing]
        self.intake = Intake(config, Board(config.orchestrator.alarms, before))
        self.seq = -1
        self.at = 1e6

    def hears(self, kind: str, *metrics: bytes, device: str = "d", retain: bool = False) -> Any:
        self.seq = 0 if kind == "NBIRTH" else (self.seq + 1) % 256
        topic = f"spBv1.0/g/{kind}/e" + (f"/{device}" if kind[0] == "D" else "")
        return self.raw(topic, payload(*metrics, seq=self.seq), retain=retain)

    def raw(self, topic: str, message: bytes, *, retain: bool = False) -> Any:
        delivery = Delivery(
            topic=topic,
            payload=message,
            qos=0,
            retain=retain,
            duplicate=False,
            properties=Properties(),
        )
        self.at += 100.0  # slowly enough not to chatter
        return self.intake.read(delivery, NOW, self.at)

    def data(self, *metrics: bytes) -> list[Entry]:
        got = self.hears("DDATA", *metrics)
        assert isinstance(got, list), got
        return got

    def born(self, *metrics: bytes) -> list[Entry]:
        assert self.hears("NBIRTH", metric("bdSeq", 0)) == []
        got = self.hears("DBIRTH", *(metrics or BIRTH))
        assert isinstance(got, list), got
        return got
