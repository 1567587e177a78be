"""What a fault costs the disk: bytes the orchestrator makes the kernel write (SD cards wear)."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from schemas.channels import ANSWER
from services.client import connected
from services.runtime.bus import Bus
from services.runtime.messages import Inbox
from tests.bench.corpus import passages
from tests.bench.system import load, running

_PASSAGES = 500
_STILL_S = 3.0
_AT_MOST_S = 120.0


def written(pid: int) -> int:
    """Return the bytes a process made the block layer write, since it started."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


async def _settled(pid: int) -> int:
    """Return the bytes once nothing more is being written."""
    begun, last, since = time.monotonic(), written(pid), time.monotonic()
    while time.monotonic() - since < _STILL_S and time.monotonic() - begun < _AT_MOST_S:
        await asyncio.sleep(0.25)
        if (now := written(pid)) != last:
            last, since = now, time.monotonic()
    return last


async def _finals(answers: Inbox, bus: Bus, seen: list[int]) -> None:
    while True:
        delivery = await answers.get()
        bus.ack(delivery)
        if not delivery.retain and delivery.payload:
            seen[0] += ANSWER.decode(delivery.payload).stage == "final"


async def _cost(
    bus: Bus, pid: int, sent: list[tuple[str, bytes]], *, rate: float, seen: list[int]
) -> dict[str, float]:
    """Publish at a rate a second (0: all at once); return what that cost for each."""
    before, answered, begun = await _settled(pid), seen[0], time.monotonic()
    for number, (topic, payload) in enumerate(sent):
        if rate:
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            await bus.publish(topic, payload)
    if not rate:
        await asyncio.gather(*(bus.publish(topic, payload) for topic, payload in sent))
    after = await _settled(pid)
    each = (after - before) / len(sent)
    return {
        "bytes": round(each),
        "pages_4k": round(each / 4096, 1),
        "final_answers": seen[0] - answered,
    }


def _faults(n: int, name: str) -> list[tuple[str, bytes]]:
    """Return `n` faults, no two of one asset and code."""
    codes = [p.fields[0].value for p in passages(10_000) if p.kind == "row"]
    return [
        (
            f"plant/{name}{number % 20}/fault",
            json.dumps({"code": codes[number], "text": "drive tripped"}).encode(),
        )
        for number in range(n)
    ]


def _size(path: Path) -> int:
    return path.stat().st_size


async def measure(n: int = 500) -> dict[str, Any]:
    """Return bytes written for each distinct fault, and for each repetition of one alarm."""
    with tempfile.TemporaryDirectory(prefix="andon-wear-") as name:
        folder = Path(name)
        async with running(folder) as (up, _took), connected(up.config) as bus:
            prefix, pid = up.config.prefix, up.pids["orchestrator"]
            await load(bus, prefix, _PASSAGES)
            seen = [0]
            inbox = await bus.consume(ANSWER.filter(prefix))
            counting = asyncio.create_task(_finals(inbox, bus, seen))
            repeated = _faults(1, "again") * n
            figures: dict[str, Any] = {"faults": n}
            for how, rate in (("at_20_a_second", 20.0), ("in_one_burst", 0.0)):
                figures[f"distinct_{how}"] = await _cost(
                    bus, pid, _faults(n, how), rate=rate, seen=seen
                )
                figures[f"repeated_{how}"] = await _cost(bus, pid, repeated, rate=rate, seen=seen)
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
        return {**figures, "ledger_bytes_after": _size(folder / "ledger.db")}
