"""The index's file: which state of the corpus it is of, and the next one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from services.retriever import index_file
from services.retriever.corpus import Corpus
from services.retriever.index_file import Writing
from services.retriever.vectors import VectorIndex

Held = tuple[int, int]
"""Generation of a corpus, and its vectors that answer."""


class Saver:
    """Loads the index, and writes it beside the one that serves."""

    def __init__(self, corpus: Corpus, folder: Path, run: Callable[..., Awaitable[Any]]) -> None:
        """Prepare.

        Args:
            corpus: the truth.
            folder: of the files.
            run: calls a function in the index's own thread.
        """
        self._corpus = corpus
        self._folder = folder
        self._run = run
        self._writing: Writing | None = None
        self._saved: Held | None = None
        self._ended = False
        self.one = asyncio.Lock()
        """Held while it is written: what is left of another one is deleted then."""

    async def load(self, dimension: int) -> VectorIndex | None:
        """Return the index of the model that answers as it was saved, perhaps of an earlier day."""
        load = partial(
            index_file.load,
            self._folder,
            marks=await self._corpus.index_marks(),
            embedding=self._corpus.embedding,
            dimension=dimension,
        )
        saved = await self._run(load)
        self._saved = (saved.generation, saved.count) if saved else None
        return saved.index if saved else None

    def has(self, held: Held) -> bool:
        """Return whether the file is of this state."""
        return self._saved == held

    def forget(self) -> None:
        """The file is of another model."""
        self._saved = None

    async def begin(self, index: VectorIndex, held: Held) -> Callable[[], Awaitable[None]]:
        """Begin to write the index as it is now; return what waits for the end of that.

        Raises:
            OSError: the disk is read-only, or there is no process to be had.
        """
        mark = secrets.token_hex(6)
        await self._corpus.mark_index(mark)  # first: what is written is not of a later corpus
        begin = partial(
            index_file.begin, mark=mark, generation=held[0], embedding=self._corpus.embedding
        )
        writing: Writing = await self._run(begin, index, self._folder)
        if self._ended:
            writing.writer.end()
        self._writing = writing
        return partial(self._finish, writing, held)

    async def _finish(self, writing: Writing, held: Held) -> None:
        try:
            await asyncio.to_thread(writing.finish)
        finally:
            self._writing = None
        self._saved = held

    def end(self) -> None:
        """Write no more: the next start brings the file before it in step."""
        self._ended = True  # also what is about to begin
        if self._writing is not None:
            self._writing.writer.end()
