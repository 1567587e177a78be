"""What comes while the orchestrator still starts is taken in when it has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import ANSWER
from services.orchestrator import service
from services.orchestrator.service import OrchestratorService
from services.runtime import salvage
from services.runtime.config import Config, Orchestrator
from services.runtime.fake_bus import FakeBroker, FakeBus
from tests.support.services import running

pytestmark = pytest.mark.integration

SOON_S = 60.0


async def test_a_fault_that_comes_while_the_ledger_is_mended_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very first start, too, when the broker knows no session of ours yet."""
    mending, mended = asyncio.Event(), asyncio.Event()

    async def slow(*given: Any) -> Any:
        mending.set()
        await mended.wait()
        return await salvage.mend(*given)

    monkeypatch.setattr(service, "mend", slow)
    config = Config(data=str(tmp_path), orchestrator=Orchestrator(deadline_s=1.0))
    broker = FakeBroker()

    async def report() -> None:
        await mending.wait()
        await bus.publish("plant/m1/fault", b"E005")
        mended.set()

    async with FakeBus(broker, "plc", reply_topic="t/reply/plc") as bus:
        answers = await bus.consume(ANSWER.filter(DEFAULT_PREFIX))
        reporting = asyncio.create_task(report())
        async with asyncio.timeout(SOON_S), running(broker, OrchestratorService(config), config):
            delivery = await answers.get()
        await reporting
    assert delivery.topic == "andon/answer/plant/m1"
