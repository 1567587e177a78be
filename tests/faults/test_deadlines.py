"""A model that hangs: what waited too long is final at once, and nothing urgent waits for it."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.andon import Andon, Listener, listening
from tests.support.hanging import Hanging
from tests.support.http_server import http_server
from tests.support.knowing import Knowing

pytestmark = pytest.mark.faults

MANY = 300
AT_THE_MODEL = 200
"""Answers the orchestrator lets wait for the model; the rest is due."""
DEADLINE_S = 25
LATE = "it waited longer than its deadline"


def answers(client: Listener, count: int) -> list[dict[str, Any]]:
    return [json.loads(client.next(lambda m: m.payload).payload) for _ in range(count)]


def of(client: Listener, asset: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The next answer about a machine, and those about others that came before it."""
    before: list[dict[str, Any]] = []
    while (got := answers(client, 1)[0])["asset"] != asset:
        before.append(got)
    return got, before


async def test_late_answers_are_final_at_once_and_hold_up_nothing_urgent(
    tmp_path: Path, knowing: Knowing
) -> None:
    knowing(tmp_path)
    server = Hanging()
    async with http_server(server) as url:
        config = (
            f"llm_bridge: {{url: '{url}', api: completion, token_timeout_s: 600}}\n"
            f"orchestrator: {{deadline_s: {DEADLINE_S}}}\nstatus_every_s: 1\n"
        )
        await asyncio.to_thread(late_and_urgent, tmp_path, config, server)


def late_and_urgent(folder: Path, config: str, server: Hanging) -> None:
    with Andon(folder, config) as andon:
        deadline = time.monotonic() + 60
        while andon.cli("status").returncode:
            assert time.monotonic() < deadline, "all are ready, the model too"
        with listening(andon.port, "andon/answer/#") as client:
            for number in range(MANY):
                fault = {"code": "E005", "severity": "advice"}
                client.publish(f"plant/m{number}/fault", fault)
            passages = answers(client, AT_THE_MODEL)
            client.publish("plant/urgent/fault", {"code": "E007", "severity": "critical"})
            urgent, before = of(client, "plant/urgent")
            assert {one["stage"] for one in [*passages, *before, urgent]} == {"passages"}
            assert urgent["citations"]

            killed = processes.wait_for(andon.up_pid, "orchestrator")
            processes.send(killed, signal.SIGKILL)
            following = stopped_until_late(andon, killed)
            asked = len(server.questions)
            client.publish("plant/urgent2/fault", {"code": "E010", "severity": "critical"})
            processes.send(following, signal.SIGCONT)
            urgent, before = of(client, "plant/urgent2")
            assert urgent["stage"] == "passages", "the model is asked about this one"
            late = {one["id"]: one for one in before if one["stage"] == "final"}
            while len(late) < MANY + 1:
                late |= {one["id"]: one for one in answers(client, 1) if one["stage"] == "final"}
        for one in late.values():
            assert one["answered_by"] == "extract"
            assert LATE in one["note"]
            assert one["citations"]
        assert {one["id"] for one in passages} <= late.keys()
        assert len(server.questions) <= asked + 1, "what is late is not asked about"
    assert "Traceback" not in andon.said()


def stopped_until_late(andon: Andon, killed: int) -> int:
    """Hold the next orchestrator until all that is open is past its deadline."""
    pid = processes.wait_for(andon.up_pid, "orchestrator", but=killed)
    processes.send(pid, signal.SIGSTOP)
    with closing(sqlite3.connect(andon.data / "ledger.db", timeout=30)) as db:
        [[count, until]] = db.execute(
            "SELECT count(*), max(deadline_at) FROM job WHERE state IN ('due', 'working')"
        )
    assert count == MANY + 1
    time.sleep(max(0.0, until - time.time()) + 0.1)
    return pid
