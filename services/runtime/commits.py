"""Transactions that several writers share: one sync of the disk, one step of the thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], Any]
"""Writes inside a transaction that others may be part of; it may be called again after one that
failed."""


class Commits:
    """What waits to be written.

    Whoever has the lock writes for all who wait for it: a lone change is committed at once, and
    the busier the disk, the more changes share a commit.
    """

    def __init__(
        self, lock: asyncio.Lock, run: Callable[[Sequence[Change]], Awaitable[list[Any]]]
    ) -> None:
        """Prepare.

        Args:
            lock: held by who writes.
            run: carries out changes in one transaction; returns what each returned, or raises
                and nothing was written.
        """
        self._lock = lock
        self._run = run
        self._waiting: list[tuple[Change, asyncio.Future[Any]]] = []
        self._riding: list[tuple[Change, Callable[[], None]]] = []

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Write and commit; raises what `run` raises because of this change.

        A task that is cancelled while its change is being written does not learn what became
        of it; one that is cancelled before has written nothing.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        mine = (change, done)
        self._waiting.append(mine)
        try:
            async with self._lock:
                if not done.done():
                    await finish(self._write_all())  # the others wait for it as well
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            if not done.cancel():
                done.exception()  # nobody is left to see it
            raise
        return done.result()

    def later(self, change: Change, committed: Callable[[], None]) -> None:
        """Write with the next commit, before what else it does: worth no commit of its own.

        Args:
            change: may be lost when the process dies. It must not fail but for the disk.
            committed: called when it is on the disk.
        """
        self._riding.append((change, committed))

    async def flush(self) -> None:
        """Commit what rides, where something does; raises as `run`."""
        if self._riding:
            await self.write(lambda _db: None)

    async def _write_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            results = await self._with_riders([change for change, _ in waiting])
        except Exception as error:  # noqa: BLE001  raised in the task whose change it is
            if len(waiting) == 1:
                _fail(waiting[0][1], error)
                return
        else:
            for (_, done), result in zip(waiting, results, strict=True):
                if not done.done():
                    done.set_result(result)
            return
        # One of them may be to blame: each for itself.
        for change, done in waiting:
            try:
                [result] = await self._with_riders([change])
            except Exception as error:  # noqa: BLE001  as above
                _fail(done, error)
            else:
                if not done.done():
                    done.set_result(result)

    async def _with_riders(self, changes: Sequence[Change]) -> list[Any]:
        riding = len(self._riding)
        before = [change for change, _ in self._riding[:riding]]
        results = await self._run([*before, *changes])
        riders, self._riding = self._riding[:riding], self._riding[riding:]
        for _, committed in riders:
            committed()
        return results[riding:]


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


async def finish(step: Awaitable[T]) -> T:
    """Wait for a step to its end even when this task is cancelled; then be cancelled.

    aiosqlite runs a statement to its end in any case, only nobody would know how it ended.
    """
    work = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        # A failure is seen by the caller's rollback; being cancelled goes first.
        work.exception()
        raise cancelled
    return work.result()
