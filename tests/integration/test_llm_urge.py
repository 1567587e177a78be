"""A request to the bridge becomes more urgent, or is not wanted any more."""

from __future__ import annotations

import asyncio

import pytest

from schemas.channels import URGE
from schemas.generation import Urge, Urged
from services.runtime.config import Bridge
from tests.support.bridge import Served, bridge, request
from tests.support.llama_stand_in import stand_in

pytestmark = pytest.mark.integration


async def urge(served: Served, name: str, priority: object) -> bool:
    told: Urged = await served.caller.call(
        URGE,
        Urge(id=name, priority=priority),
        deadline_s=60,  # type: ignore[arg-type]
    )
    return told.known


async def test_what_became_urgent_is_written_next() -> None:
    with stand_in() as llama:
        llama.may.clear()
        async with bridge(Bridge(url=llama.url, slots=1, cut_off=False)) as served:
            asked = []
            for name in "abc":
                one = request(f"What is {name}?", id=name, priority="advice")
                asked.append(asyncio.create_task(served.ask(one)))
                await served.until(in_flight=1, queued=len(asked) - 1)
            assert await urge(served, "c", "critical")
            assert not await urge(served, "nobody", "critical")
            llama.may.set()
            await asyncio.gather(*asked)
        order = [next(n for n in "abc" if f"What is {n}?" in p) for p in llama.prompts]
        assert order == ["a", "c", "b"]


async def test_what_nobody_wants_is_not_written_on() -> None:
    with stand_in() as llama:
        llama.may.clear()
        async with bridge(Bridge(url=llama.url, slots=1)) as served:
            asked = [asyncio.create_task(served.ask(request(id=name))) for name in "ab"]
            await served.until(in_flight=1, queued=1)
            assert await asyncio.to_thread(llama.began.wait, 60)
            assert await urge(served, "a", None)
            assert await asyncio.to_thread(llama.left.wait, 60)
            llama.may.set()
            await asked[1]
            await served.until(in_flight=0, queued=0)
            assert not await urge(served, "a", None)
            asked[0].cancel()
            await asyncio.gather(*asked, return_exceptions=True)
