"""Whose turn it is: as many requests in flight as the server has slots, the urgent ones first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Generic, TypeVar

from schemas.faults import Priority
from services.llm_bridge.turns import Place, Turns
from services.runtime.errors import AndonError, DeadlineExceeded, Retryable

T = TypeVar("T")
R = TypeVar("R")

_WAIT = "wait for the language model"
_LATE = 64
"""As many waits are remembered."""
_SHOWN = 5
"""As many of those that wait stand in the status one by one."""


class CutOff(Exception):
    """A more urgent request took the slot; this one waits again."""


@dataclass(slots=True, eq=False)
class Ticket(Generic[R]):
    """A request in the queue."""

    request: R
    """What is asked, for `choose`."""
    place: Place
    """Where it stands."""
    until: float | None
    """Its deadline, in the loop's time."""
    turn: asyncio.Future[int] | None = None
    """Told the slot, or why there will be none."""
    work: asyncio.Task[None] | None = None
    """Writes it; it has the slot for as long as this runs."""


def _now() -> float:
    return asyncio.get_running_loop().time()


class SlotQueue(Generic[R]):
    """Hands out slots; what is written in one ends when its asker leaves or it has to make room.

    A slot is free when the work in it has ended, its connection closed, and not before.
    """

    def __init__(
        self,
        slots: int,
        *,
        waiting: int,
        ageing_s: float = 60.0,
        cut_off: bool = True,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin with every slot free.

        Args:
            slots: requests in flight at the same time.
            waiting: requests that may wait for a slot; more are sent away.
            ageing_s: waiting time after which a request rises a rank.
            cut_off: whether a critical request may cut off an advice.
            changed: called when somebody came, began or left.
        """
        self._turns = Turns(slots, ageing_s=ageing_s, cut_off=cut_off)
        self._most = waiting
        self._changed = changed
        self._tickets: dict[Place, Ticket[R]] = {}
        self._waited: deque[float] = deque(maxlen=_LATE)
        self._held = 0
        self._ended = asyncio.Event()
        self.choose: Callable[[Sequence[int], R], int] = lambda free, _: free[0]
        """Which of the free slots a request gets."""

    @property
    def in_flight(self) -> int:
        """Requests that have a slot."""
        return len(self._turns.written)

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return len(self._turns.waiting)

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return self._turns.slots

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        """Who waits and for how long, for the status."""
        now, turns = _now(), self._turns
        first = turns.order(now)[:_SHOWN]
        arrived = min((place.arrived for place in turns.waiting), default=now)
        return {
            "slots": turns.slots,
            "in_flight": self.in_flight,
            "queued": self.depth,
            **{f"queued_{name}": count for name, count in turns.depth().items()},
            "order": ", ".join(f"{p.priority} {now - p.arrived:.1f} s" for p in first),
            "waiting_s": round(now - arrived, 1),
            "waited_ms": round(median(self._waited or (0.0,)) * 1000, 1),
        }

    def order(self) -> list[str]:
        """Return the ids of those that wait, the next one first."""
        return [place.id for place in self._turns.order(_now())]

    def resize(self, slots: int) -> None:
        """Change the number of slots; requests in flight keep theirs."""
        self._turns.slots = slots
        self._call()

    def ticket(
        self,
        request: R,
        name: str,
        priority: Priority,
        *,
        background: bool = False,
        until: float | None = None,
    ) -> Ticket[R]:
        """Return a place for a request, kept through all its turns.

        Args:
            request: what is asked.
            name: what `order` calls it.
            priority: how urgent it is.
            background: whether nobody waits for it.
            until: its deadline, in the loop's time; None for none.
        """
        place = self._turns.enter(name, priority, _now(), background=background)
        return Ticket(request, place, until)

    async def run(
        self, ticket: Ticket[R], work: Callable[[int], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[T, None]:
        """Wait for a slot, do the work in it, and yield what it yields.

        Raises:
            CutOff: it had to make room; `run` again puts it back to its old place.
            DeadlineExceeded: its deadline came while it waited.
            Retryable: too many wait, none of them less urgent, or `turn_away` was called.
        """
        slot = await self._turn(ticket)
        pieces: asyncio.Queue[T | None] = asyncio.Queue()

        async def write() -> None:
            async with aclosing(work(slot)) as written:
                async for piece in written:
                    pieces.put_nowait(piece)

        def ended(work: object) -> None:
            if ticket.work is work:
                self._leave(ticket)
            pieces.put_nowait(None)

        # A task of its own: it can be ended at once, whatever its asker is waiting for.
        ticket.work = task = asyncio.create_task(write(), name=f"write {ticket.place.id}")
        task.add_done_callback(ended)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            if task.cancelled():
                raise CutOff
            task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
            if ticket.work is task:
                self._leave(ticket)

    def urge(self, ticket: Ticket[R], priority: Priority) -> None:
        """Give a request another priority; among equals it keeps its place."""
        self._turns.urge(ticket.place, priority)
        self._call()

    def turn_away(self, error: AndonError) -> None:
        """Tell all who wait that there is no point."""
        for place in list(self._turns.waiting):
            self._refuse(self._tickets[place], error)
        self._changed()

    def cut_background(self) -> None:
        """Cut off what nobody waits for; it is put back, as by `paused`."""
        for place in [p for p in self._turns.written if p.background]:
            self._cut(place)

    @asynccontextmanager
    async def paused(self, within_s: float) -> AsyncIterator[None]:
        """Let those in flight end, and hold the others for the block.

        What has not ended in time, or what nobody waits for, is cut off and begins again after it.

        Args:
            within_s: how long to wait for those in flight, seconds.
        """
        self._held += 1
        try:
            self.cut_background()
            try:
                async with asyncio.timeout(within_s):
                    await self._empty()
            except TimeoutError:
                for place in list(self._turns.written):
                    self._cut(place)
                await self._empty()
            yield
        finally:
            self._held -= 1
            self._call()

    async def _empty(self) -> None:
        while self._turns.written:
            self._ended.clear()
            await self._ended.wait()

    async def _turn(self, ticket: Ticket[R]) -> int:
        """Wait for a slot and return its number; from then on it is the ticket's."""
        now = _now()
        if ticket.turn is None:  # who begins again has its place
            self._make_room(ticket)
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        ticket.turn = turn
        ticket.work = None
        self._turns.waiting.append(ticket.place)
        self._tickets[ticket.place] = ticket
        self._call()
        try:
            async with asyncio.timeout_at(ticket.until):
                slot = await turn
        except TimeoutError as error:
            self._leave(ticket)
            waited = _now() - ticket.place.arrived
            raise DeadlineExceeded(
                _WAIT,
                f"the deadline is over after {waited:.1f} s of waiting",
                "the model is slower than the faults come",
            ) from error
        except BaseException:
            self._leave(ticket)  # a slot it was just given included
            raise
        if ticket.place.leaving:  # already
            self._leave(ticket)
            raise CutOff
        self._waited.append(_now() - now)
        return slot

    def _make_room(self, ticket: Ticket[R]) -> None:
        """Send the least urgent away where too many wait."""
        if self.depth < self._most:
            return
        error = Retryable(
            _WAIT,
            f"{self._most} requests wait already",
            "the model is slower than the faults come",
        )
        now = _now()
        last = self._turns.least(now)
        if last is None or not self._turns.before(ticket.place, last, now):
            raise error
        self._refuse(self._tickets[last], error)

    def _refuse(self, ticket: Ticket[R], error: AndonError) -> None:
        self._turns.end(ticket.place)
        if ticket.turn is not None and not ticket.turn.done():
            ticket.turn.set_exception(error)

    def _leave(self, ticket: Ticket[R]) -> None:
        """Take one out, and give its slot to the next."""
        if self._tickets.pop(ticket.place, None) is None:
            return
        self._turns.end(ticket.place)
        self._ended.set()
        self._call()

    def _call(self) -> None:
        """Call the next ones while slots are free, and have others make room."""
        turns = self._turns
        while not self._held and (place := turns.next(now := _now())) is not None:
            ticket = self._tickets[place]
            turns.begin(place, self.choose(turns.free(), ticket.request), now)
            if ticket.turn is not None and not ticket.turn.done() and place.slot is not None:
                ticket.turn.set_result(place.slot)
        if not self._held:
            for place in turns.cut():
                self._cut(place)
        self._changed()

    def _cut(self, place: Place) -> None:
        place.leaving = True
        if (work := self._tickets[place].work) is not None:
            work.cancel()
