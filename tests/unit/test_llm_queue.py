from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import Priority
from services.llm_bridge.counter import TokenCounter
from services.llm_bridge.queue import SlotQueue
from services.runtime.errors import Retryable

pytestmark = pytest.mark.unit


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Asker:
    """A request that holds its slot until told."""

    def __init__(self, queue: SlotQueue, priority: Priority, log: list[str], name: str) -> None:
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._run(queue, priority, log, name))

    async def _run(self, queue: SlotQueue, priority: Priority, log: list[str], name: str) -> None:
        async with queue.slot(priority, name):
            log.append(name)
            await self.leave.wait()


async def test_the_urgent_come_first_and_equals_in_order() -> None:
    queue, log = SlotQueue(1, waiting=9), list[str]()
    order: list[Priority] = ["advice", "advice", "warning", "critical", "warning", "critical"]
    askers = [Asker(queue, p, log, f"{p}{n}") for n, p in enumerate(order)]
    await settle()
    assert (queue.in_flight, queue.depth) == (1, 5)
    for asker in [askers[0], askers[3], askers[5], askers[2], askers[4], askers[1]]:
        asker.leave.set()
        await settle()
    assert log == ["advice0", "critical3", "critical5", "warning2", "warning4", "advice1"]
    assert (queue.in_flight, queue.depth) == (0, 0)


async def test_too_many_are_sent_away() -> None:
    queue, log = SlotQueue(1, waiting=2), list[str]()
    askers = [Asker(queue, "warning", log, str(n)) for n in range(3)]
    await settle()
    with pytest.raises(Retryable, match="2 requests wait already"):
        async with queue.slot("critical"):
            pass
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers))
    assert log == ["0", "1", "2"]


async def test_more_slots_let_more_in() -> None:
    queue, log = SlotQueue(1, waiting=9), list[str]()
    askers = [Asker(queue, "warning", log, str(n)) for n in range(4)]
    await settle()
    queue.resize(3)
    await settle()
    assert (queue.slots, queue.in_flight, queue.depth) == (3, 3, 1)
    queue.resize(1)
    for asker in askers[:2]:
        asker.leave.set()
    await settle()
    assert (queue.in_flight, queue.depth) == (1, 1)
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers))


async def test_a_failure_gives_the_slot_back() -> None:
    queue = SlotQueue(1, waiting=1)
    with pytest.raises(ValueError, match="x"):
        async with queue.slot("warning"):
            raise ValueError("x")
    assert queue.in_flight == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "cancel", "turn"]), st.integers(0, 20)),
    max_size=40,
)


@given(STEPS, st.integers(1, 3))
async def test_slots_are_never_lost_nor_doubled(steps: list[tuple[str, int]], slots: int) -> None:
    queue, log = SlotQueue(slots, waiting=100), list[str]()
    askers: list[Asker] = []
    for step, which in steps:
        if step == "enter":
            priority: Priority = ("critical", "warning", "advice")[which % 3]  # type: ignore[assignment]
            askers.append(Asker(queue, priority, log, str(len(askers))))
        elif step == "turn":
            await asyncio.sleep(0)
        elif askers:
            asker = askers[which % len(askers)]
            if step == "leave":
                asker.leave.set()
            else:
                asker.task.cancel()
        assert queue.in_flight <= slots
    await settle()
    assert queue.in_flight == slots or queue.depth == 0
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers), return_exceptions=True)
    assert (queue.in_flight, queue.depth) == (0, 0)
    assert len(set(log)) == len(log)


async def test_a_text_is_counted_once() -> None:
    asked: list[str] = []

    async def count(text: str) -> int:
        asked.append(text)
        return len(text)

    counter = TokenCounter(count)
    assert [await counter(text) for text in ("ab", "abc", "ab", "\ud800")] == [2, 3, 2, 1]
    assert asked == ["ab", "abc", "\ud800"]
    for number in range(600):
        await counter(str(number))
    await counter("ab")
    assert asked[-1] == "ab"  # the oldest are forgotten


async def test_one_that_waits_can_become_more_urgent() -> None:
    queue, log = SlotQueue(1, waiting=9), list[str]()
    askers = [Asker(queue, "advice", log, name) for name in "abcd"]
    await settle()
    queue.urge("c", "critical")
    queue.urge("nobody", "critical")
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers))
    assert log == ["a", "c", "b", "d"]
