"""Commits that writers share."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from services.runtime.commits import Change, Commits

pytestmark = pytest.mark.unit


class Disk:
    """Keeps rows of a table; a commit waits until the disk may go on."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
        self.free = asyncio.Event()
        self.free.set()
        self.sizes: list[int] = []
        self.commits = Commits(asyncio.Lock(), self.run)

    async def run(self, changes: Sequence[Change]) -> list[Any]:
        await self.free.wait()
        self.db.execute("BEGIN")
        try:
            results = [change(self.db) for change in changes]
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        self.sizes.append(len(changes))
        return results

    def write(self, x: int) -> asyncio.Task[int]:
        return asyncio.create_task(self.commits.write(lambda db: insert(db, x)))

    @property
    def rows(self) -> list[int]:
        return [x for (x,) in self.db.execute("SELECT x FROM t ORDER BY x")]


def insert(db: sqlite3.Connection, x: int) -> int:
    db.execute("INSERT INTO t VALUES (?)", (x,))
    return x


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_change_is_committed_at_once_and_those_that_wait_together() -> None:
    disk = Disk()
    disk.free.clear()
    tasks = [disk.write(0)]
    await settle()
    tasks += [disk.write(x) for x in range(1, 6)]
    await settle()
    disk.free.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4, 5]
    assert disk.sizes == [1, 5]
    assert disk.rows == [0, 1, 2, 3, 4, 5]


async def test_a_change_that_fails_fails_alone() -> None:
    disk = Disk()
    disk.free.clear()
    tasks = [disk.write(0)]
    await settle()
    tasks += [disk.write(x) for x in (1, 0, 2)]
    await settle()
    disk.free.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[2], sqlite3.IntegrityError)
    assert [done[0], done[1], done[3]] == [0, 1, 2]
    assert disk.rows == [0, 1, 2]


async def test_what_rides_goes_first_with_the_next_commit_and_stays_until_it_succeeds() -> None:
    disk = Disk()
    told: list[str] = []
    disk.commits.later(lambda db: insert(db, 7), lambda: told.append("on the disk"))
    assert (disk.rows, told) == ([], [])
    with pytest.raises(ZeroDivisionError):
        await disk.commits.write(lambda _db: 1 // 0)
    assert (disk.rows, told) == ([], [])
    count = await disk.commits.write(lambda db: db.execute("SELECT count(*) FROM t").fetchone()[0])
    assert (count, disk.rows, told) == (1, [7], ["on the disk"])
    await disk.commits.flush()
    assert disk.sizes == [2], "nothing rides, nothing is committed"


async def test_who_is_cancelled_before_its_turn_writes_nothing() -> None:
    disk = Disk()
    disk.free.clear()
    first = disk.write(1)
    await settle()
    second, third = disk.write(2), disk.write(3)
    await settle()
    second.cancel()
    await settle()
    disk.free.set()
    assert await asyncio.gather(first, third) == [1, 3]
    assert second.cancelled()
    assert disk.rows == [1, 3]


async def test_who_writes_for_the_others_ends_that_before_it_is_cancelled() -> None:
    disk = Disk()
    disk.free.clear()
    first = disk.write(1)
    await settle()
    leader, follower = disk.write(2), disk.write(3)
    await settle()
    disk.free.set()
    await first
    disk.free.clear()
    await settle()
    leader.cancel()
    await settle()
    assert not leader.done()
    disk.free.set()
    assert await follower == 3
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert disk.rows == [1, 2, 3]
