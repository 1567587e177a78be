"""The model's answers that still stand: the same question over the same passages, asked once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from schemas.answers import Answer
from schemas.retrieval import Hit
from services.orchestrator.records import Work
from services.runtime.errors import Retryable

Key = tuple[object, ...]
_MOST = 1000


def key_of(work: Work, hits: Sequence[Hit], generation: int) -> Key:
    """Return what makes two questions the same: code or words, language, and the passages.

    With the passages come the scope and the revisions of the manuals, so that an asset with other
    manuals, or a manual that changed, is another question.

    Args:
        work: the question.
        hits: what the model is shown.
        generation: of the corpus that was searched.
    """
    shown = tuple((h.document.doc_id, h.document.revision, h.passage.ordinal) for h in hits)
    return (work.code or work.question.casefold(), work.lang, generation, shown)


@dataclass(slots=True)
class _Kept:
    answer: asyncio.Future[Answer]
    until: float


class Reuse:
    """Answers by key, for a time; one that is being written is waited for, not written twice."""

    def __init__(self, ttl_s: float, clock: Callable[[], float]) -> None:
        """Begin with none.

        Args:
            ttl_s: how long an answer stands, seconds.
            clock: now, seconds, never stepping back.
        """
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def get(self, key: Key) -> Answer | None:
        """Return the answer that stands, None where there is none yet."""
        kept = self._valid(key)
        return kept.answer.result() if kept and kept.answer.done() else None

    async def get_or_make(self, key: Key, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer that stands, or the one being written, or write it.

        Raises:
            Exception: what `make` raised; nothing is kept then, the next one tries again.
        """
        kept = self._valid(key)
        if kept is not None:
            # Shielded: who waits may give up, and must not take the writer along.
            return await asyncio.shield(kept.answer)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._kept[key] = _Kept(future, float("inf"))
        try:
            answer = await make()
        except BaseException as error:
            self._kept.pop(key, None)
            future.set_exception(
                Retryable("generate", "the deadline is over")
                if isinstance(error, asyncio.CancelledError)
                else error
            )
            future.exception()  # nobody may be waiting
            raise
        future.set_result(answer)
        self._kept[key] = _Kept(future, self._clock() + self._ttl_s)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return answer

    def _valid(self, key: Key) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is not None and kept.until <= self._clock():
            del self._kept[key]
            return None
        return kept
