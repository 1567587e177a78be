from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import Priority
from services.llm_bridge.counter import TokenCounter
from services.llm_bridge.queue import CutOff, SlotQueue, Ticket
from services.runtime.errors import DeadlineExceeded, Retryable

pytestmark = pytest.mark.unit


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


class Asker:
    """A request that holds its slot until told, and begins again when it is cut off."""

    def __init__(
        self,
        queue: SlotQueue[str],
        priority: Priority,
        log: list[str],
        name: str,
        *,
        background: bool = False,
        until: float | None = None,
    ) -> None:
        self.leave = asyncio.Event()
        self.queue, self.log, self.name = queue, log, name
        self.ticket: Ticket[str] = queue.ticket(
            name, name, priority, background=background, until=until
        )
        self.slots: list[int] = []
        self.closed = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> int:
        while True:
            try:
                async with aclosing(self.queue.run(self.ticket, self._work)) as pieces:
                    return sum([piece async for piece in pieces])
            except CutOff:
                self.log.append(f"{self.name} cut off")

    async def _work(self, slot: int) -> AsyncGenerator[int, None]:
        self.log.append(self.name)
        self.slots.append(slot)
        try:
            yield 1
            await self.leave.wait()
            yield 2
        finally:
            self.closed += 1


async def test_the_urgent_come_first_and_equals_in_order() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    order: list[Priority] = ["warning", "advice", "warning", "critical", "warning", "critical"]
    askers = [Asker(queue, p, log, f"{p}{n}") for n, p in enumerate(order)]
    await settle()
    assert (queue.in_flight, queue.depth) == (1, 5)
    assert queue.order() == ["critical3", "critical5", "warning2", "warning4", "advice1"]
    for asker in [askers[0], askers[3], askers[5], askers[2], askers[4], askers[1]]:
        asker.leave.set()
        await settle()
    assert log == ["warning0", "critical3", "critical5", "warning2", "warning4", "advice1"]
    assert [await asker.task for asker in askers] == [3] * 6
    assert (queue.in_flight, queue.depth) == (0, 0)


async def test_too_many_are_sent_away_the_least_urgent_first() -> None:
    queue, log = SlotQueue[str](1, waiting=2), list[str]()
    askers = [Asker(queue, "warning", log, str(n)) for n in range(3)]
    await settle()
    with pytest.raises(Retryable, match="2 requests wait already"):
        await Asker(queue, "warning", log, "late").task
    critical = Asker(queue, "critical", log, "critical")
    with pytest.raises(Retryable, match="2 requests wait already"):
        await askers[2].task
    assert (queue.in_flight, queue.depth) == (1, 2)
    for asker in (*askers, critical):
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in (askers[0], askers[1], critical)))
    assert log == ["0", "critical", "1"]


async def test_more_slots_let_more_in() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    askers = [Asker(queue, "warning", log, str(n)) for n in range(4)]
    await settle()
    queue.resize(3)
    await settle()
    assert (queue.slots, queue.in_flight, queue.depth) == (3, 3, 1)
    assert sorted(slot for asker in askers for slot in asker.slots) == [0, 1, 2]
    queue.resize(1)
    for asker in askers[:2]:
        asker.leave.set()
    await settle()
    assert (queue.in_flight, queue.depth) == (1, 1)
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers))
    assert askers[3].slots == [0]


async def test_who_asks_may_choose_among_the_free_slots() -> None:
    queue, log = SlotQueue[str](3, waiting=9), list[str]()
    offered: list[list[int]] = []

    def choose(free: object, request: str) -> int:
        offered.append(list(free))  # type: ignore[call-overload]
        return {"a": 2, "b": 0, "c": 1}[request]

    queue.choose = choose
    askers = [Asker(queue, "warning", log, name) for name in "abc"]
    await settle()
    assert offered == [[0, 1, 2], [0, 1], [1]]
    assert [asker.slots for asker in askers] == [[2], [0], [1]]
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers))


async def test_a_failure_gives_the_slot_back() -> None:
    queue = SlotQueue[str](1, waiting=1)

    async def work(_slot: int) -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("x")

    pieces = queue.run(queue.ticket("", "", "warning"), work)
    assert await anext(pieces) == 1
    await settle()
    assert queue.in_flight == 0  # it has failed meanwhile
    with pytest.raises(ValueError, match="x"):
        await anext(pieces)
    assert queue.in_flight == 0


async def test_a_critical_one_cuts_off_an_advice_that_begins_again_later() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    advice = Asker(queue, "advice", log, "advice")
    await settle()
    later = Asker(queue, "advice", log, "later")
    warning = Asker(queue, "warning", log, "warning")
    await settle()
    assert log == ["advice"]
    critical = Asker(queue, "critical", log, "critical")
    await settle()
    assert log == ["advice", "advice cut off", "critical"]
    assert advice.closed == 1
    assert queue.order() == ["warning", "advice", "later"]
    for asker in (critical, warning, advice, later):
        asker.leave.set()
        await settle()
    assert log[3:] == ["warning", "advice", "later"]
    assert await advice.task == 3


async def test_one_that_was_cut_off_finds_its_place_in_a_full_queue() -> None:
    queue, log = SlotQueue[str](1, waiting=1), list[str]()
    askers = [Asker(queue, "advice", log, "advice")]
    await settle()
    askers.append(Asker(queue, "warning", log, "warning"))
    await settle()
    async with queue.paused(0.01):
        await settle()
        assert queue.order() == ["warning", "advice"]
    for asker in askers:
        asker.leave.set()
    assert [await asker.task for asker in askers] == [3, 3]


async def test_one_that_became_critical_cuts_off_an_advice() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    askers = [Asker(queue, "advice", log, name) for name in "ab"]
    await settle()
    queue.urge(askers[1].ticket, "critical")
    await settle()
    assert log == ["a", "a cut off", "b"]
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers))


async def test_cut_off_before_it_began_it_begins_later() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    advice = Asker(queue, "advice", log, "advice")
    critical = Asker(queue, "critical", log, "critical")
    await asyncio.sleep(0)  # both came, and the advice has its slot and no task yet
    for asker in (critical, advice):
        asker.leave.set()
    assert [await advice.task, await critical.task] == [3, 3]
    assert sorted(log) == ["advice", "advice cut off", "critical"]
    assert log[-1] == "advice"


async def test_any_live_one_cuts_off_all_in_the_background() -> None:
    queue, log = SlotQueue[str](3, waiting=9), list[str]()
    night = [Asker(queue, "advice", log, f"night{n}", background=True) for n in range(2)]
    await settle()
    live = Asker(queue, "advice", log, "live")
    await settle()
    assert log == ["night0", "night1", "live", "night0 cut off", "night1 cut off"]
    assert (queue.in_flight, queue.depth) == (1, 2)
    live.leave.set()
    await settle()
    assert log[5:] == ["night0", "night1"]
    for asker in night:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in night))


async def test_a_deadline_ends_the_waiting() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    first = Asker(queue, "warning", log, "first")
    await settle()
    soon = asyncio.get_running_loop().time() + 0.05
    late = Asker(queue, "critical", log, "late", until=soon)
    with pytest.raises(DeadlineExceeded, match="of waiting"):
        await late.task
    assert (queue.in_flight, queue.depth) == (1, 0)
    first.leave.set()
    await first.task


async def test_turned_away_are_those_that_wait() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    askers = [Asker(queue, "warning", log, str(n)) for n in range(3)]
    await settle()
    queue.turn_away(Retryable("ask", "it failed"))
    for asker in askers[1:]:
        with pytest.raises(Retryable, match="it failed"):
            await asker.task
    assert (queue.in_flight, queue.depth) == (1, 0)
    askers[0].leave.set()
    assert await askers[0].task == 3


async def test_paused_lets_those_in_flight_end_and_holds_the_others() -> None:
    queue, log = SlotQueue[str](2, waiting=9), list[str]()
    askers = [Asker(queue, "warning", log, str(n)) for n in range(3)]
    await settle()
    entered, go = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        async with queue.paused(60):
            entered.set()
            await go.wait()

    pausing = asyncio.create_task(pause())
    await settle()
    askers.append(Asker(queue, "critical", log, "critical"))
    askers[0].leave.set()
    await settle()
    assert not entered.is_set()
    askers[1].leave.set()
    await entered.wait()
    assert (queue.in_flight, queue.depth) == (0, 2)
    assert log == ["0", "1"]
    go.set()
    await pausing
    await settle()
    assert log == ["0", "1", "critical", "2"]
    for asker in askers:
        asker.leave.set()
    assert [await asker.task for asker in askers] == [3] * 4


async def test_paused_cuts_off_what_does_not_end_in_time() -> None:
    queue, log = SlotQueue[str](2, waiting=9), list[str]()
    slow = Asker(queue, "critical", log, "slow")
    await settle()
    async with queue.paused(0.01):
        assert slow.closed == 1
        await settle()
        assert (queue.in_flight, queue.depth) == (0, 1)
    slow.leave.set()
    assert await slow.task == 3
    night = Asker(queue, "advice", log, "night", background=True)
    await settle()
    async with queue.paused(3600):  # nobody waits for it
        assert night.closed == 1
    night.leave.set()
    assert await night.task == 3


async def test_figures_for_the_status() -> None:
    queue, log = SlotQueue[str](1, waiting=9), list[str]()
    askers = [Asker(queue, p, log, p) for p in ("warning", "warning", "advice")]  # type: ignore[arg-type]
    await settle()
    await asyncio.sleep(0.06)
    facts = queue.facts
    assert float(facts.pop("waiting_s")) > 0
    order = str(facts.pop("order")).split(", ")
    assert [one.split()[0] for one in order] == ["warning", "advice"]
    assert facts == {
        "slots": 1, "in_flight": 1, "queued": 2,
        "queued_critical": 0, "queued_warning": 1, "queued_advice": 1, "queued_background": 0,
        "waited_ms": facts["waited_ms"],
    }  # fmt: skip
    for asker in askers:
        asker.leave.set()
    await asyncio.gather(*(asker.task for asker in askers))
    assert queue.facts["waited_ms"] >= 50  # the median of one that did not wait and two that did
    assert queue.facts["waiting_s"] == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "cancel", "turn", "resize"]), st.integers(0, 20)),
    max_size=40,
)
KINDS: list[tuple[Priority, bool]] = [
    ("critical", False), ("warning", False), ("advice", False), ("advice", True),
]  # fmt: skip


@given(STEPS, st.integers(1, 3))
async def test_slots_are_never_lost_nor_doubled(steps: list[tuple[str, int]], slots: int) -> None:
    queue, log = SlotQueue[str](slots, waiting=100), list[str]()
    askers: list[Asker] = []
    for step, which in steps:
        if step == "enter":
            priority, background = KINDS[which % 4]
            askers.append(Asker(queue, priority, log, str(len(askers)), background=background))
        elif step == "turn":
            await asyncio.sleep(0)
        elif step == "resize":
            queue.resize(which % 3 + 1)
        elif askers:
            asker = askers[which % len(askers)]
            if step == "leave":
                asker.leave.set()
            else:
                asker.task.cancel()
        held = [p.slot for p in queue._turns.written]
        assert len(set(held)) == len(held)
        assert queue.in_flight <= 3
    for _ in range(10):
        await settle()
    assert (
        queue.in_flight >= queue.slots
        or queue.depth == 0
        or (
            # Background ones wait as long as there is another.
            queue.in_flight and all(place.background for place in queue._turns.waiting)
        )
    )
    for asker in askers:
        asker.leave.set()
    done = await asyncio.gather(*(asker.task for asker in askers), return_exceptions=True)
    assert all(one == 3 or isinstance(one, asyncio.CancelledError) for one in done)
    assert (queue.in_flight, queue.depth) == (0, 0)
    assert queue._tickets == {}
    assert all(asker.closed == len(asker.slots) for asker in askers)


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
