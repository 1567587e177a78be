"""The broker of a box over restarts, kills and damage: what was confirmed is not lost."""

from __future__ import annotations

import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from services import broker_file
from services.broker_conf import CAREFUL, EASY
from tests.support.box_broker import SOON_S, BoxBroker
from tests.support.broker_files import spoiled
from tests.support.mosquitto import program

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not program(), reason="mosquitto is not installed"),
]

TOPIC = "plant/m/fault"


@pytest.fixture
def box(tmp_path: Path) -> BoxBroker:
    return BoxBroker(tmp_path)


def session(box: BoxBroker) -> None:
    """Have the orchestrator's session made, and the orchestrator away."""
    with box.inside("orchestrator", session=True) as orchestrator:
        assert orchestrator.subscribe("plant/+/fault") < 128


def fault(box: BoxBroker, payload: bytes) -> None:
    """Have a fault confirmed."""
    with box.inside("cli", "andon-cli-1") as cli:
        assert cli.publish(TOPIC, payload) == 0


def written(box: BoxBroker, payload: bytes) -> None:
    """Wait until the broker's file has it."""
    path = box.state / "mosquitto.db"
    deadline = time.monotonic() + SOON_S
    while not path.exists() or payload not in path.read_bytes():
        assert time.monotonic() < deadline, "it is not written"
        time.sleep(0.01)


def taken(box: BoxBroker, count: int) -> list[bytes]:
    """What the orchestrator gets when it is back."""
    with box.inside("orchestrator", session=True) as orchestrator:
        return [orchestrator.next().payload for _ in range(count)]


def connect(box: BoxBroker, *, up: bool) -> str:
    """What the orchestrator's process leaves, and what the unit then does."""
    if up:
        box.connected.write_text("1\n")
    else:
        box.connected.unlink()
    became: str = box.broker("care")["became"]
    return became


def test_faults_for_a_service_that_is_away_outlive_a_kill(box: BoxBroker) -> None:
    with box:
        session(box)
        fault(box, b"E005")
        written(box, b"E005")
        box.kill()
        box.start()
        assert taken(box, 1) == [b"E005"]


def test_they_outlive_a_change_of_access_right_after_a_restart(box: BoxBroker) -> None:
    with box:
        session(box)
        fault(box, b"before")
        written(box, b"before")
        box.kill()
        box.start()
        word = box.access("add", "plc1", "--role", "plc")["password"]
        box.access("add", "passer-by", "--role", "scanner")
        box.access("revoke", "passer-by")
        with box.outside("plc1", word) as plc:
            assert plc.publish(TOPIC, b"after") == 0
        assert taken(box, 2) == [b"before", b"after"]


@pytest.mark.parametrize("version", [paho.MQTTv5, int(paho.MQTTv311)])
def test_they_outlive_a_sighup_after_a_restart(box: BoxBroker, version: int) -> None:
    """With password_file and acl_file they would not: the broker would end the session."""
    with box:
        with box.inside("orchestrator", session=True, version=version) as orchestrator:
            assert orchestrator.subscribe("plant/+/fault") < 128
        fault(box, b"before")
        written(box, b"before")
        box.kill()
        box.start()
        box.hang_up()
        fault(box, b"after")
        with box.inside("orchestrator", session=True, version=version) as orchestrator:
            assert [orchestrator.next().payload for _ in range(2)] == [b"before", b"after"]


def test_the_broker_is_careful_while_the_orchestrator_is_away(box: BoxBroker) -> None:
    conf = box.run / "mosquitto.conf"
    with box:
        assert CAREFUL in conf.read_text()
        assert box.broker("care")["became"] == ""  # nothing to change, and no SIGHUP
        with box.inside("orchestrator", session=True) as orchestrator:
            assert orchestrator.subscribe("plant/+/fault") < 128
            assert connect(box, up=True) == "at ease"
            assert EASY in conf.read_text()
            assert connect(box, up=True) == ""
            orchestrator.vanish()
            assert connect(box, up=False) == "careful"
        assert CAREFUL in conf.read_text()
        fault(box, b"away")
        written(box, b"away")
        box.kill()
        # It was connected to the one that is no more: this one is careful until it has come.
        box.connected.write_text("1\n")
        box.start()
        assert box.broker("care")["became"] == ""
        assert taken(box, 1) == [b"away"]
        assert connect(box, up=True) == "at ease"


def test_at_ease_it_does_not_write_for_each_message(box: BoxBroker) -> None:
    file = box.state / "mosquitto.db"
    with box:
        session(box)
        assert connect(box, up=True) == "at ease"
        with box.inside("cli", "andon-cli-1") as cli:
            cli.publish(TOPIC, b"first")
            before = file.stat().st_mtime_ns
            for _ in range(50):
                assert cli.publish(TOPIC, b"more") == 0
        assert file.stat().st_mtime_ns == before
    assert b"more" in file.read_bytes()  # a stop writes all


@pytest.mark.parametrize("damage", [b"\0" * 4096, b"\x00\xb5\x00mosquitto db\0\0", b"what?"])
def test_a_damaged_file_is_set_aside_and_told(box: BoxBroker, damage: bytes) -> None:
    (box.state / "mosquitto.db").write_bytes(damage)
    told = box.start()
    assert "is set aside as mosquitto.db.damaged-" in told[0]
    session(box)
    box.stop()


def test_damage_that_only_mosquitto_sees_is_found_where_a_start_failed(box: BoxBroker) -> None:
    with box, box.inside("orchestrator") as orchestrator:
        orchestrator.publish("andon/alarm/m", b"x" * 50, retain=True)
    file = box.state / "mosquitto.db"
    file.write_bytes(spoiled(file.read_bytes()))
    assert broker_file.damage(file) == ""
    with pytest.raises(RuntimeError, match="did not start"):
        box.start()
    told = box.start()
    assert "Mosquitto ends with it" in told[0]
    box.stop()


def test_a_good_file_stays_where_a_start_failed_for_another_reason(box: BoxBroker) -> None:
    with box:
        session(box)
        fault(box, b"E005")
    wrong = box.etc / "broker" / "conf.d" / "wrong.conf"
    wrong.write_text("listener nowhere\n")
    with pytest.raises(RuntimeError, match="did not start"):
        box.start()
    wrong.unlink()
    assert box.start() == []
    assert taken(box, 1) == [b"E005"]
    box.stop()
