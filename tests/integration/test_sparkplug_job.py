"""A Sparkplug edge node at a real broker: not understood at first, reborn, then answered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest

from deploy.sample import content
from services.orchestrator.sparkplug import decode
from tests.support import sparkplug as sparkplug_b
from tests.support.andon import SOON_S, Andon, Listener, listening
from tests.support.knowing import Knowing
from tests.support.sparkplug import metric, payload

pytestmark = pytest.mark.integration

CONFIG = """\
orchestrator:
  triggers:
    - topic: spBv1.0/press shop/#
      format: sparkplug
      code: [Alarm/Code]
      text: [Alarm/Text]
"""
PLACE = "press shop/edge1/press4"
ALARM, ANSWER = f"andon/alarm/{PLACE}", f"andon/answer/{PLACE}"
NCMD = "spBv1.0/press shop/NCMD/edge1"


class EdgeNode:
    """`edge1` with the device `press4`; publishes with QoS 0, as Sparkplug has it."""

    def __init__(self, port: int) -> None:
        self._seq = -1
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def says(self, kind: str, *metrics: bytes) -> None:
        self._seq = 0 if kind == "NBIRTH" else (self._seq + 1) % 256
        topic = f"spBv1.0/press shop/{kind}/edge1" + ("/press4" if kind[0] == "D" else "")
        sent = self._client.publish(topic, payload(*metrics, seq=self._seq), qos=0)
        sent.wait_for_publish(SOON_S)

    def is_born(self, code: str) -> None:
        self.says("NBIRTH", metric("bdSeq", 0), metric("Node Control/Rebirth", False, alias=1))
        self.says(
            "DBIRTH",
            metric("Alarm/Code", code, alias=2, datatype=sparkplug_b.STRING),
            metric("Alarm/Text", "", alias=3, datatype=sparkplug_b.STRING),
            metric("Speed", 1450.0, alias=4, datatype=sparkplug_b.DOUBLE),
        )


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory, knowing: Knowing) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("sparkplug")
    knowing(folder)
    with Andon(folder, CONFIG) as running:
        yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


@pytest.fixture
def edge(andon: Andon) -> Iterator[EdgeNode]:
    node = EdgeNode(andon.port)
    yield node
    node.close()


def alarm(client: Listener, state: str) -> tuple[str, int]:
    """Code and count of the next alarm in a state that is no older than the client."""
    message: dict[str, Any] = json.loads(
        client.next(
            lambda m: m.topic == ALARM and not m.retain and f'"{state}"'.encode() in m.payload
        ).payload
    )
    return message["code"], message["occurrences"]


def restart(andon: Andon, service: str) -> None:
    """Kill a service, and wait for the process that takes its place."""
    old = andon.pid(service)
    andon.kill(service)
    deadline = time.monotonic() + SOON_S
    while andon.pid(service) == old:
        assert time.monotonic() < deadline, andon.said()


def test_an_edge_node_is_asked_who_it_is_then_answered(andon: Andon, edge: EdgeNode) -> None:
    with listening(andon.port, NCMD, ALARM, ANSWER) as client:
        edge.says("DDATA", metric(value="E005", alias=2))
        asked = client.next()
        assert (asked.topic, asked.qos, asked.retain) == (NCMD, 0, False)
        command = decode(asked.payload)
        assert [(m.name, m.value) for m in command.metrics] == [("Node Control/Rebirth", True)]
        assert command.timestamp

        edge.is_born(code="")
        edge.says("DDATA", metric(value=1451.0, alias=4))
        text = "DC bus undervoltage"
        edge.says("DDATA", metric(value="E005", alias=2), metric(value=text, alias=3))
        assert alarm(client, "active") == ("E005", 1)
        answer = client.answer()
        expected = next(one for one in content.FAULTS if one.code == "E005")
        assert (answer["asset"], answer["code"]) == (PLACE, "E005")
        assert answer["question"] == f"Fault E005: {text}"
        assert answer["causes"] == list(expected.causes_en)
        assert answer["citations"][0]["page"] == 7

        # A birth repeats what stands: that is not counted.
        edge.is_born(code="E005")
        edge.says("DDATA", metric(value="", alias=2))
        assert alarm(client, "cleared") == ("E005", 1)
    assert "rejected a message" not in andon.said()


def test_a_restarted_orchestrator_asks_and_counts_nothing_twice(
    andon: Andon, edge: EdgeNode
) -> None:
    with listening(andon.port, NCMD, ALARM) as client:
        edge.is_born(code="")
        edge.says("DDATA", metric(value="E007", alias=2))
        assert alarm(client, "active") == ("E007", 1)
        restart(andon, "orchestrator")
        edge.says("DDATA", metric(value=1452.0, alias=4))
        client.next(lambda m: m.topic == NCMD)
        edge.is_born(code="E007")
        edge.says("DDATA", metric(value="", alias=2))
        assert alarm(client, "cleared") == ("E007", 1)


def test_damaged_messages_are_recorded_and_stop_nothing(andon: Andon, edge: EdgeNode) -> None:
    with listening(andon.port, ALARM) as client:
        client.publish("spBv1.0/press shop/DDATA/edge1/press4", b"\x12\x7fcut")
        edge.is_born(code="")
        edge.says("DDATA", metric(value="E003", alias=2))
        assert alarm(client, "active") == ("E003", 1)
    assert "127 bytes announced, 3 are left" in andon.said()
