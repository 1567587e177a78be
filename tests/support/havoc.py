"""Kills, stops and hangs what `andon up` runs, at moments a seed decides."""

from __future__ import annotations

import random
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import children, send, wait_gone

VICTIMS = (
    "orchestrator", "orchestrator", "orchestrator", "mosquitto", "mosquitto",
    "retriever", "llm_bridge", "ingest",
)  # fmt: skip
WAYS = ("kill",) * 7 + ("stop",) * 2 + ("hang",) * 2
_PAUSE_S = (0.1, 1.3)
_HANG_S = (0.2, 1.0)


@dataclass(frozen=True, slots=True)
class Blow:
    """What was done to whom."""

    name: str
    way: str
    """`kill` (SIGKILL), `stop` (SIGTERM) or `hang` (SIGSTOP for a while, then SIGKILL)."""
    at: float
    """When it began, seconds since 1970."""
    over: float
    """When the process was gone."""
    saved: float = 0.0
    """Broker only: when it last wrote its file; what came later it had in memory alone."""


class Havoc(threading.Thread):
    """One blow after the other until there were `most`, or until `enough` is set."""

    def __init__(self, up: int, seed: int, most: int, broker_file: Path) -> None:
        super().__init__(name=f"havoc {seed}", daemon=True)
        self.blows: list[Blow] = []
        self.enough = threading.Event()
        self.failed: Exception | None = None
        self._up = up
        self._random = random.Random(seed)
        self._most = most
        self._file = broker_file

    def run(self) -> None:
        """See `Thread.run`; an error is kept for the one who joins."""
        try:
            while len(self.blows) < self._most:
                if self.enough.wait(self._random.uniform(*_PAUSE_S)):
                    return
                self._strike(self._random.choice(VICTIMS), self._random.choice(WAYS))
        except Exception as error:  # noqa: BLE001  told by `finish`
            self.failed = error

    def finish(self) -> list[Blow]:
        """Wait for the last blow; return all."""
        self.join()
        if self.failed:
            raise self.failed
        return self.blows

    def _strike(self, name: str, way: str) -> None:
        hang_s = self._random.uniform(*_HANG_S)
        pid = children(self._up).get(name)
        if pid is None:
            return  # it is still down from the last one
        at = time.time()
        if way == "hang":
            send(pid, signal.SIGSTOP)
            self.enough.wait(hang_s)
        send(pid, signal.SIGTERM if way == "stop" else signal.SIGKILL)
        wait_gone(pid)
        over = time.time()
        saved = 0.0
        if name == "mosquitto" and self._file.exists():
            saved = self._file.stat().st_mtime
        self.blows.append(Blow(name, way, at, over, saved))
