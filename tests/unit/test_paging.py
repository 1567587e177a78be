"""Pages: what one reply takes of a list, and a broker's retained states compared page by page."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import DOCUMENT
from schemas.knowledge import DocumentState
from services.ingest.announcer import Announcer
from services.ingest.kept import Kept
from services.runtime.paging import ROOM, fitting
from services.runtime.transport import MAX_PACKET

pytestmark = pytest.mark.unit

STATES = [
    DocumentState(
        doc_id=f"m-{n:04}", title="M", file=f"{n}.pdf", state="ready", revision=1, updated="now"
    )
    for n in range(1000)
]


@given(st.lists(st.integers(0, ROOM + 10), max_size=20), st.integers(1, 30))
def test_a_page_has_room_for_what_it_takes_and_never_nothing(sizes: list[int], limit: int) -> None:
    items = ["x" * size for size in sizes]
    count = fitting(items, limit)
    assert count == len(items) == 0 or 1 <= count <= min(limit, len(items))
    if count > 1:
        assert len(msgspec.msgpack.encode(items[:count])) < MAX_PACKET / 2
    if 0 < count < min(limit, len(items)):
        assert sum(len(msgspec.msgpack.encode(item)) for item in items[: count + 1]) > ROOM


class Wire:
    """A broker: what it retains by document."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.sent = 0

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        await asyncio.sleep(0)
        self.sent += 1
        doc_id = (DOCUMENT.parameters(topic) or {})["doc_id"]
        if payload:
            self.retained[doc_id] = payload
        else:
            self.retained.pop(doc_id, None)
        return retain

    async def wait_connected(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        return


async def test_what_a_broker_retains_is_put_right_page_by_page() -> None:
    wire = Wire()
    announcer = Announcer(wire, DEFAULT_PREFIX)

    async def states(after: str, limit: int) -> list[DocumentState]:
        return [state for state in STATES if state.doc_id > after][:limit]

    right = {state.doc_id: DOCUMENT.encode(state) for state in STATES}
    wire.retained = dict(right)
    old = {"a-0", "m-0199-", "m-0200-", "m-0500-", "z-0", "z-1"}  # nobody's
    wire.retained |= dict.fromkeys(old, b"{}")
    wrong = {"m-0000", "m-0199", "m-0200", "m-0999"}
    wire.retained |= dict.fromkeys(wrong, b"{}")
    missing = {"m-0201", "m-0998"}
    for doc_id in missing:
        del wire.retained[doc_id]
    kept = Kept(announcer, DEFAULT_PREFIX, states)
    for doc_id, payload in wire.retained.items():
        kept.seen(DOCUMENT.topic(DEFAULT_PREFIX, doc_id=doc_id), payload)
    task = asyncio.create_task(announcer.run())
    assert await kept.settle() == len(old | wrong | missing)
    await announcer.drained()
    task.cancel()
    assert wire.retained == right
    assert wire.sent == len(old | wrong | missing)
