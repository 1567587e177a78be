"""Whatever the model's server does: a fault has its passages, and its final answer in time.

A whole Andon, with a real broker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.andon import Andon, listening
from tests.support.hostile import TROUBLES, Hostile, hostile_beside
from tests.support.knowing import Knowing

pytestmark = pytest.mark.faults

DEADLINE_S = 20.0
CONFIG = """
status_every_s: 1
orchestrator: {{deadline_s: {deadline}, reuse_s: 0}}
llm_bridge: {{url: '{url}', token_timeout_s: 2}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    with hostile_beside() as made:
        yield made


@pytest.fixture(scope="module")
def andon(
    tmp_path_factory: pytest.TempPathFactory, server: Hostile, knowing: Knowing
) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("hostile")
    config = CONFIG.format(deadline=DEADLINE_S, url=server.url)
    knowing(folder)
    with Andon(folder, config) as running:
        yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


def answers(andon: Andon, asset: str) -> list[dict[str, Any]]:
    """Report a fault, and return its answers up to the final one."""
    with listening(andon.port, f"andon/answer/{asset}") as client:
        client.publish(f"{asset}/fault", {"code": "E005"})
        got: list[dict[str, Any]] = []
        while not got or got[-1]["stage"] != "final":
            got.append(json.loads(client.next().payload))
    return got


def wait_ready(andon: Andon) -> None:
    with listening(andon.port, "andon/status/llm_bridge") as client:
        client.next(lambda m: b'"ready"' in m.payload and b'"hostile"' in m.payload)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_passages_stand_and_the_next_answer_is_the_model_s(
    andon: Andon, server: Hostile, trouble: str
) -> None:
    wait_ready(andon)
    try:
        server.trouble = trouble
        got = answers(andon, f"plant/{trouble}")
    finally:
        server.trouble = ""
    final = got[-1]
    assert final["answered_by"] == "extract"
    assert final["causes"]
    assert final["citations"]
    assert final["note"]
    assert "deadline" not in final["note"], "it was told before its time was over"
    if len(got) == 2:
        assert got[0]["stage"] == "passages"
        assert got[0]["causes"] == final["causes"]
        assert "the language model gave no answer" in final["note"]
    wait_ready(andon)
    assert answers(andon, f"plant/after-{trouble}")[-1]["answered_by"] == "model"


def test_a_model_that_fails_is_spared(andon: Andon, server: Hostile) -> None:
    wait_ready(andon)
    server.trouble = "no_json"
    try:
        with listening(andon.port, "andon/status/llm_bridge") as client:
            for number in range(3):
                assert answers(andon, f"plant/spared{number}")[-1]["answered_by"] == "extract"
            client.next(lambda m: b'"breaker":"open"' in m.payload)
        asked = server.asked
        [only] = answers(andon, "plant/open")
        assert "no language model is available" in only["note"]
        assert server.asked == asked
        shown = andon.cli("status").stdout
        assert "several times in a row" in shown
        assert "breaker open" in shown
    finally:
        server.trouble = ""
    wait_ready(andon)  # it may be tried
    assert answers(andon, "plant/closed")[-1]["answered_by"] == "model"


def test_an_alarm_that_goes_stops_the_model(andon: Andon, server: Hostile) -> None:
    wait_ready(andon)
    server.trouble = "half_open"
    try:
        with listening(andon.port, "andon/answer/plant/gone") as client:
            client.publish("plant/gone/fault", {"code": "E005"})
            assert client.answer("passages")["causes"]
            client.publish("plant/gone/fault", {"code": "E005", "state": "cleared"})
            final = client.answer()
    finally:
        server.trouble = ""
    assert final["answered_by"] == "extract"
    assert "the alarm was gone" in final["note"]
