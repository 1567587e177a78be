"""A board that is told of faults at simulated times."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from services.orchestrator.alarms import Standing
from services.orchestrator.board import Board
from services.orchestrator.effects import Effect, Publish
from services.orchestrator.floods import Area
from services.runtime.config import Alarms
from tests.support.reports import EPOCH, brief, fault


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
    """Return the names of effects, in order."""
    return [type(effect).__name__ for effect in effects]


def told(effects: list[Effect]) -> list[str]:
    """Return the marks of the alarms that are published, in order."""
    return [brief(effect.alarm) for effect in effects if isinstance(effect, Publish)]
