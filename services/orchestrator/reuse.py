"""The model's answers that still stand: the same question over the same passages, asked once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from schemas.faults import Priority
from schemas.retrieval import Hit
from services.orchestrator.alarms import RANK
from services.orchestrator.records import Work
from services.runtime.errors import Retryable

T = TypeVar("T")
Key = tuple[object, ...]
Who = tuple[str, str]
"""Place and answer id of one who waits."""
_WAIT = "wait for the language model"
_MOST = 1000
_WRITTEN_MOST = 60
"""Answers being written at the same time, at most: fewer than the bridge lets wait."""
_WAITING_MOST = 1000
"""Those who wait for them, at most."""


class Busy(Retryable):
    """More urgent ones wait for the model already."""


class Gone(Retryable):
    """The alarm is gone: nobody stands before the machine and waits."""


def key_of(work: Work, hits: Sequence[Hit], generation: int) -> Key:
    """Return what makes two questions the same: code or words, language, and the passages.

    Of a code the manual counts that knows it best: the machine's words beside the code change what
    else is found, and not what the code means there. What is said of one machine alone is not said
    of another: see `bindings`. A manual that changed is another question.

    Args:
        work: the question.
        hits: what the model is shown.
        generation: of the corpus that was searched.
    """
    found = [(h.document.doc_id, h.document.revision, h.passage.ordinal) for h in hits]
    if work.code:
        best = found[0][:2] if found else ()
        return (work.code, work.lang, generation, *best, *bindings(hits))
    return (work.question.casefold(), work.lang, generation, *found)


def bindings(hits: Sequence[Hit]) -> list[tuple[str, ...]]:
    """Return for which machines the documents of passages are, those for all left out.

    Where two searches agree in this, what one found is for the other's machine too.
    """
    return sorted({tuple(hit.document.assets) for hit in hits if hit.document.assets})


@dataclass(slots=True, eq=False)
class Writing:
    """An answer that is being written. It belongs to all who wait for it, and to none of them."""

    id: str
    """By which the bridge knows it."""
    priority: Priority
    """That of the most urgent who ever waited for it."""
    task: asyncio.Task[Any]
    waiters: list[_Waiter] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Waiter:
    who: Who
    rank: int
    turn: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    answer: T
    until: float


class Reuse(Generic[T]):
    """Answers by key, for a time; one that is being written is waited for, not written twice."""

    def __init__(
        self,
        ttl_s: float,
        clock: Callable[[], float],
        *,
        urge: Callable[[str, Priority | None], None] = lambda _id, _priority: None,
        written_most: int = _WRITTEN_MOST,
        waiting_most: int = _WAITING_MOST,
    ) -> None:
        """Begin with none.

        Args:
            ttl_s: how long an answer stands, seconds.
            clock: now, seconds, never stepping back.
            urge: told when an answer being written became more urgent, or, with None, that nobody
                waits for it any more.
            written_most: answers being written at the same time, at most.
            waiting_most: those who wait for them, at most.
        """
        self._ttl_s = ttl_s
        self._clock = clock
        self._urge = urge
        self._written_most = written_most
        self._waiting_most = waiting_most
        self._kept: OrderedDict[Key, _Kept[T]] = OrderedDict()
        self._writing: dict[Key, Writing] = {}

    def __len__(self) -> int:
        """Return how many answers are kept; some may not stand any more."""
        return len(self._kept)

    def get(self, key: Key) -> T | None:
        """Return the answer that stands, None where there is none yet."""
        kept = self._kept.get(key)
        if kept is not None and kept.until <= self._clock():
            del self._kept[key]
            return None
        return kept.answer if kept else None

    async def get_or_make(
        self,
        key: Key,
        make: Callable[[Writing], Awaitable[T]],
        *,
        who: Who = ("", ""),
        priority: Priority = "warning",
    ) -> T:
        """Return the answer that stands, or the one being written, or have it written.

        It is written for as long as anybody waits for it, whoever was first.

        Args:
            key: of the question.
            make: writes the answer.
            who: asks.
            priority: how urgent that is.

        Raises:
            Busy: so many wait already, none of them less urgent, or it became so.
            Exception: what `make` raised; nothing is kept then, the next one tries again.
        """
        if (standing := self.get(key)) is not None:
            return standing
        self._make_room(key, RANK[priority])
        writing = self._writing.get(key) or self._begin(key, make, who, priority)
        waiter = _Waiter(who, RANK[priority], asyncio.get_running_loop().create_future())
        writing.waiters.append(waiter)
        self._hurry(writing, priority)
        try:
            made: T = await waiter.turn
            return made
        finally:
            self._leave(key, writing, waiter)

    def escalate(self, who: Who, priority: Priority) -> None:
        """Say that what somebody waits for, if so, is more urgent now."""
        for writing in self._writing.values():
            for waiter in writing.waiters:
                if waiter.who == who:
                    waiter.rank = RANK[priority]
                    self._hurry(writing, priority)

    def release(self, who: Who) -> None:
        """Let somebody wait no longer, who does if so: the alarm is gone."""
        for key, writing in list(self._writing.items()):
            for waiter in [one for one in writing.waiters if one.who == who]:
                self._send_away(key, writing, waiter, Gone(_WAIT, "the alarm is gone"))

    def _begin(
        self, key: Key, make: Callable[[Writing], Awaitable[T]], who: Who, priority: Priority
    ) -> Writing:
        async def write() -> T:
            return await make(writing)

        task = asyncio.create_task(write(), name=f"write {who[1]}")
        writing = Writing(f"{who[1]}.{id(task):x}", priority, task)
        self._writing[key] = writing
        task.add_done_callback(lambda _: self._done(key, writing))
        return writing

    def _done(self, key: Key, writing: Writing) -> None:
        """Hand out what was written, or why it was not."""
        if self._writing.get(key) is writing:
            del self._writing[key]
        if writing.task.cancelled():
            return  # nobody waits for it any more
        error = writing.task.exception()
        if error is None:
            self._kept[key] = _Kept(writing.task.result(), self._clock() + self._ttl_s)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        for waiter in writing.waiters:
            if waiter.turn.done():
                continue
            if error is None:
                waiter.turn.set_result(writing.task.result())
            else:
                waiter.turn.set_exception(error)

    def _hurry(self, writing: Writing, priority: Priority) -> None:
        if RANK[priority] < RANK[writing.priority]:
            writing.priority = priority
            self._urge(writing.id, priority)

    def _make_room(self, key: Key, rank: int) -> None:
        """Send the least urgent, of several the latest, away where one of this rank has no room."""
        everyone = [(k, w, one) for k, w in self._writing.items() for one in w.waiters]
        if key not in self._writing and len(self._writing) >= self._written_most:
            last = max(reversed(self._writing), key=lambda k: RANK[self._writing[k].priority])
            out = [one for one in everyone if one[0] == last]
        elif len(everyone) >= self._waiting_most:
            out = [max(reversed(everyone), key=lambda one: one[2].rank)]
        else:
            return
        if min(waiter.rank for _, _, waiter in out) <= rank:
            raise Busy(_WAIT, "others were before")
        for where, writing, waiter in out:
            self._send_away(where, writing, waiter, Busy(_WAIT, "more urgent ones came"))

    def _send_away(self, key: Key, writing: Writing, waiter: _Waiter, why: Retryable) -> None:
        if not waiter.turn.done():
            waiter.turn.set_exception(why)
        self._leave(key, writing, waiter)

    def _leave(self, key: Key, writing: Writing, waiter: _Waiter) -> None:
        """Let one go who waited; with the last one the writing ends."""
        if waiter not in writing.waiters:
            return  # was sent away
        writing.waiters.remove(waiter)
        if not writing.waiters and self._writing.get(key) is writing:
            del self._writing[key]
            writing.task.cancel()
            self._urge(writing.id, None)
