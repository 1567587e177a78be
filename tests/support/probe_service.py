"""A service that does little, to see how `process.run` runs it.

PROBE says what it does wrong: `fail`, `fatal`, `hang` (never drains), `block` (its event loop
stands still until somebody writes to the FIFO PROBE_HOLD), `slow` (it starts when somebody does),
or one of `INNER`: which part of the bus breaks when it is used.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import ClassVar

import msgspec

from schemas.answers import StreamDelta
from schemas.channel import Rpc
from services.runtime.config import Config
from services.runtime.errors import Fatal, Rejected
from services.runtime.link import Link
from services.runtime.mqtt import MqttBus
from services.runtime.process import Context, run
from services.runtime.routing import Router
from services.runtime.rpc import Server


class Number(msgspec.Struct):
    """A request and a reply."""

    value: int


DOUBLE = Rpc("ingest", "double", Number, Number, "Twice the number.")
COUNT = Rpc("ingest", "count", Number, StreamDelta, "Counts.", streamed=True)


INNER = {
    "keepalive": (Link, "tick"),
    "reader": (MqttBus, "_on_delivery"),
    "subscriber": (MqttBus, "_on_subscribe"),
    "timer": (Router, "settled"),
    "connect": (MqttBus, "_connection"),
    "handler": (Server, "_answer"),
}


def _broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("broken on purpose")


async def _broken_later(*_: object, **__: object) -> None:
    _broken()


class Probe:
    """Answers two requests under the name of ingest, whose budget it borrows."""

    name: ClassVar[str] = "ingest"
    keeps_session: ClassVar[bool] = False

    def __init__(self, _config: Config) -> None:
        self._mode = os.environ.get("PROBE", "")
        if self._mode in INNER:
            setattr(*INNER[self._mode], _broken_later if self._mode == "handler" else _broken)

    async def start(self, context: Context) -> None:
        """Serve, or fail as told."""
        if self._mode == "fatal":
            raise Fatal("open probe.db", "it is damaged", "set it aside")
        if self._mode == "slow":
            context.health.trouble("probe.db", "probe.db is being repaired")
            await asyncio.to_thread(Path(os.environ["PROBE_HOLD"]).read_text)
            context.health.well("probe.db")
        if self._mode == "fail":
            context.spawn(self._fail(), "fails")
        if self._mode == "block":
            asyncio.get_running_loop().call_later(1.0, self._block)
        context.health.facts["answer"] = 42
        await context.server.serve(DOUBLE, self._double)
        await context.server.serve(COUNT, self._count)

    async def drain(self) -> None:
        """Say so, or hang."""
        print("drained", flush=True)  # noqa: T201
        if self._mode == "hang":
            await asyncio.sleep(3600)

    async def close(self) -> None:
        """Say so."""
        print("closed", flush=True)  # noqa: T201

    def _block(self) -> None:
        print("blocks", flush=True)  # noqa: T201
        Path(os.environ["PROBE_HOLD"]).read_text()

    async def _fail(self) -> None:
        await asyncio.sleep(0.2)
        raise ValueError("the task broke")

    async def _double(self, request: Number) -> Number:
        if request.value < 0:
            raise Rejected("double", "no negative numbers", "ask for another")
        if request.value == 13:
            raise ZeroDivisionError("unlucky")
        await asyncio.sleep(request.value / 1000)
        return Number(value=request.value * 2)

    async def _count(self, request: Number):  # type: ignore[no-untyped-def]
        for seq in range(request.value):
            yield StreamDelta(answer_id="a", seq=seq, delta=str(seq))


if __name__ == "__main__":
    sys.exit(run(Probe))
