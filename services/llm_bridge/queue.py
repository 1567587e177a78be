"""Whose turn it is: as many requests in flight as the server has slots, the urgent ones first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import get_args

from schemas.faults import Priority
from services.runtime.errors import Retryable

_RANK: dict[Priority, int] = {name: rank for rank, name in enumerate(get_args(Priority))}


class SlotQueue:
    """Hands out slots by priority, and by arrival among equals.

    A request that is cancelled while it waits leaves the queue; one that is cancelled just when
    its turn has come passes the slot on.
    """

    def __init__(
        self, slots: int, *, waiting: int, changed: Callable[[], None] = lambda: None
    ) -> None:
        """Begin with every slot free.

        Args:
            slots: requests in flight at the same time.
            waiting: requests that may wait for a slot; more are sent away.
            changed: called when `depth` or `in_flight` may have changed.
        """
        self._slots = slots
        self._most = waiting
        self._changed = changed
        self._in_flight = 0
        self._held = 0
        self._ended = asyncio.Event()
        self._order = count()
        self._heap: list[tuple[int, int, asyncio.Future[None], str]] = []

    @property
    def in_flight(self) -> int:
        """Requests that have a slot."""
        return self._in_flight

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return sum(not turn.done() for _, _, turn, _ in self._heap)

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return self._slots

    def resize(self, slots: int) -> None:
        """Change the number of slots; requests in flight keep theirs."""
        self._slots = slots
        self._call()

    @asynccontextmanager
    async def slot(self, priority: Priority, name: str = "") -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block.

        Args:
            priority: how urgent it is.
            name: by which `urge` finds it while it waits.

        Raises:
            Retryable: too many wait already.
        """
        if self.depth >= self._most:
            raise Retryable(
                "wait for the language model",
                f"{self._most} requests wait already",
                "the model is slower than the faults come",
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (_RANK[priority], next(self._order), turn, name))
        self._call()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._changed()
            else:
                self._free()
            raise
        try:
            yield
        finally:
            self._free()

    @asynccontextmanager
    async def paused(self, within_s: float) -> AsyncIterator[None]:
        """Let those in flight end, and hold the others for the block.

        Args:
            within_s: how long to wait for those in flight, seconds.
        """
        self._held += 1
        try:
            async with asyncio.timeout(within_s):
                while self._in_flight:
                    self._ended.clear()
                    await self._ended.wait()
            yield
        finally:
            self._held -= 1
            self._call()

    def urge(self, name: str, priority: Priority) -> None:
        """Give those of a name that wait another priority; among equals they keep their place."""
        rank = _RANK[priority]
        self._heap = [(rank if one[3] == name else one[0], *one[1:]) for one in self._heap]
        heapq.heapify(self._heap)

    def _free(self) -> None:
        self._in_flight -= 1
        self._ended.set()
        self._call()

    def _call(self) -> None:
        """Call the next ones while slots are free."""
        while self._heap and self._in_flight < self._slots and not self._held:
            _, _, turn, _ = heapq.heappop(self._heap)
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)
        self._changed()
