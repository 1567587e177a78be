"""The bridge, as the orchestrator asks it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import URGE
from services.orchestrator.asking import Asking
from services.runtime.errors import Retryable
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.rpc import Caller, Server

pytestmark = pytest.mark.integration


async def urged(asking: Asking) -> None:
    """Urge, and wait until that is over."""
    asking.urge("a1", None)
    await asyncio.gather(*asking._urging)


async def test_a_bridge_that_ended_before_us_is_nothing_to_tell_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def refuses(_: object) -> None:
        raise Retryable("urge", "no")

    broker = FakeBroker()
    async with (
        FakeBus(broker, "orchestrator", reply_topic="t/reply/orchestrator") as bus,
        FakeBus(broker, "llm_bridge", reply_topic="t/reply/llm_bridge") as bridge,
        asyncio.TaskGroup() as tasks,
    ):
        asking = Asking(Caller(bus, DEFAULT_PREFIX))
        await urged(asking)
        assert caplog.messages == []
        server = Server(bridge, DEFAULT_PREFIX, tasks)
        before = asyncio.all_tasks()
        await server.serve(URGE, refuses)
        await urged(asking)
        assert any("the bridge does not know that a1 changed" in one for one in caplog.messages)
        for task in asyncio.all_tasks() - before:
            task.cancel()
