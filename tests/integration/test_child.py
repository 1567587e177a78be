"""A program that is kept running: what becomes of it when it hangs, fails, or is ended."""

# ruff: noqa: ASYNC110  (a process tells no event)
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services import child
from services.child import Child, End
from services.runtime.errors import Fatal

pytestmark = pytest.mark.integration

SOON_S = 60.0
BEATS_S = 3.0
"""Watchdog of the probes, seconds: a busy machine may keep one from beating for a while."""
PROGRAM = """
import time
from services.runtime.notify import notify, watchdog_s
notify("READY=1", "STATUS=at work")
while True:
    notify("WATCHDOG=1")
    time.sleep(watchdog_s() / 4)
"""


class Story:
    """What was told, and how runs ended."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ends: list[End] = []
        self.more = asyncio.Event()

    def tell(self, line: str) -> None:
        self.told.append(line)
        self.more.set()

    async def until(self, words: str) -> None:
        async with asyncio.timeout(SOON_S):
            while not any(words in line for line in self.told):
                self.more.clear()
                await self.more.wait()


@asynccontextmanager
async def kept(code: str, story: Story, **options: Any) -> AsyncIterator[Child]:
    """A child that runs Python code, for the length of a block."""
    one = Child(
        "probe", [sys.executable, "-c", code], stop_within_s=5, tell=story.tell,
        after=story.ends.append, **options,
    )  # fmt: skip
    task = asyncio.create_task(one.keep())
    try:
        yield one
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def pid_of(one: Child, but: int = 0) -> int:
    async with asyncio.timeout(SOON_S):
        while one.pid in {None, but}:
            await asyncio.sleep(0.02)
    assert one.pid
    return one.pid


async def ready(one: Child) -> None:
    async with asyncio.timeout(SOON_S):
        while not one.ready:
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "RESTART_S", 0.05)


async def test_one_that_hangs_is_ended_and_started_again() -> None:
    story = Story()
    async with kept(PROGRAM, story, watchdog_s=BEATS_S) as one:
        first = await pid_of(one)
        await ready(one)
        await asyncio.sleep(2 * BEATS_S)  # it lives and beats
        assert one.pid == first
        os.kill(first, signal.SIGSTOP)
        await story.until("probe hung and was ended and is started again")
        assert story.told[0] == "probe gives no sign of life, its last word: at work"
        assert await pid_of(one, but=first) != first
    assert story.ends == [End(-signal.SIGKILL, ready=True, hung=True)]


async def test_one_that_never_begins_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "START_S", 0.5)
    story = Story()
    async with kept("import time; time.sleep(3600)", story, watchdog_s=BEATS_S):
        await story.until("hung")
    assert not story.ends[0].ready


async def test_one_that_fails_again_and_again_is_started_less_often() -> None:
    story = Story()
    async with kept("raise SystemExit(1)", story):
        await story.until("failed 6 times in a row")
    assert story.told[0] == "probe ended with code 1 and is started again"
    assert "failed 4 times in a row, see above; it is started again in" in story.told[3]


async def test_one_that_is_killed_at_work_is_started_at_once() -> None:
    story = Story()
    async with kept(PROGRAM, story, watchdog_s=BEATS_S) as one:
        pid = 0
        for round_ in range(1, 6):
            pid = await pid_of(one, but=pid)
            await ready(one)
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(SOON_S):
                while len(story.ends) < round_:
                    await asyncio.sleep(0.02)
    assert not any("in a row" in line for line in story.told)
    assert story.told[0] == "probe was ended by SIGKILL and is started again"


async def test_one_that_cannot_run_is_not_started_again() -> None:
    story = Story()
    one = Child(
        "probe", [sys.executable, "-c", "raise SystemExit(78)"], stop_within_s=5, tell=story.tell
    )
    with pytest.raises(Fatal, match="it cannot run like this"):
        await one.keep()
