"""The broker loses what was retained, all of it or the latest: it is there again, and no more."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.alone import orchestrator
from tests.support.andon import Listener, listening
from tests.support.mosquitto import Mosquitto
from tests.support.recorder import Recorder

pytestmark = pytest.mark.faults

SOON_S = 60.0
SETTINGS = (
    "deadline_s: 0.5, alarms: {flood_more_than: 3, flood_fewer_than: 2, take_back_s: 1,"
    " chatter_window_s: 1, chatter_transitions: 100}"
)
STANDS = ("andon/alarm/#", "andon/answer/#", "andon/display/#", "andon/flood/#")
MARK = "andon/mark/orchestrator"


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def retained(broker: Mosquitto) -> dict[str, bytes]:
    """What a client that comes now is told."""
    with listening(broker.port, *STANDS) as client:
        client.publish("andon/flood/fence", b"")  # comes behind what is retained
        got: dict[str, bytes] = {}
        while (message := client.next()).topic != "andon/flood/fence":
            got[message.topic] = message.payload
        return got


def becomes(broker: Mosquitto, wanted: dict[str, bytes]) -> None:
    """Wait until this is what the broker retains."""
    deadline = time.monotonic() + SOON_S
    while (got := retained(broker)) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    assert got == wanted


def marked(client: Listener) -> bytes:
    """The word that all is confirmed which comes behind what the client has heard so far."""
    mark: bytes = client.next(
        lambda m: m.topic == MARK and not m.retain and not m.payload.startswith(b"?")
    ).payload
    return mark


def ready(broker: Mosquitto) -> None:
    with listening(broker.port, "andon/status/orchestrator") as client:
        client.next(lambda m: b'"ready"' in m.payload)


def answered(client: Listener, asset: str, code: str = "E005") -> None:
    client.publish(f"{asset}/fault", {"code": code})
    client.next(lambda m: m.topic == f"andon/display/{asset}" and m.payload)


def test_a_killed_broker_without_persistence_has_all_that_stands_again(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, orchestrator(broker, tmp_path, SETTINGS):
        ready(broker)
        with listening(broker.port, *STANDS) as client:
            for number in range(5):
                answered(client, f"plant/m{number}")
        before = retained(broker)
        assert len(before) == 3 * 5 + 1, "alarms, answers, displays, and a flood"
        broker.kill()
        broker.start()
        until(lambda: retained(broker).keys() == before.keys(), "all is there again")
        after = retained(broker)
        flood = "andon/flood/plant"
        assert json.loads(after.pop(flood))["since"] == json.loads(before.pop(flood))["since"]
        assert after == before
    assert "Traceback" not in (tmp_path / "alone.log").read_text()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_kept_everything_is_sent_nothing_again(tmp_path: Path, end: str) -> None:
    with (
        Mosquitto(tmp_path / "broker", persistence=True) as broker,
        orchestrator(broker, tmp_path, SETTINGS),
    ):
        ready(broker)
        with listening(broker.port, *STANDS, MARK) as client:
            for number in range(3):
                answered(client, f"plant/m{number}")
            mark = marked(client)
        database = broker.folder / "mosquitto.db"
        # A kill finds what was written a second ago at most.
        until(lambda: mark in database.read_bytes(), "the broker writes its file")
        recorder = Recorder(broker.port, "watcher", *STANDS)
        try:
            until(lambda: len(recorder.heard) >= 9, "what is retained comes")
            getattr(broker, end)()
            recorder.heard.clear()
            broker.start()
            with listening(broker.port, *STANDS, MARK) as client:
                answered(client, "plant/later")
                marked(client)
            again = {m.topic for m in recorder.heard if not m.retain}
        finally:
            recorder.close()
        assert {topic.rpartition("/")[2] for topic in again} <= {"later", "plant"}
        assert "not as they should be" not in (tmp_path / "alone.log").read_text()


def test_a_broker_with_an_old_file_gets_what_changed_since_and_loses_what_went(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "broker"
    extra = f"persistence true\npersistence_location {folder}/\nautosave_interval 3600"
    with Mosquitto(folder, extra=extra) as broker, orchestrator(broker, tmp_path, SETTINGS):
        ready(broker)
        with listening(broker.port, *STANDS, MARK) as client:
            answered(client, "plant/stays")
            answered(client, "plant/goes")
            old = marked(client)
            os.kill(broker.pid, signal.SIGUSR1)
            until((folder / "mosquitto.db").exists, "the broker writes its file")
            until(lambda: old in (folder / "mosquitto.db").read_bytes(), "with all in it")
            answered(client, "plant/comes")
            client.publish("plant/goes/fault", {"code": "E005", "state": "cleared"})
            client.next(lambda m: m.topic == "andon/answer/plant/goes" and not m.payload)
            answered(client, "plant/stays", "E007")
            marked(client)
        before = retained(broker)
        broker.kill()
        broker.start()
        # It said active there; that it was cleared once is nothing that stands.
        assert json.loads(before.pop("andon/alarm/plant/goes"))["state"] == "cleared"
        assert not any(topic.endswith("/goes") for topic in before)
        becomes(broker, before)
    assert "Traceback" not in (tmp_path / "alone.log").read_text()


def test_at_the_start_it_is_put_right_and_what_is_not_ours_to_judge_stays(tmp_path: Path) -> None:
    stranger: dict[str, Any] = {"id": "of-a-ledger-that-was-lost", "stage": "final"}
    with Mosquitto(tmp_path / "broker") as broker:
        with orchestrator(broker, tmp_path, SETTINGS):
            ready(broker)
            with listening(broker.port, *STANDS) as client:
                answered(client, "plant/m1")
            before = retained(broker)
        with listening(broker.port) as client:
            client.publish("andon/display/plant/m1", b"", retain=True)
            client.publish("andon/answer/plant/m1", b"\xffnot JSON", retain=True)
            client.publish("andon/answer/plant/other", stranger, retain=True)
            client.publish("andon/flood/nowhere", {"active": 1}, retain=True)
        with orchestrator(broker, tmp_path, SETTINGS):
            until(lambda: before.items() <= retained(broker).items(), "ours is put right")
            with listening(broker.port, *STANDS, MARK) as client:
                answered(client, "plant/later")
                marked(client)
            after = {t: p for t, p in retained(broker).items() if not t.endswith("/later")}
        assert json.loads(after.pop("andon/answer/plant/other")) == stranger
        assert json.loads(after.pop("andon/flood/nowhere")) == {"active": 1}
        assert after == before
    assert "Traceback" not in (tmp_path / "alone.log").read_text()
