"""Answers are prepared while the model is idle, and given at once when the fault strikes.

The model is a stand-in that repeats the manual, as one with random weights never would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import Andon, listening
from tests.support.knowing import Knowing
from tests.support.llama_stand_in import StandIn, stand_in

pytestmark = pytest.mark.integration

ASSET = "plant/m1"
LONG_S = 600.0


@pytest.fixture
def model() -> Iterator[StandIn]:
    with stand_in() as made:
        yield made


@pytest.fixture
def andon(tmp_path: Path, model: StandIn, knowing: Knowing) -> Iterator[Andon]:
    config = (
        f"llm_bridge: {{url: '{model.url}', token_timeout_s: {LONG_S}}}\n"
        "status_every_s: 0.2\n"
        "orchestrator: {night: {after_s: 0.2, share: 1.0}}\n"
    )
    knowing(tmp_path, "--asset", ASSET)
    with Andon(tmp_path, config) as running:
        yield running


def facts(andon: Andon, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the orchestrator's status says, as soon as it is what is wanted."""
    found: dict[str, Any] = andon.status(
        "orchestrator", lambda said: wanted(said["facts"]), within_s=120
    )["facts"]
    return found


def all_prepared(found: dict[str, Any]) -> bool:
    return bool(found.get("prepared")) and found["to_prepare"] == 0


def test_a_fault_whose_answer_is_prepared_gets_it_however_slow_the_model(
    andon: Andon, model: StandIn
) -> None:
    found = facts(andon, all_prepared)
    ready, codes = found["prepared"], found["prepared_of"]
    assert ready >= codes / 2
    assert found[f"prepared {ASSET}"].startswith(f"{ready} of {codes}")
    assert ready + found["not_grounded"] + found["in_no_manual"] == codes
    assert not found["preparing"]
    asked = len(model.prompts)
    model.takes_s = LONG_S
    with listening(andon.port, f"andon/answer/{ASSET}", f"andon/display/{ASSET}") as client:
        client.publish(f"{ASSET}/fault", {"code": "e-005", "text": "the machine's own words"})
        answer = client.answer()
    assert (answer["answered_by"], answer["prepared"], answer["grounded"]) == ("model", True, True)
    assert (answer["model"], answer["code"]) == ("stand-in", "e-005")
    assert answer["citations"][0]["page"]
    assert answer["timings_ms"]["model"] == 0
    assert len(model.prompts) == asked, "nobody asked the model"


def test_an_answer_of_a_manual_that_changed_is_not_given(
    andon: Andon, model: StandIn, tmp_path: Path
) -> None:
    facts(andon, all_prepared)
    model.may.clear()  # what is due now waits
    other = tmp_path / "other.md"
    other.write_text(
        "# Faults since May\n\n## E005 DC bus undervoltage\n\n"
        "Cause: the mains fuse F7 has blown.\n\nRemedy: replace the mains fuse F7.\n",
        encoding="utf-8",
    )
    assert andon.cli("add", str(other), "--asset", ASSET).returncode == 0
    asked = len(model.prompts)
    with listening(andon.port, f"andon/answer/{ASSET}") as client:
        client.publish(f"{ASSET}/fault", {"code": "E005"})
        passages = client.answer("passages")
        assert not passages["prepared"]
        model.may.set()
        final = client.answer("final")
    assert not final["prepared"]
    assert len(model.prompts) > asked
    # What the other passages are is the same as before for most codes: those stand without a word.
    facts(andon, all_prepared)


def test_another_model_of_the_same_name_has_prepared_nothing(andon: Andon, model: StandIn) -> None:
    facts(andon, all_prepared)
    model.may.clear()
    model.build = "b2"
    facts(andon, lambda found: found["to_prepare"] > 0)
    with listening(andon.port, f"andon/answer/{ASSET}") as client:
        client.publish(f"{ASSET}/fault", {"code": "E005"})
        passages = client.answer("passages")
        assert not passages["prepared"]
        model.may.set()
        final = client.answer("final")
    assert (final["prepared"], final["model"]) == (False, "stand-in")
    facts(andon, all_prepared)


def test_nothing_is_prepared_while_it_is_forbidden(
    tmp_path: Path, model: StandIn, knowing: Knowing
) -> None:
    hour = time.localtime().tm_hour
    hours = f"{(hour + 6) % 24:02}:00-{(hour + 7) % 24:02}:00"
    config = (
        f"llm_bridge: {{url: '{model.url}'}}\nstatus_every_s: 0.2\n"
        f"orchestrator: {{night: {{after_s: 0.1, hours: ['{hours}']}}}}\n"
    )
    knowing(tmp_path, "--asset", ASSET)
    with Andon(tmp_path, config) as andon:
        with listening(andon.port, f"andon/answer/{ASSET}") as client:
            client.publish(f"{ASSET}/fault", {"code": "E005"})
            assert client.answer()["answered_by"] == "model"
        time.sleep(3)  # longer than it takes to begin where that is allowed
        assert len(model.prompts) == 1
        assert "preparing" not in andon.json_status()["orchestrator"]["facts"]
