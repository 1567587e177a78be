"""A model at work: what embeds, and what makes its vectors."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.retriever.embedding import Embedder
from services.retriever.memory import give_back
from services.retriever.vectorizer import Vectorizer

LAST_S = 2.0
"""So long after a change the former model still takes questions that were on their way."""


@dataclass(eq=False, slots=True)
class Worker:
    """A model at work."""

    embedder: Embedder
    vectorizer: Vectorizer
    task: asyncio.Task[None] | None = None
    """In which it makes vectors."""

    def stop(self) -> None:
        """Make no more vectors; who stops it from within ends by itself."""
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    async def close(self) -> None:
        """Let go of the model."""
        self.embedder.close()  # first: the other may be waiting for it
        await self.vectorizer.close()


@dataclass(slots=True)
class Retired:
    """Models that answered before, and take the last questions."""

    workers: list[Worker] = field(default_factory=list)

    async def take(self, former: Worker) -> None:
        """Let go of a model, a little later."""
        self.workers.append(former)
        former.stop()  # its vectors are wanted no more
        await asyncio.sleep(LAST_S)
        await former.close()
        self.workers.remove(former)
        del former
        await asyncio.to_thread(give_back)
