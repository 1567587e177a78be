"""A service from start to stop, as systemd and the broker see it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.channel import Rpc
from schemas.channels import STATUS
from schemas.health import ServiceStatus
from services.client import connected
from services.runtime.bus import Bus
from services.runtime.config import Broker, Config
from services.runtime.errors import DeadlineExceeded, Rejected, Retryable, Unavailable
from services.runtime.messages import Inbox
from services.runtime.rpc import Caller
from tests.support.mosquitto import Mosquitto
from tests.support.probe_service import COUNT, DOUBLE, INNER, Number

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SOON_S = 60.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def config_of(broker: Mosquitto) -> Config:
    return Config(broker=Broker(url=broker.url))


@asynccontextmanager
async def probe(
    broker: Mosquitto, tmp_path: Path, mode: str = "", extra: str = "", **env: str
) -> AsyncIterator[Process]:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"broker: {{url: '{broker.url}'}}\nstatus_every_s: 0.3\nstop_within_s: 1\n{extra}"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.probe_service", "--config", str(file)),
        cwd=ROOT,
        env={**os.environ, "PROBE": mode, **env},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def until(inbox: Inbox, bus: Bus, wanted: Callable[[ServiceStatus], bool]) -> ServiceStatus:
    async with asyncio.timeout(SOON_S):
        while True:
            delivery = await inbox.get()
            bus.ack(delivery)
            status: ServiceStatus = STATUS.decode(delivery.payload)
            if wanted(status):
                return status


async def finished(process: Process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), SOON_S)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_ready_then_stopped_and_the_status_says_so(broker: Mosquitto, tmp_path: Path) -> None:
    async with connected(config_of(broker)) as bus, probe(broker, tmp_path) as process:
        inbox = await bus.consume(STATUS.filter())
        ready = await until(inbox, bus, lambda s: s.state == "ready")
        assert ready.pid == process.pid
        assert ready.facts == {"answer": 42}
        assert 5 < ready.memory_mb < ready.budget_mb
        process.send_signal(signal.SIGTERM)
        await until(inbox, bus, lambda s: s.state == "stopping")
        gone = await until(inbox, bus, lambda s: s.state == "offline")
        assert (gone.pid, gone.memory_mb) == (0, 0.0)
        code, out, _ = await finished(process)
        assert (code, out) == (0, "drained\nclosed\n")


async def test_a_long_start_is_in_the_status(broker: Mosquitto, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    async with (
        connected(config_of(broker)) as bus,
        probe(broker, tmp_path, "slow", PROBE_HOLD=str(hold)) as process,
    ):
        inbox = await bus.consume(STATUS.filter())
        early = await until(inbox, bus, lambda s: s.state != "offline")
        assert (early.state, early.reason) == ("starting", "probe.db is being repaired")
        assert early.pid == process.pid
        await asyncio.to_thread(hold.write_text, "go")
        ready = await until(inbox, bus, lambda s: s.state == "ready")
        assert ready.reason == ""


async def test_why_a_process_ended_stays_in_the_status(broker: Mosquitto, tmp_path: Path) -> None:
    async with connected(config_of(broker)) as bus:
        inbox = await bus.consume(STATUS.filter())
        async with probe(broker, tmp_path, "fatal") as process:
            await finished(process)
        gone = await until(inbox, bus, lambda s: s.state == "offline")
    assert gone.reason == "the process ended: open probe.db: it is damaged (set it aside)"


async def test_the_will_speaks_for_a_killed_process(broker: Mosquitto, tmp_path: Path) -> None:
    async with connected(config_of(broker)) as bus, probe(broker, tmp_path) as process:
        inbox = await bus.consume(STATUS.filter())
        await until(inbox, bus, lambda s: s.state == "ready")
        process.kill()
        await until(inbox, bus, lambda s: s.state == "offline")


async def test_draining_is_cut_off_and_files_are_closed_all_the_same(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with connected(config_of(broker)) as bus, probe(broker, tmp_path, "hang") as process:
        inbox = await bus.consume(STATUS.filter())
        await until(inbox, bus, lambda s: s.state == "ready")
        process.terminate()
        code, out, err = await finished(process)
        assert (code, out) == (0, "drained\nclosed\n")
        assert "not everything was finished" in err


async def test_a_task_that_breaks_ends_the_process_with_its_reason(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with probe(broker, tmp_path, "fail") as process:
        code, out, err = await finished(process)
    assert code == 1
    assert "the task broke" in err
    assert "closed" in out


@pytest.mark.parametrize("inner", INNER)
async def test_a_part_of_the_bus_that_breaks_ends_the_process_with_its_reason(
    broker: Mosquitto, tmp_path: Path, inner: str
) -> None:
    async with connected(config_of(broker)) as bus, probe(broker, tmp_path, inner) as process:
        ended = asyncio.create_task(finished(process))
        while not ended.done():
            with contextlib.suppress(Retryable):
                await Caller(bus, "andon").call(DOUBLE, Number(0), deadline_s=0.3)
            await asyncio.sleep(0.05)
        code, out, err = await ended
    assert code == 1
    assert "ZeroDivisionError: broken on purpose" in err
    assert "CRITICAL" in err
    assert out.endswith("closed\n")


async def test_what_cannot_be_mended_by_a_restart_has_its_own_exit_code(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with probe(broker, tmp_path, "fatal") as process:
        code, _, err = await finished(process)
    assert code == os.EX_CONFIG
    assert "open probe.db: it is damaged (set it aside)" in err
    assert "Traceback" not in err
    async with probe(broker, tmp_path, extra="ingets: {}\n") as process:
        code, _, err = await finished(process)
    assert code == os.EX_CONFIG
    assert "did you mean `ingest`" in err


async def test_a_broker_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    async with probe(broker, tmp_path) as process:
        await asyncio.sleep(1.0)
        assert process.returncode is None
        await broker.in_thread("start")
        try:
            async with connected(config_of(broker)) as bus:
                inbox = await bus.consume(STATUS.filter())
                await until(inbox, bus, lambda s: s.state == "ready")
        finally:
            await broker.in_thread("stop")


async def test_systemd_is_told_of_readiness_and_life(broker: Mosquitto, tmp_path: Path) -> None:
    path = tmp_path / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)
        loop = asyncio.get_running_loop()

        async def told(word: str) -> None:
            async with asyncio.timeout(SOON_S):
                while word not in (await loop.sock_recv(listener, 4096)).decode():
                    pass

        env: dict[str, Any] = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "300000"}
        async with probe(broker, tmp_path, **env) as process:
            await told("READY=1")
            await told("WATCHDOG=1")
            await told("WATCHDOG=1")
            process.terminate()
            await told("STOPPING=1")


async def test_nobody_waits_for_the_reply_of_a_killed_process(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with connected(config_of(broker)) as bus, probe(broker, tmp_path) as process:
        inbox = await bus.consume(STATUS.topic("andon", service="ingest"))
        await until(inbox, bus, lambda s: s.state == "ready")
        caller = Caller(bus, "andon")
        watching = asyncio.create_task(caller.watch())
        asked = asyncio.create_task(caller.call(DOUBLE, Number(3_000_000), deadline_s=3600))
        # It came behind the first one.
        assert await caller.call(DOUBLE, Number(0), deadline_s=SOON_S) == Number(0)
        assert not asked.done()
        process.kill()
        with pytest.raises(Unavailable, match="ended before it replied"):
            await asyncio.wait_for(asked, SOON_S)
        watching.cancel()


async def test_requests_replies_streams_and_refusals(broker: Mosquitto, tmp_path: Path) -> None:
    async with connected(config_of(broker)) as bus, probe(broker, tmp_path) as process:
        inbox = await bus.consume(STATUS.filter())
        caller = Caller(bus, "andon")
        with pytest.raises(Unavailable):
            await caller.call(
                Rpc("ingest", "nobody", Number, Number, "Nobody answers."),
                Number(1),
                deadline_s=SOON_S,
            )
        await until(inbox, bus, lambda s: s.state == "ready")
        assert await caller.call(DOUBLE, Number(21), deadline_s=SOON_S) == Number(42)
        many = [caller.call(DOUBLE, Number(n), deadline_s=SOON_S) for n in range(50)]
        many = [m for n, m in enumerate(many) if n != 13 or m.close()]
        assert [n.value for n in await asyncio.gather(*many)] == [
            2 * n for n in range(50) if n != 13
        ]
        pieces = [p.delta async for p in caller.stream(COUNT, Number(5), deadline_s=SOON_S)]
        assert pieces == ["0", "1", "2", "3", "4"]
        with pytest.raises(Rejected, match="no negative numbers") as refused:
            await caller.call(DOUBLE, Number(-1), deadline_s=SOON_S)
        assert refused.value.hint == "ask for another"
        with pytest.raises(Retryable, match="unlucky"):
            await caller.call(DOUBLE, Number(13), deadline_s=SOON_S)
        with pytest.raises(DeadlineExceeded):
            await caller.call(DOUBLE, Number(60_000), deadline_s=1)
        untyped = Rpc("ingest", "double", dict, Number, "Whatever the caller likes.")
        with pytest.raises(Rejected, match="value"):
            await caller.call(untyped, {"value": "three"}, deadline_s=SOON_S)
        assert process.returncode is None
