"""Opening the configured embedding model, again and again until it can be had."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from services.retriever.embedding import Embedder, open_embedder
from services.runtime.config import Embedding
from services.runtime.errors import AndonError, Fatal, Rejected, Retryable

AGAIN_S = 3.0
"""Pause between two tries."""


class Opening:
    """Opens the model, one try at a time, or it would be opened twice."""

    def __init__(
        self,
        settings: Embedding,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        *,
        arrive: Callable[[Embedder], Awaitable[None]],
        without: Callable[[AndonError], Awaitable[None]],
    ) -> None:
        """Prepare.

        Args:
            settings: the configured model.
            spawn: runs a task of this name for as long as the service lives.
            arrive: takes the open model in; raises Retryable or Rejected where it cannot now.
            without: called where the model cannot be had.
        """
        self._settings = settings
        self._spawn = spawn
        self._arrive = arrive
        self._without = without
        self._task: asyncio.Task[None] | None = None

    async def begin(self, opening: Awaitable[Embedder]) -> None:
        """Take in a model that is being opened; where it cannot be had, go on trying.

        Raises:
            Fatal: at the first try that is a mistake of the configuration.
        """
        if not await self._try(opening):
            self.again()

    def again(self) -> None:
        """Open the model when it can be had."""
        if self._task is None or self._task.done():
            self._task = self._spawn(self._keep_on(), "open the embedding model")

    async def _keep_on(self) -> None:
        done = False
        while not done:
            await asyncio.sleep(AGAIN_S)
            try:
                done = await self._try(asyncio.to_thread(open_embedder, self._settings))
            except Fatal as error:  # later it comes and goes
                await self._without(error)

    async def _try(self, opening: Awaitable[Embedder]) -> bool:
        try:
            await self._arrive(await opening)
        except (Retryable, Rejected) as error:
            await self._without(error)
            return False
        return True
