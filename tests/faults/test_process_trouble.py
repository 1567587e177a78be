"""A process hangs, is ended in mid-stream, or its clock jumps: nothing is lost, nothing loops."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.andon import ROOT, Andon, listening
from tests.support.knowing import Knowing
from tests.support.llama import llama_process
from tests.support.mosquitto import Mosquitto
from tests.support.recorder import Recorder
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.faults

SOON_S = 60.0
HOUR_S = 3600
BEAT_S = 0.3


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


# -- a hang, as systemd sees it -----------------------------------------------------------------


async def test_a_blocked_loop_stops_beating_so_that_systemd_ends_the_process(
    tmp_path: Path,
) -> None:
    fifo = tmp_path / "hold"
    os.mkfifo(fifo)
    config = tmp_path / "config.yaml"
    loop = asyncio.get_running_loop()
    with (
        Mosquitto(tmp_path / "broker") as broker,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        listener.bind(str(tmp_path / "notify.sock"))
        listener.setblocking(False)
        config.write_text(f"broker: {{url: '{broker.url}'}}\n")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.probe_service", "--config", str(config)),
            cwd=ROOT,
            env={
                **os.environ,
                "PROBE": "block",
                "PROBE_HOLD": str(fifo),
                "NOTIFY_SOCKET": str(tmp_path / "notify.sock"),
                "WATCHDOG_USEC": str(int(BEAT_S * 1e6)),
            },
            stdout=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(SOON_S):
                while b"WATCHDOG=1" not in await loop.sock_recv(listener, 4096):
                    pass
                assert process.stdout
                while await process.stdout.readline() != b"blocks\n":
                    pass
                pending = True
                while pending:  # what it said before
                    try:
                        listener.recv(4096)
                    except BlockingIOError:
                        pending = False
                await asyncio.sleep(4 * BEAT_S)
                with pytest.raises(BlockingIOError):
                    listener.recv(4096)
                fifo.write_text("go")
                while b"WATCHDOG=1" not in await loop.sock_recv(listener, 4096):
                    pass
        finally:
            process.kill()
            await process.communicate()


def test_a_service_that_hangs_is_ended_and_its_work_goes_on(tmp_path: Path) -> None:
    with Andon(tmp_path, "watchdog_s: 6\nstatus_every_s: 1\n") as andon:
        hung = processes.wait_for(andon.up_pid, "orchestrator")
        processes.send(hung, signal.SIGSTOP)
        with listening(andon.port, "andon/answer/plant/m1") as client:
            client.publish("plant/m1/fault", "E005")
            assert client.answer()["code"] == "E005"
        assert processes.wait_for(andon.up_pid, "orchestrator", but=hung)
        assert "orchestrator gives no sign of life" in andon.said()
    assert " orchestrator services." in andon.said()
    assert andon.exit_code == 0


# -- a part of it breaks ------------------------------------------------------------------------

_BREAK = """
import sys
from pathlib import Path

if "services.retriever" in sys.orig_argv:
    from services.runtime.link import Link

    tick, told = Link.tick, Path({told!r})

    def broken(link):
        if told.exists():
            told.unlink()
            raise ZeroDivisionError("broken on purpose")
        tick(link)

    Link.tick = broken
"""


def test_a_bus_that_breaks_ends_its_service_and_the_next_one_serves(tmp_path: Path) -> None:
    told = tmp_path / "break"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_BREAK.format(told=str(told)))
    path = f"{site}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    with Andon(tmp_path, "status_every_s: 1\n", PYTHONPATH=path) as running:
        old = running.pid("retriever")
        told.touch()
        following = processes.wait_for(running.up_pid, "retriever", but=old)
        until(lambda: running.pid("retriever") == following, "it is ready")
        assert running.cli("search", "E005").returncode == 0
        said = running.said()
    assert "ZeroDivisionError: broken on purpose" in said
    assert "retriever ended with code 1 and is started again" in said


# -- in mid-stream ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory, knowing: Knowing) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("with-model")
    model = folder / "tiny.gguf"
    write_tiny_gguf(model)
    with llama_process(model, context=8192) as server:
        config = (
            f"llm_bridge: {{url: '{server.url}', api: completion, temperature: 0}}\n"
            "status_every_s: 1\nstop_within_s: 2\norchestrator: {deadline_s: 20, reuse_s: 0}\n"
        )
        knowing(folder)
        with Andon(folder, config) as running:
            yield running


@pytest.mark.parametrize(
    ("service", "sent"),
    [
        ("orchestrator", signal.SIGTERM),
        ("orchestrator", signal.SIGKILL),
        ("llm_bridge", signal.SIGTERM),
        ("llm_bridge", signal.SIGKILL),
    ],
)
def test_ended_in_mid_stream_the_answer_is_final_and_the_stream_ends(
    andon: Andon, service: str, sent: signal.Signals
) -> None:
    until(lambda: andon.cli("status").returncode == 0, "all are ready, the model too")
    victim = processes.wait_for(andon.up_pid, service)
    place = f"plant/{service}{sent.value}"
    got: list[dict[str, Any]] = []
    with listening(andon.port, f"andon/answer/{place}", f"andon/stream/{place}") as client:
        client.publish(f"{place}/fault", {"code": "E005"})
        struck = False
        while not (got and got[-1].get("stage") == "final"):
            got.append(json.loads(client.next().payload))
            if "delta" in got[-1] and not struck:
                processes.send(victim, sent)
                struck = True
        pieces = [one for one in got if "delta" in one]
        answers = [one for one in got if "stage" in one]
        assert struck
        assert {one["id"] for one in answers} == {one["answer_id"] for one in pieces}
        assert len({one["id"] for one in answers}) == 1
        # The random model's words do not stand on the manual: what that says goes along.
        assert answers[-1]["grounded"] is False
        assert answers[-1]["extract"]["causes"]
        assert pieces[-1]["done"]


# -- the clock jumps ----------------------------------------------------------------------------


class Alone:
    """An orchestrator whose clock can be set, and nobody who searches for it."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        self._folder = folder
        self._offset = folder / "offset"
        self.jump(0)
        config = folder / "alone.yaml"
        config.write_text(
            f"data: {folder}\nbroker: {{url: '{broker.url}'}}\nstatus_every_s: 0.5\n"
            "orchestrator: {deadline_s: 3, lease_s: 1.5}\n"
        )
        self._command = [sys.executable, "-m", "tests.support.shifted", "orchestrator"]
        self._command += [str(self._offset), "--config", str(config)]
        self._process: subprocess.Popen[bytes] | None = None

    def jump(self, seconds: float) -> None:
        """Set the clock to be so much off."""
        new = self._offset.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._offset)

    def start(self) -> None:
        with (self._folder / "alone.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)

    def end(self, sent: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process:
            process.send_signal(sent)
            process.wait(SOON_S)

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._folder / "ledger.db", timeout=SOON_S)) as db:
            return db.execute(query, values).fetchall()

    def log(self) -> str:
        return (self._folder / "alone.log").read_text(encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Alone, Mosquitto, Recorder]]:
    with Mosquitto(tmp_path / "broker", persistence=True) as broker:
        topics = ("andon/status/orchestrator", "andon/answer/#")
        recorder = Recorder(broker.port, "watcher", *topics)
        alone = Alone(broker, tmp_path)
        alone.start()
        try:
            until(lambda: any(b'"ready"' in one.payload for one in recorder.heard), "ready")
            yield alone, broker, recorder
        finally:
            alone.end()
            recorder.close()
    assert "Traceback" not in alone.log()


def finals(recorder: Recorder, asset: str) -> list[str]:
    """Ids of the final answers of an asset that came over the wire."""
    told = [json.loads(one.payload) for one in recorder.heard if one.topic.endswith(asset)]
    return [one["id"] for one in told if one["stage"] == "final"]


@pytest.mark.parametrize("step", [HOUR_S, -HOUR_S], ids=["forward", "back"])
def test_a_clock_set_while_a_job_waits_neither_loses_nor_repeats_it(
    world: tuple[Alone, Mosquitto, Recorder], step: int
) -> None:
    alone, broker, recorder = world
    working = "SELECT 1 FROM job WHERE state = 'working' AND place = ?"
    with listening(broker.port) as plc:
        plc.publish("plant/m1/fault", {"code": "E001"})
        until(lambda: alone.rows(working, "plant/m1"), "it is being worked on")
        alone.jump(step)
        plc.publish("plant/m2/fault", {"code": "E002"})
        until(lambda: finals(recorder, "/m1"), "what was in work is answered")
        until(lambda: finals(recorder, "/m2"), "what came after the jump is answered")
        alone.jump(0)
        plc.publish("plant/m3/fault", {"code": "E003"})
        until(lambda: finals(recorder, "/m3"), "what came after the jump back is answered")
    for asset in ("/m1", "/m2", "/m3"):
        assert len(set(finals(recorder, asset))) == 1
    assert alone.rows("SELECT count(*) FROM job WHERE state <> 'done'") == [(0,)]
    assert max(n for (n,) in alone.rows("SELECT attempts FROM job")) <= 3


@pytest.mark.parametrize("step", [HOUR_S, -HOUR_S], ids=["forward", "back"])
def test_a_clock_set_while_nobody_runs_loses_no_job(
    world: tuple[Alone, Mosquitto, Recorder], step: int
) -> None:
    alone, broker, recorder = world
    with listening(broker.port) as plc:
        plc.publish("plant/m1/fault", {"code": "E001"})
        until(lambda: alone.rows("SELECT 1 FROM job WHERE state = 'working'"), "it is in work")
        alone.end(signal.SIGKILL)
        alone.jump(step)
        alone.start()
        until(lambda: finals(recorder, "/m1"), "it is answered by the next")
    assert len(set(finals(recorder, "/m1"))) == 1
    assert alone.rows("SELECT state FROM job") == [("done",)]
