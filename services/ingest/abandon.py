"""The word to leave a document in work, because it is being removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Abandoned(Exception):
    """The document in work is being removed."""


class Abandon:
    """Whether the document in work is to be left."""

    def __init__(self) -> None:
        self._said = asyncio.Event()

    def say(self) -> None:
        """Have it left."""
        self._said.set()

    def take_back(self) -> None:
        """Begin with another document."""
        self._said.clear()

    def check(self) -> None:
        """Raise Abandoned where it is to be left."""
        if self._said.is_set():
            raise Abandoned

    async def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Abandoned: the document in work is being removed.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._said.wait()
        except TimeoutError:
            return
        raise Abandoned

    async def unless_said(self, reading: Awaitable[T]) -> T:
        """Await the reader, but kill it when the document is removed meanwhile.

        Raises:
            Abandoned: it is.
        """
        task = asyncio.ensure_future(reading)
        gone = asyncio.create_task(self._said.wait(), name="abandon")
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Abandoned
            return task.result()
        finally:
            for one in (task, gone):
                one.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)
