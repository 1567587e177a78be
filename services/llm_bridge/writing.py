"""One request from its arrival to its answer: it waits, is cut off, is tried again."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from schemas.faults import Priority
from schemas.generation import Generate, Generated, Piece, TextDelta
from services.llm_bridge.breaker import Breaker
from services.llm_bridge.errors import may_pass
from services.llm_bridge.queue import CutOff, SlotQueue
from services.runtime.errors import Retryable, Unavailable

_TRIES = 4
_WAIT_S = 0.5
"""Before the second try at most; doubled for each further one: 3.5 s in all, in which a server
that was busy or fell over may be back."""
_ENOUGH = 0.5
"""A model that had this share of a request's time and did not finish has failed."""
_MARGIN_S = 0.05
"""This long before the asker's deadline ours comes, so that it says what was waited for."""

Begin = Callable[[Generate, int], AsyncGenerator[Piece, None]]
"""Has the model write an answer in a slot."""


class Told:
    """The text an asker has been sent; what is written again is not sent twice (pure)."""

    def __init__(self) -> None:
        self._sent = self._written = ""

    def again(self) -> None:
        """The answer is begun anew."""
        self._written = ""

    def news(self, text: str) -> str:
        """Return what of the next piece goes beyond what was sent.

        Nothing where the new answer has other words: what counts then is the whole one at its end.
        """
        self._written += text
        if not self._written.startswith(self._sent):
            return ""
        news = self._written[len(self._sent) :]
        self._sent = self._written
        return news


class _Failed(Exception):
    """The model was asked and failed; the queue's errors, or a model known to be away, are not."""

    def __init__(self, error: Retryable) -> None:
        super().__init__(error)
        self.error = error


class Writing:
    """The work on one request."""

    def __init__(
        self,
        request: Generate,
        queue: SlotQueue[Generate],
        breaker: Breaker,
        begin: Begin,
        *,
        check: Callable[[], None] = lambda: None,
        until: float = math.inf,
        between: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Take a place in the queue.

        Args:
            request: what is asked.
            queue: for a slot.
            breaker: told how it went.
            begin: has the model write.
            check: raises where the model is known to be away.
            until: the asker's deadline, in the loop's time.
            between: draws the waits between two tries.
        """
        self._request = request
        self._queue = queue
        self._breaker = breaker
        self._begin = begin
        self._check = check
        self._until = until - _MARGIN_S
        self._between = between
        self._clock = asyncio.get_running_loop().time
        self._arrived = self._clock()
        self._ticket = queue.ticket(
            request,
            request.id,
            request.priority,
            background=request.background,
            until=None if math.isinf(until) else self._until,
        )

    def urge(self, priority: Priority) -> None:
        """Let it be more urgent, or less, from now on."""
        self._queue.urge(self._ticket, priority)

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Yield the answer as it is written; the last piece is `Generated`.

        Raises:
            Unavailable: the breaker is open.
            Retryable, Rejected: as `begin` and the queue, after the tries that may have helped.
        """
        told, tries = Told(), 0
        try:
            while True:
                try:
                    async with aclosing(self._queue.run(self._ticket, self._try)) as pieces:
                        async for piece in pieces:
                            if isinstance(piece, Generated):
                                self._breaker.succeeded()
                                yield piece
                                return
                            if news := told.news(piece.text):
                                yield TextDelta(text=news)
                except CutOff:
                    pass
                except _Failed as failed:
                    tries += 1
                    await self._wait(failed.error, tries)
                told.again()
        finally:
            self._breaker.left(self)

    async def _wait(self, error: Retryable, tries: int) -> None:
        """Wait until the model may do better; raises the error where that is no use."""
        longest = _WAIT_S * 2.0 ** (tries - 1)
        wait = self._between(longest / 2, longest)
        late = self._clock() + wait >= self._until
        if tries >= _TRIES or late or not may_pass(error):
            self._failed(error.reason)
            raise error
        await asyncio.sleep(wait)

    async def _try(self, slot: int) -> AsyncGenerator[Piece, None]:
        """Have the model write in a slot."""
        self._check()
        if not self._admitted():
            raise refused(self._breaker)
        silent, begun = True, self._clock()
        try:
            async with aclosing(self._begin(self._request, slot)) as pieces:
                async for piece in pieces:
                    silent = False
                    yield piece
        except Retryable as error:
            raise _Failed(error) from error
        except asyncio.CancelledError:
            over = self._clock() >= self._until
            # What waited for a slot until shortly before its deadline says nothing of the model.
            if over and self._until - begun >= _ENOUGH * (self._until - self._arrived):
                nothing = "nothing came until the deadline"
                self._failed(nothing if silent else "it had not finished by the deadline")
            raise

    # What nobody waits for must not keep the model from those who do: a passage on which it breaks
    # would open the breaker night for night, and a try that may be cut off would hold it there.

    def _admitted(self) -> bool:
        now = self._clock()
        if self._request.background:
            return self._breaker.admits(now)
        return self._breaker.begin(now, self)

    def _failed(self, reason: str) -> None:
        if not self._request.background:
            self._breaker.failed(self._clock(), self, reason)


def refused(breaker: Breaker) -> Unavailable:
    """Return what an asker is told while the breaker is open."""
    return Unavailable(
        "ask the language model",
        f"it failed several times in a row: {breaker.reason}",
        "it is tried again soon",
    )
