"""The bridge as a process of its own, on a real broker."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import yaml

from schemas.channel import DEFAULT_PREFIX
from schemas.channels import GENERATE, STATUS
from schemas.generation import Generated
from schemas.health import ServiceStatus
from services.runtime.address import BrokerAddress
from services.runtime.bus import Bus
from services.runtime.errors import Unavailable
from services.runtime.messages import Inbox
from services.runtime.mqtt import MqttBus
from services.runtime.rpc import Caller
from tests.support.bridge import request
from tests.support.llama import llama_process
from tests.support.mosquitto import Mosquitto
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
TOPIC = STATUS.topic(DEFAULT_PREFIX, service="llm_bridge")


@asynccontextmanager
async def running(
    folder: Path, url: str
) -> AsyncIterator[tuple[subprocess.Popen[bytes], Bus, Inbox]]:
    """A broker, the bridge's process, and a client that hears its status."""
    with Mosquitto(folder / "broker") as broker:
        config = folder / "config.yaml"
        plain = {"broker": {"url": broker.url}, "llm_bridge": {"url": url}, "status_every_s": 0.2}
        config.write_text(yaml.safe_dump(plain))
        async with MqttBus(
            BrokerAddress.from_url(broker.url), "tester", reply_topic="t/reply/tester"
        ) as bus:
            await bus.wait_connected(60)
            inbox = await bus.consume(TOPIC)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.llm_bridge", "--config", config, cwd=ROOT
            )
            try:
                yield process, bus, inbox
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


async def status(bus: Bus, inbox: Inbox, *states: str) -> ServiceStatus:
    """Wait for a status with one of these states."""
    async with asyncio.timeout(60):
        while True:
            delivery = await inbox.get()
            bus.ack(delivery)
            found: ServiceStatus = STATUS.decode(delivery.payload)
            if found.state in states:
                return found


async def test_from_start_to_stop_with_a_model(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    with llama_process(model) as server:
        async with running(tmp_path, server.url) as (process, bus, inbox):
            ready = await status(bus, inbox, "ready")
            assert ready.facts["model"] == "tiny"
            assert ready.pid == process.pid
            assert 0 < ready.memory_mb < ready.budget_mb
            stream = Caller(bus, DEFAULT_PREFIX).stream(
                GENERATE, request(max_tokens=1536), deadline_s=240
            )
            async with aclosing(stream) as pieces:
                found = [piece async for piece in pieces]
            assert isinstance(found[-1], Generated)
            assert len(found) > 1
            assert found[-1].model == "tiny"
            process.send_signal(signal.SIGTERM)
            await status(bus, inbox, "offline")
            async with asyncio.timeout(60):
                assert await process.wait() == 0


async def test_with_no_model_it_is_ready_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, "") as (_, bus, inbox):
        ready = await status(bus, inbox, "ready", "degraded")
        assert ready.state == "ready"
        assert ready.facts["model"] == ""
        assert "passages alone" in str(ready.facts["note"])
        stream = Caller(bus, DEFAULT_PREFIX).stream(GENERATE, request(), deadline_s=30)
        async with aclosing(stream) as pieces:
            with pytest.raises(Unavailable, match="no language model is configured"):
                await anext(pieces)


def test_it_imports_only_what_it_uses() -> None:
    code = (
        "import sys, services.llm_bridge.service, services.runtime.process, services.runtime.mqtt;"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    assert "aiohttp" in loaded
    unwanted = {
        "aiohttp.web", "aiosqlite", "sqlite3", "numpy", "hnswlib", "onnxruntime", "tokenizers",
        "torch", "unstructured", "pdfplumber", "xllamacpp",
        "services.ingest", "services.orchestrator", "services.retriever",
    }  # fmt: skip
    assert loaded & unwanted == set()
