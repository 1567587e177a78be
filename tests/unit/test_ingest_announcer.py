from __future__ import annotations

import asyncio

import msgspec
import pytest

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import DOCUMENT
from schemas.knowledge import DocumentState
from services.ingest.announcer import Announcer
from services.runtime.errors import Unavailable

pytestmark = pytest.mark.unit

QUEUED = DocumentState(
    doc_id="m-1", title="M", file="m.pdf", state="queued", revision=1, updated="now"
)


class Wire:
    """What leaves, and a broker that can be away."""

    def __init__(self) -> None:
        self.sent: list[DocumentState | None] = []
        self.up = asyncio.Event()
        self.up.set()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        await asyncio.sleep(0)
        if not self.up.is_set():
            raise Unavailable("publish", "the broker is away")
        assert retain
        assert DOCUMENT.parameters(topic) == {"doc_id": "m-1"}
        self.sent.append(DOCUMENT.decode(payload) if payload else None)
        return True

    async def wait_connected(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        async with asyncio.timeout(timeout):
            await self.up.wait()


def state(phase: str, pages: int = 0) -> DocumentState:
    return msgspec.structs.replace(QUEUED, state=phase, pages_done=pages)  # type: ignore[arg-type]


async def test_steps_leave_in_order_and_progress_is_thinned() -> None:
    wire = Wire()
    announcer = Announcer(wire, DEFAULT_PREFIX)
    task = asyncio.create_task(announcer.run())
    announcer.say(state("queued"))
    for pages in range(50):
        announcer.say(state("reading", pages))
        await asyncio.sleep(0)
    announcer.say(state("indexing"))
    announcer.say(state("ready"))
    await announcer.drained()
    task.cancel()
    phases = [s.state for s in wire.sent if s]
    assert list(dict.fromkeys(phases)) == ["queued", "reading", "indexing", "ready"]
    assert phases == sorted(phases, key=["queued", "reading", "indexing", "ready"].index)
    assert phases.count("reading") < 10
    assert [s.pages_done for s in wire.sent if s and s.state == "reading"][-1] == 49


async def test_nothing_is_lost_while_the_broker_is_away() -> None:
    wire = Wire()
    wire.up.clear()
    announcer = Announcer(wire, DEFAULT_PREFIX)
    task = asyncio.create_task(announcer.run())
    announcer.say(state("reading", 1))
    await asyncio.sleep(0.01)
    announcer.say(state("reading", 2))
    announcer.say(state("ready"))
    announcer.clear("m-1")
    assert wire.sent == []
    wire.up.set()
    await announcer.drained()
    task.cancel()
    assert [s and (s.state, s.pages_done) for s in wire.sent] == [
        ("reading", 2),
        ("ready", 0),
        None,
    ]
