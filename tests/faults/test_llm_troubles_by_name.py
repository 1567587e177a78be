"""Every trouble of the model's server, by its name: told clearly, tried again, then spared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.runtime.config import Bridge
from services.runtime.errors import AndonError, Unavailable
from tests.support.bridge import Served, bridge, request
from tests.support.hostile import TROUBLES, Hostile, hostile

pytestmark = pytest.mark.faults

ONCE_MORE = {"out_of_memory", "dies", "cut_off", "huge_error", "deep_error"}
"""What another try may help against."""


@asynccontextmanager
async def beside(**more: Any) -> AsyncIterator[tuple[Hostile, Served]]:
    async with (
        hostile() as server,
        bridge(Bridge(url=server.url, token_timeout_s=0.5, **more)) as served,
    ):
        await served.until(model="hostile")
        yield server, served


async def good(served: Served) -> None:
    _, answer = await served.ask(request())
    assert answer.model == "hostile"
    assert answer.causes


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_it_is_told_by_name_and_the_next_answer_is_good(trouble: str) -> None:
    async with beside() as (server, served):
        server.trouble = trouble
        with pytest.raises(AndonError, match=TROUBLES[trouble]) as caught:
            await served.ask(request())
        assert len(caught.value.reason) < 500
        await served.until(in_flight=0)
        server.trouble = ""
        await served.until(model="hostile")
        await good(served)
        assert server.elsewhere == 0


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_one_that_may_pass_is_tried_again(trouble: str) -> None:
    async with beside() as (server, served):
        server.trouble, server.times = trouble, 1
        if trouble in ONCE_MORE:
            await good(served)
            assert server.asked == 2
        elif trouble in {"wrong_schema", "no_json", "endless", "endless_line", "not_utf8"}:
            await good(served)  # the model's own second try, at once
            assert server.asked == 2
        elif trouble != "loading":
            with pytest.raises(AndonError, match=TROUBLES[trouble]):
                await served.ask(request())
            assert server.asked == 1


async def test_a_model_that_fails_is_spared_and_tried_again() -> None:
    async with beside() as (server, served):
        server.trouble = "no_json"
        for number in range(3):
            assert served.health.facts["breaker"] == "closed", number
            with pytest.raises(AndonError, match="form asked for"):
                await served.ask(request())
        await served.until(breaker="open")
        assert "several times in a row" in served.health.reason
        asked = server.asked
        for _ in range(20):
            with pytest.raises(Unavailable, match="several times in a row"):
                await served.ask(request())
        assert server.asked == asked
        await served.until(breaker="probing")
        await served.well()  # so that it is asked again
        server.trouble = ""
        await good(served)
        await served.until(breaker="closed")


async def test_those_that_wait_are_told_when_it_opens() -> None:
    async with beside() as (server, served):
        server.trouble = "half_open"
        asking = [asyncio.create_task(served.ask(request(id=f"a{number}"))) for number in range(12)]
        done = await asyncio.gather(*asking, return_exceptions=True)
        spared = ["several times in a row" in str(error) for error in done]
        assert spared == [False] * 3 + [True] * 9
        assert server.asked == 3
        await served.until(queued=0, in_flight=0)


async def test_a_server_that_comes_back_is_tried_at_once() -> None:
    async with beside() as (server, served):
        server.trouble = "no_json"
        for _ in range(3):
            with pytest.raises(AndonError):
                await served.ask(request())
        await served.until(breaker="open")
        server.trouble = "loading"
        await served.until(model="")
        server.trouble = ""
        await served.until(model="hostile", breaker="probing")
        await good(served)
