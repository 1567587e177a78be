"""The bridge's service when there is no model, or one that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from schemas.channels import GENERATE
from schemas.faults import Priority
from schemas.generation import Generated
from services.runtime.config import Bridge
from services.runtime.errors import DeadlineExceeded, Fatal, Retryable, Unavailable
from tests.support.bridge import Served, bridge, request
from tests.support.hanging import PROPS, Hanging
from tests.support.http_server import http_server

pytestmark = pytest.mark.faults


@asynccontextmanager
async def hanging(**more: Any) -> AsyncIterator[tuple[Hanging, Served]]:
    server = Hanging()
    async with (
        http_server(server) as url,
        bridge(Bridge(url=url, api="completion", **more)) as served,
    ):
        yield server, served


async def test_no_model_configured_refuses_at_once_and_is_well() -> None:
    async with bridge(Bridge()) as served:
        with pytest.raises(Unavailable, match="no language model is configured"):
            await served.ask(request())
        assert served.health.reason == ""
        assert served.health.facts["model"] == ""
        assert "passages alone" in str(served.health.facts["note"])


async def test_a_wrong_address_stops_the_process() -> None:
    with pytest.raises(Fatal, match=r"llm_bridge\.url"):
        async with bridge(Bridge(url="localhost")):
            pass


async def test_a_loading_model_is_waited_for() -> None:
    loading = True

    async def handler(asked: web.Request) -> web.StreamResponse:
        if loading:
            return web.json_response({"error": {"message": "Loading model"}}, status=503)
        return web.json_response(PROPS)

    async with http_server(handler) as url, bridge(Bridge(url=url)) as served:
        assert "still loading" in served.health.reason
        with pytest.raises(Retryable, match="still loading"):
            await served.ask(request())
        loading = False
        await served.until(model="slow", reachable=True)
        await served.well()


async def test_urgent_requests_overtake_and_the_rest_wait() -> None:
    async with hanging(cut_off=False) as (server, served):
        order: list[tuple[str, Priority]] = [
            ("first", "advice"), ("second", "advice"), ("third", "warning"), ("fourth", "critical"),
        ]  # fmt: skip
        asking = []
        for queued, (question, priority) in enumerate(order):
            asked = request(question, id=question, priority=priority)
            asking.append(asyncio.create_task(served.ask(asked)))
            await served.until(in_flight=1, queued=queued)
        for _ in order:
            server.go.release()
        answers = await asyncio.gather(*asking)
        assert server.questions == ["first", "fourth", "third", "second"]
        assert {answer.summary for _, answer in answers} == {"ok"}


async def test_the_deadline_ends_the_work_and_frees_the_slot() -> None:
    async with hanging() as (server, served):
        # Long enough to reach the model.
        with pytest.raises(DeadlineExceeded):
            await served.ask(request("late"), deadline_s=4)
        async with asyncio.timeout(60):
            await server.left.wait()
        await served.until(in_flight=0)
        server.go.release()
        _, answer = await served.ask(request("next"))
        assert answer.summary == "ok"
        assert server.questions == ["late", "next"]


async def test_a_request_whose_deadline_is_over_in_the_queue_never_reaches_the_model() -> None:
    async with hanging() as (server, served):
        first = asyncio.create_task(served.ask(request("first")))
        await served.until(in_flight=1)
        with pytest.raises(DeadlineExceeded):
            await served.ask(request("never"), deadline_s=0.3)
        await served.until(queued=0)
        server.go.release()
        await first
        assert server.questions == ["first"]


async def test_a_model_that_stands_still_is_left() -> None:
    async with hanging(token_timeout_s=3) as (server, served):
        with pytest.raises(DeadlineExceeded, match="token_timeout_s"):
            await served.ask(request("still"))
        await served.until(in_flight=0)
        async with asyncio.timeout(60):
            await server.left.wait()


async def test_stopping_does_not_wait_for_what_nobody_waits_for() -> None:
    async with hanging() as (server, served):
        night = asyncio.create_task(served.ask(request("night", background=True)))
        await served.until(in_flight=1)
        served.stopping.set()
        with pytest.raises(Unavailable, match="stopping"):
            await night
        await served.until(in_flight=0)
        server.go.release()


async def test_stopping_finishes_what_is_begun_and_refuses_what_waits() -> None:
    async with hanging() as (server, served):
        first = asyncio.create_task(served.ask(request("first")))
        await served.until(in_flight=1)
        second = asyncio.create_task(served.ask(request("second")))
        await served.until(queued=1)
        served.stopping.set()
        server.go.release()
        assert (await first)[1].summary == "ok"
        with pytest.raises(Unavailable, match="stopping"):
            await second
        assert server.questions == ["first"]


async def test_an_advice_makes_room_for_a_critical_one_and_is_not_told_twice() -> None:
    async with hanging() as (server, served):
        pieces: list[str] = []

        async def read() -> Generated:
            asked = request("advice", id="advice", priority="advice")
            async with aclosing(served.caller.stream(GENERATE, asked, deadline_s=240)) as stream:
                async for piece in stream:
                    if isinstance(piece, Generated):
                        return piece
                    pieces.append(piece.text)
            raise AssertionError

        reading = asyncio.create_task(read())
        await served.until(in_flight=1)
        while server.questions != ["advice"]:  # noqa: ASYNC110  a plain list
            await asyncio.sleep(0.002)
        critical = asyncio.create_task(
            served.ask(request("critical", id="critical", priority="critical"))
        )
        async with asyncio.timeout(60):
            await server.left.wait()
        await served.until(queued_advice=1, in_flight=1, queued_critical=0)
        server.go.release()
        assert (await critical)[1].summary == "ok"
        server.go.release()
        assert (await reading).summary == "ok"
        assert "".join(pieces) == "ok"
        assert server.questions == ["advice", "critical", "advice"]


async def test_background_ones_make_room_and_wait_for_the_others() -> None:
    async with hanging() as (server, served):
        night = asyncio.create_task(served.ask(request("night", id="night", background=True)))
        await served.until(in_flight=1)
        while server.questions != ["night"]:  # noqa: ASYNC110  a plain list
            await asyncio.sleep(0.002)
        live = asyncio.create_task(served.ask(request("live", id="live", priority="advice")))
        await served.until(queued_background=1, in_flight=1)
        server.go.release()
        assert (await live)[1].summary == "ok"
        server.go.release()
        assert (await night)[1].summary == "ok"
        assert server.questions == ["night", "live", "night"]
