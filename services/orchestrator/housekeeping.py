"""Old rows leave the ledger for a file, and the ledger gives back the room they took.

What a file holds is what is removed, row by row: whatever changed since it was written stays.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.orchestrator import history
from services.orchestrator.made import unpacked
from services.runtime.clock import stamp
from services.runtime.errors import Rejected, Retryable
from services.runtime.process import Health
from services.runtime.sqlite import Database, queries

log = logging.getLogger(__name__)

_STEP = 500  # rows a transaction, pages of the file too: a fault's commit waits for one step
_PAUSE_S = 0.02
_FIRST_AFTER_S = 60.0
_EVERY_S = 24 * 3600.0
_AGAIN_S = 3600.0
_QUIET_EVERY_S = 5.0
_QUIET_TRIES = 720  # an hour; a plant that is never quiet is kept house for all the same

_SQL = queries(Path(__file__).with_suffix(".sql"))
_TABLES = ("job", "event", "rejected", "feedback", "made")
"""In the order of removal: a job with its answer before what they rest on."""


class Housekeeping:
    """Exports and removes what is old, once a day in a quiet moment."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        keep_days: int,
        history_days: int,
        quiet: Callable[[], bool],
        health: Health,
    ) -> None:
        """Prepare.

        Args:
            database: the ledger's file.
            folder: where the exports are kept.
            keep_days: days a row stays in the ledger.
            history_days: days an export is kept; 0 for ever.
            quiet: whether nothing is being answered now.
            health: where it is told that the disk does not let us.
        """
        self._db = database
        self._folder = folder
        self._keep = timedelta(days=keep_days)
        self._history_days = history_days
        self._quiet = quiet
        self._health = health

    async def run(self) -> None:
        """Keep house for ever: a minute after the start, then once a day."""
        wait = _FIRST_AFTER_S
        while True:
            await asyncio.sleep(wait)
            for _ in range(_QUIET_TRIES):
                if self._quiet():
                    break
                await asyncio.sleep(_QUIET_EVERY_S)
            try:
                await self.once(datetime.now(UTC))
            except Retryable as error:
                self._health.trouble("history", str(error))
                wait = _AGAIN_S
            else:
                self._health.well("history")
                wait = _EVERY_S

    async def once(self, now: datetime) -> int:
        """Keep house now; return how many rows left the ledger.

        Raises:
            Retryable: the disk is full or failing; nothing is lost, the next time goes on.
            Fatal: the ledger is damaged.
        """
        for row in await self._db.fetch("SELECT name FROM leaving"):
            await self._remove(row["name"])
        # Whole days, so that a box that is restarted often does not write many small files.
        until = (now.astimezone(UTC) - self._keep).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        left = 0
        if name := await self._export(until):
            left = await self._remove(name)
        await self._delete_exports(now)
        await self._give_back()
        return left

    async def _export(self, until: datetime) -> str:
        """Write what is older into a file; return its name, empty where nothing is."""
        with history.Writer(self._folder) as file:
            first, used = until, set[int]()
            for table in _TABLES:
                async for rows in self._old(table, until):
                    first = min([first, *map(_day, rows)])
                    if table == "job":
                        ids = _list(row["id"] for row in rows)
                        answers = await self._db.fetch(_SQL["answers"], [ids])
                        await asyncio.to_thread(file.write, "answer", [dict(a) for a in answers])
                        used.update(answer["made"] for answer in answers if answer["made"])
                    await asyncio.to_thread(file.write, table, [_whole(row) for row in rows])
            # Behind all answers: several of them may share it.
            for some in _steps(sorted(used)):
                rows = list(map(_columns, await self._db.fetch(_SQL["made"], [_list(some)])))
                await asyncio.to_thread(file.write, "made", [_whole(row) for row in rows])
            if not file.rows:
                return ""
            await asyncio.to_thread(file.seal)
            name = history.free_name(self._folder, first.date(), until.date())
            # Before the file has its name: a crash behind that must find what to go on with.
            async with self._db.transaction() as db:
                await db.execute("INSERT OR IGNORE INTO leaving VALUES (?)", (name,))
            await asyncio.to_thread(file.publish, name)
        log.info("%d old rows of the ledger are kept in %s", file.rows, self._folder / name)
        return name

    async def _old(self, table: str, until: datetime) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the rows to leave, oldest first; ends at the first step where none is old."""
        after = 0
        while True:
            rows = await self._db.fetch(
                _SQL[f"window_{table}"], [after, until.timestamp(), stamp(until), _STEP]
            )
            if leaving := [_columns(row) for row in rows if row["leaves"]]:
                yield leaving
            if not any(row["old"] for row in rows):
                return
            after = rows[-1]["id"]
            await asyncio.sleep(0)

    async def _remove(self, name: str) -> int:
        """Remove the rows of a file from the ledger, as far as they are there; return how many."""
        path, removed = self._folder / name, 0
        if await asyncio.to_thread(self._is_whole, path):
            rows = history.read(path)
            while step := await asyncio.to_thread(_take, rows):
                async with self._db.transaction() as db:
                    for table, same in itertools.groupby(step, key=lambda row: str(row["table"])):
                        cursor = await db.executemany(_SQL[f"remove_{table}"], list(same))
                        removed += cursor.rowcount
                await asyncio.sleep(_PAUSE_S)  # whoever waits to commit goes first
        async with self._db.transaction() as db:
            await db.execute("DELETE FROM leaving WHERE name = ?", (name,))
        return removed

    def _is_whole(self, path: Path) -> bool:
        """Return whether a file is there and can be read; a damaged one is set aside.

        What it has and the ledger still has is written again.
        """
        if not path.is_file():
            return False
        try:
            history.verify(path)
        except Rejected as error:
            aside = history.set_aside(path)
            self._health.trouble("damaged history", f"{error}; it is set aside as {aside}")
            return False
        return True

    async def _delete_exports(self, now: datetime) -> None:
        if self._history_days:
            before = (now.astimezone(UTC) - timedelta(days=self._history_days)).date()
            for name in history.outdated((p.name for p in self._folder.glob("*.gz")), before):
                history.delete(self._folder / name)
                log.info("%s is older than history_days and was deleted", name)

    async def _give_back(self) -> None:
        """Return empty pages to the disk in small steps, then empty the write-ahead log."""
        left: int | None = None
        while (now_left := await self._db.shrink(_STEP)) and now_left != left:
            left = now_left
            await asyncio.sleep(_PAUSE_S)
        await self._db.checkpoint("TRUNCATE")


def _take(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(itertools.islice(rows, _STEP))


def _steps(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), _STEP):
        yield ids[begin : begin + _STEP]


def _list(ids: Iterable[int]) -> str:
    return f"[{','.join(map(str, ids))}]"


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a file has it: what was asked of the model can be read there."""
    return {**row, "request": unpacked(row["request"])} if "request" in row else row


def _columns(row: sqlite3.Row) -> dict[str, Any]:
    return {key: row[key] for key in row.keys() if key not in {"old", "leaves"}}  # noqa: SIM118


def _day(row: dict[str, Any]) -> datetime:
    if "received_at" in row:
        return datetime.fromtimestamp(row["received_at"], UTC)
    return datetime.fromisoformat(row["created"] if "request" in row else row["received"])
