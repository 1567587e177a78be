"""The main job with a real llama.cpp server behind it: passages at once, the model's word after.

The model has random weights. It shows form, order and safety, and nothing of quality: what it
writes does not stand on the passages, so the manual's own words must be beside it and on displays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.andon import Andon, listening
from tests.support.knowing import Knowing
from tests.support.llama import llama_process
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=["chat", "completion"])
def andon(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, knowing: Knowing
) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("with-model")
    model = folder / "tiny.gguf"
    write_tiny_gguf(model)
    with llama_process(model, context=8192) as server:
        config = f"llm_bridge: {{url: '{server.url}', api: {request.param}, temperature: 0}}\n"
        knowing(folder)
        with Andon(folder, config) as running:
            yield running


def both_stages(andon: Andon, place: str, topic: str, payload: Any) -> list[dict[str, Any]]:
    topics = (f"andon/answer/{place}", f"andon/stream/{place}")
    got: list[dict[str, Any]] = []
    with listening(andon.port, *topics) as client:
        client.publish(topic, payload)
        while not (got and got[-1].get("stage") == "final"):
            got.append(json.loads(client.next().payload))
    return got


def test_passages_first_then_the_stream_then_the_final_answer(andon: Andon) -> None:
    got = both_stages(andon, "plant/m1", "plant/m1/fault", {"code": "E005"})
    answers = [m for m in got if "stage" in m]
    pieces = [m for m in got if "delta" in m]
    assert [a["stage"] for a in answers] == ["passages", "final"]
    assert answers[0]["id"] == answers[1]["id"] == pieces[0]["answer_id"]
    assert answers[0]["causes"]
    assert [p["seq"] for p in pieces] == list(range(len(pieces)))
    assert [p["done"] for p in pieces] == [False] * (len(pieces) - 1) + [True]
    assert got.index(answers[0]) < got.index(pieces[0])
    assert not any(p["delta"].lstrip().startswith("{") for p in pieces)
    assert answers[1]["timings_ms"]["model"] > 0


def test_what_does_not_stand_on_the_manual_is_marked(andon: Andon) -> None:
    got = both_stages(andon, "plant/m2", "plant/m2/fault", {"code": "E007"})
    first, final = got[0], got[-1]
    assert (final["answered_by"], final["grounded"]) == ("model", False)
    own = {name: first[name] for name in ("summary", "causes", "actions", "text")}
    assert final["extract"] == own
    assert own["causes"]
    assert not final["causes"] + final["actions"]
    assert final["summary"] == own["summary"]
    assert "[not in the manuals]" in final["text"]
    assert "does not stand on the manuals" in final["note"]
    assert final["citations"][0]["page"]
    with listening(andon.port, "andon/display/plant/m2") as client:
        shown = client.next().payload.decode()
    assert own["actions"][0][:20] in shown


def test_the_bridge_says_which_model_it_has(andon: Andon) -> None:
    facts = andon.json("status")["llm_bridge"]["facts"]
    assert facts["model"]
    assert facts["reachable"] is True
