"""Whether a model is the one it is taken for: seen before its vectors are compared, and after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from services.retriever.corpus import Corpus
from services.retriever.embedding import AnotherModel, Embedder
from services.retriever.worker import Worker
from services.runtime.errors import AndonError, Fatal, Rejected, Retryable

log = logging.getLogger(__name__)

VERIFY_AFTER_S = 5.0
"""Files that are known by their times are read when all have started: their hash takes as much
processor as starting."""
CONFIRM_S = 20.0
"""Pause between two looks at whether the server still has the model that answers, seconds. Before
that a question finds it out, see `meaning`."""


class Identity:
    """Looks at the models that are used."""

    def __init__(self, corpus: Corpus, on_damage: Callable[[AndonError], None]) -> None:
        """Prepare.

        Args:
            corpus: knows the models whose vectors it has.
            on_damage: told that a file of a model at work is not what it was.
        """
        self._corpus = corpus
        self._on_damage = on_damage
        self.doubt = asyncio.Event()
        """Set where the model that answers may be another one."""

    async def ensure(self, embedder: Embedder) -> None:
        """Return when a model is known to be what its name says.

        Its files are read only where they were touched since their vectors were made.

        Raises:
            Rejected: a file is damaged, or another one lies under its name.
        """
        known = (self._corpus.model, self._corpus.coming)
        if not embedder.stamp or embedder.stamp in {one.stamp for one in known if one}:
            return
        try:
            await asyncio.to_thread(embedder.verify)
        except Fatal as error:
            raise Rejected(error.operation, error.reason, error.hint) from error

    async def verify(self, embedder: Embedder) -> None:
        """Read the files of a model at work, a while after the start."""
        await asyncio.sleep(VERIFY_AFTER_S)
        try:
            await asyncio.to_thread(embedder.verify)
        except Fatal as error:
            # Codes and words still answer, and what meaning finds is shown as what it is.
            self._on_damage(error)

    async def watch(
        self,
        serving: Callable[[], Worker | None],
        lost: Callable[[Worker, AnotherModel], Awaitable[None]],
    ) -> None:
        """Find out, for ever, that the server of the model that answers has another one now.

        Args:
            serving: gives the one that answers.
            lost: called with it when it is gone.
        """
        while True:
            try:
                async with asyncio.timeout(CONFIRM_S):
                    await self.doubt.wait()
            except TimeoutError:
                pass
            self.doubt.clear()
            worker = serving()
            if worker is None or worker.embedder.sample is None:
                continue
            try:
                await asyncio.to_thread(worker.embedder.confirm)
            except AnotherModel as error:
                await lost(worker, error)
            except (Retryable, Rejected) as error:
                log.debug("not confirmed: %s", error)  # who needs it tells
