"""When ingest ends by itself: nothing in work, nobody asks, and no trouble."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.ingest.resting import rest
from services.runtime.process import Health

pytestmark = pytest.mark.unit

_IDLE_S = 0.2
_LOOKS = 30


def _context() -> Any:
    server = SimpleNamespace(busy=False, asked_at=0.0)
    return SimpleNamespace(server=server, health=Health(), stopping=asyncio.Event())


async def _quiet() -> bool:
    return True


async def test_it_ends_and_says_that_this_is_no_failure() -> None:
    context = _context()
    await rest(context, _IDLE_S, _quiet)
    assert context.stopping.is_set()
    assert context.health.farewell
    assert context.health.facts == {"resting": True}


async def test_it_does_not_end_while_a_document_is_in_work() -> None:
    context = _context()
    looks = 0

    async def quiet() -> bool:
        nonlocal looks
        looks += 1
        assert not context.stopping.is_set()
        return looks > _LOOKS

    await rest(context, _IDLE_S, quiet)
    assert looks > _LOOKS


@pytest.mark.parametrize("why", ["busy", "asked", "trouble"])
async def test_nor_while_somebody_asks_or_something_is_missing(why: str) -> None:
    context = _context()
    looks = 0

    async def quiet() -> bool:
        return True

    def keep() -> None:
        nonlocal looks
        looks += 1
        over = looks > _LOOKS
        match why:
            case "busy":
                context.server.busy = not over
            case "asked" if not over:
                context.server.asked_at = asyncio.get_running_loop().time()
            case "trouble" if not over:
                context.health.trouble("disk", "full")
            case "trouble":
                context.health.well("disk")
        assert over or not context.stopping.is_set()

    async def keeping() -> None:
        while looks <= _LOOKS:
            keep()
            await asyncio.sleep(_IDLE_S / 20)

    task = asyncio.create_task(keeping())
    await asyncio.sleep(0)
    await rest(context, _IDLE_S, quiet)
    assert looks > _LOOKS
    await task
