"""The main job through a box's broker, where everybody may do what the access list says."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest

from tests.support import processes
from tests.support.andon import Andon
from tests.support.box_broker import DENIED, BoxBroker, Client
from tests.support.mosquitto import program
from tests.support.sample import sample_manual

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not program(), reason="mosquitto is not installed"),
]

CONFIG = """\
orchestrator:
  night: {enabled: false}
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxBroker]:
    with BoxBroker(tmp_path_factory.mktemp("box"), config=CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def andon(box: BoxBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("andon")
    config = box.config.read_text(encoding="utf-8")
    with Andon(folder, config, options=["--no-broker"]) as running:
        added = running.cli("add", str(sample_manual(folder / "manuals", "pdf")))
        assert added.returncode == 0, added.stderr + running.said()
        yield running
    assert running.exit_code == 0, running.said()
    said = running.said()
    assert "refuses" not in said
    assert "ot authorized" not in said
    assert "Traceback" not in said


def given(box: BoxBroker, name: str, *roles: str) -> str:
    options = [part for role in roles for part in ("--role", role)]
    word: str = box.access("add", name, *options)["password"]
    return word


def final(client: Client) -> dict[str, Any]:
    while True:
        message = client.next()
        answer = json.loads(message.payload)
        if answer.get("stage") == "final":
            return dict(answer)


def test_a_fault_of_a_controller_is_answered_on_the_dashboard(box: BoxBroker, andon: Andon) -> None:
    plc, wall = given(box, "plc1", "plc"), given(box, "wall", "dashboard")
    with box.outside("wall", wall) as dashboard, box.outside("plc1", plc) as controller:
        for topic in ("answer/plant/motor7", "alarm/plant/motor7"):
            assert dashboard.subscribe(f"andon/{topic}") < DENIED
        controller.publish("plant/motor7/fault", json.dumps({"code": "E005"}))
        answer = final(dashboard)
    assert answer["code"] == "E005"
    assert answer["citations"][0]["page"] == 7


def test_a_scanner_has_its_answer_and_says_whether_it_helped(box: BoxBroker, andon: Andon) -> None:
    word = given(box, "scan3", "scanner")
    with box.outside("scan3", word, version=int(paho.MQTTv311)) as scanner:
        scanner.subscribe("andon/answer/ask/scan3")
        scanner.publish("andon/ask/scan3", "What does E007 mean?")
        answer = final(scanner)
        assert answer["code"] == "E007"
        feedback = json.dumps({"helpful": True, "note": "the fuse"})
        scanner.publish(f"andon/feedback/{answer['id']}", feedback)


def test_every_command_works(box: BoxBroker, andon: Andon) -> None:
    assert {one["state"] for one in andon.json_status().values()} <= {"ready", "degraded"}
    assert andon.json("ask", "What does fault E005 mean?")["code"] == "E005"
    assert andon.json("search", "E005")
    [document] = andon.json("documents")
    assert andon.cli("edit", document["doc_id"], "--title", "The drive").returncode == 0
    for arguments in (("prompt", "list"), ("model", "list")):
        done = andon.cli(*arguments)
        assert done.returncode == 0, done.stderr
    recorded = {"at": "2026-01-01T00:00:00Z", "topic": "plant/motor8/fault", "payload": "E005"}
    file = andon.data.parent / "faults.jsonl"
    file.write_text(json.dumps(recorded) + "\n", encoding="utf-8")
    replayed = andon.cli("replay", str(file))
    assert replayed.returncode == 0, replayed.stderr
    assert andon.cli("remove", document["doc_id"]).returncode == 0
    again = andon.cli("add", str(andon.data.parent / "manuals"))
    assert again.returncode == 0, again.stderr


def test_what_came_while_the_orchestrator_was_killed_is_answered(
    box: BoxBroker, andon: Andon
) -> None:
    plc, wall = given(box, "plc2", "plc"), given(box, "wall2", "dashboard")
    with box.outside("wall2", wall) as dashboard, box.outside("plc2", plc) as controller:
        assert dashboard.subscribe("andon/answer/plant/killed") < DENIED
        killed = processes.wait_for(andon.up_pid, "orchestrator")
        processes.send(killed, signal.SIGKILL)
        assert controller.publish("plant/killed/fault", "E005") in {0, 16}
        assert final(dashboard)["code"] == "E005"


def test_a_password_that_cannot_be_read_says_where_it_was_looked_for(box: BoxBroker) -> None:
    text = box.config.read_text(encoding="utf-8")
    box.config.write_text(text.replace("{service}\n", "{service}.gone\n"), encoding="utf-8")
    done = box.cli("status")
    box.config.write_text(text, encoding="utf-8")
    assert done.returncode == 78
    assert f"{box.etc}/credentials/cli.gone" in done.stderr
