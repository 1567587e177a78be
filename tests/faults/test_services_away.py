"""A process dies or stays away: what was accepted is answered when it is back, and says so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.andon import Andon, listening
from tests.support.knowing import Knowing
from tests.support.llama_stand_in import stand_in
from tests.support.mosquitto import free_port

pytestmark = pytest.mark.faults

AWAY = "watchdog_s: 120\norchestrator: {deadline_s: 25}\n"
"""Long enough for a retriever to start again on a busy machine; who is held is not ended."""


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory, knowing: Knowing) -> Iterator[Andon]:
    config = AWAY + f"llm_bridge: {{url: 'http://127.0.0.1:{free_port()}'}}\n"
    knowing(folder := tmp_path_factory.mktemp("andon"))
    with Andon(folder, config) as running:
        yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


def test_a_model_that_is_away_leaves_the_passages_standing(andon: Andon) -> None:
    with listening(andon.port, "andon/answer/plant/nomodel") as client:
        client.publish("plant/nomodel/fault", "E005")
        answer = client.answer()
    assert (answer["answered_by"], answer["stage"]) == ("extract", "final")
    assert "no language model is available" in answer["note"]
    assert answer["citations"]
    bridge = andon.cli("status").stdout
    assert "degraded" in bridge
    assert andon.cli("status").returncode == 1


def test_a_retriever_that_comes_back_in_time_answers(andon: Andon) -> None:
    with listening(andon.port, "andon/answer/plant/back") as client:
        andon.kill("retriever")
        client.publish("plant/back/fault", "E005")
        answer = client.answer()
    assert answer["answered_by"] == "extract"
    assert answer["citations"]
    assert answer["timings_ms"]["retrieve"] > 100


def test_a_retriever_that_stays_away_is_named_when_the_deadline_is_over(andon: Andon) -> None:
    pid = andon.pid("retriever")
    os.kill(pid, signal.SIGSTOP)
    try:
        with listening(andon.port, "andon/answer/plant/away", "andon/display/plant/away") as client:
            client.publish("plant/away/fault", "E005")
            answer = client.answer()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (answer["answered_by"], answer["citations"]) == ("none", [])
    assert "search service is away" in answer["summary"]
    with listening(andon.port, "andon/answer/plant/again") as client:
        client.publish("plant/again/fault", "E005")
        assert client.answer()["citations"]


def test_an_orchestrator_killed_before_the_fault_answers_it_afterwards(andon: Andon) -> None:
    with listening(andon.port, "andon/answer/plant/killed") as client:
        andon.kill("orchestrator")
        client.publish("plant/killed/fault", "E007")
        assert client.answer()["code"] == "E007"


def test_an_orchestrator_killed_in_mid_work_takes_it_up_again(andon: Andon) -> None:
    retriever = andon.pid("retriever")
    orchestrator = andon.pid("orchestrator")
    with listening(andon.port, "andon/answer/plant/mid", "andon/alarm/plant/mid") as client:
        os.kill(retriever, signal.SIGSTOP)
        try:
            client.publish("plant/mid/fault", "E010")
            client.next(lambda m: m.topic == "andon/alarm/plant/mid")  # accepted, being searched
            os.kill(orchestrator, signal.SIGKILL)
        finally:
            os.kill(retriever, signal.SIGCONT)
        assert client.answer()["code"] == "E010"


def test_ingest_killed_in_mid_document_goes_on_with_it(andon: Andon, tmp_path: Path) -> None:
    note = tmp_path / "long.txt"
    lines = [f"Valve {n} of hall {n % 7} opens at {n % 91} bar." for n in range(6000)]
    note.write_text("\n\n".join([*lines, "The gland of pump P9 is violet."]), encoding="utf-8")
    assert andon.cli("add", str(note), "--no-wait").returncode == 0
    andon.kill("ingest")
    deadline = time.monotonic() + 180
    while ("long.txt", "ready") not in [(d["file"], d["state"]) for d in andon.documents()]:
        assert time.monotonic() < deadline, andon.said()
        time.sleep(0.2)
    assert any("violet" in row["text"] for row in andon.json("search", "gland of pump P9"))


def test_every_service_killed_at_once_comes_back(andon: Andon) -> None:
    pids = [andon.pid(name) for name in ("retriever", "llm_bridge", "ingest", "orchestrator")]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    with listening(andon.port, "andon/answer/plant/all") as client:
        client.publish("plant/all/fault", "E013")
        assert client.answer()["code"] == "E013"
    back = [andon.pid(name) for name in ("retriever", "llm_bridge", "ingest", "orchestrator")]
    assert not set(pids) & set(back)


def test_a_bridge_killed_in_mid_answer_is_asked_again(tmp_path: Path, knowing: Knowing) -> None:
    with stand_in() as server:
        config = AWAY + f"llm_bridge: {{url: '{server.url}'}}\n"
        knowing(tmp_path)
        with Andon(tmp_path, config) as andon:
            server.may.clear()
            with listening(
                andon.port, "andon/answer/plant/cut", "andon/stream/plant/cut"
            ) as client:
                client.publish("plant/cut/fault", "E005")
                assert server.began.wait(20)
                andon.kill("llm_bridge")
                server.may.set()
                final = client.answer()
        assert final["answered_by"] == "model", final["note"]
