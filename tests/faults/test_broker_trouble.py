"""The broker restarts, forgets, is killed, finds its file damaged, or is full: Andon goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from services import broker_file
from services.broker import program
from services.runtime.address import BrokerAddress
from services.runtime.mqtt import MqttBus
from tests.support import processes
from tests.support.alone import orchestrator
from tests.support.andon import Andon, Listener, listening
from tests.support.broker_files import spoiled
from tests.support.knowing import Knowing
from tests.support.mosquitto import Mosquitto
from tests.support.plc import Plc
from tests.support.recorder import Recorder

pytestmark = pytest.mark.faults

SOON_S = 60.0
CONFIG = "status_every_s: 1\n"
PATIENT_S = 90.0
"""Services wait longer and longer for a broker that goes again and again."""


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory, knowing: Knowing) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("andon")
    knowing(folder)
    with Andon(folder, CONFIG) as running:
        yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


def broker_of(andon: Andon) -> int:
    return processes.wait_for(andon.up_pid, "mosquitto")


def end_broker(andon: Andon, sent: signal.Signals) -> int:
    """End the broker and return its process id; `andon up` starts another after a second."""
    pid = broker_of(andon)
    processes.send(pid, sent)
    processes.wait_gone(pid)
    return pid


@contextmanager
def without_broker(andon: Andon, sent: signal.Signals) -> Iterator[None]:
    """End the broker for the length of a block: `andon up` is held, and starts another then."""
    old = broker_of(andon)
    processes.send(andon.up_pid, signal.SIGSTOP)
    try:
        processes.send(old, sent)
        processes.wait_gone(old)
        yield
    finally:
        processes.send(andon.up_pid, signal.SIGCONT)
    processes.wait_for(andon.up_pid, "mosquitto", but=old)


def database(andon: Andon) -> Path:
    return andon.data / "broker" / "mosquitto.db"


def in_ledger(andon: Andon, topic: str) -> int:
    with closing(sqlite3.connect(andon.data / "ledger.db", timeout=SOON_S)) as db:
        [found] = db.execute("SELECT count(*) FROM event WHERE topic = ?", (topic,)).fetchone()
        return int(found)


def answered(andon: Andon, asset: str) -> None:
    """A fault that is reported now is answered with what the manual says."""
    andon.pid("orchestrator")  # waits for it to be back
    with listening(andon.port, f"andon/answer/{asset}") as client:
        client.publish(f"{asset}/fault", "E005")
        assert final(client)["citations"]


def final(client: Listener) -> dict[str, Any]:
    """The next final answer."""
    message = client.next(lambda m: b'"stage":"final"' in m.payload, within_s=PATIENT_S)
    got: dict[str, Any] = json.loads(message.payload)
    return got


def test_a_restart_with_persistence_keeps_answers_and_sessions(andon: Andon) -> None:
    answered(andon, "plant/before")
    old = end_broker(andon, signal.SIGTERM)
    processes.wait_for(andon.up_pid, "mosquitto", but=old)
    andon.pid("orchestrator")
    with listening(andon.port, "andon/answer/plant/before") as client:
        assert client.next().retain
    answered(andon, "plant/after")


def test_a_restart_without_persistence_is_subscribed_to_anew(andon: Andon) -> None:
    with without_broker(andon, signal.SIGTERM):
        database(andon).unlink()
    answered(andon, "plant/forgotten")


def test_a_broker_that_forgot_all_is_told_of_documents_and_services_again(andon: Andon) -> None:
    answered(andon, "plant/known")
    with without_broker(andon, signal.SIGKILL):
        database(andon).unlink(missing_ok=True)
    until(lambda: _listens(andon.port), "the broker is back")
    with listening(andon.port, "andon/document/#") as client:
        client.next(lambda m: b'"state":"ready"' in m.payload)
    with listening(andon.port, "andon/answer/plant/known") as client:
        assert final(client)["citations"]
    until(lambda: andon.cli("status").returncode == 0, "every service has said that it is ready")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_killed_broker_loses_nothing_an_orchestrator_at_work_was_given(andon: Andon) -> None:
    andon.pid("orchestrator")
    plc = Plc(andon.port, "plc-kill", paho.MQTTv5)
    try:
        for number in range(100):
            plc.report("plant/burst", f"burst {number}", code="E007")
        until(lambda: len(plc.confirmed) >= 40, "the broker confirms")
        end_broker(andon, signal.SIGKILL)
        assert plc.all_confirmed(SOON_S)
    finally:
        plc.close()
    assert not plc.unheard
    with_repeats = lambda: in_ledger(andon, "plant/burst/fault") >= 100  # noqa: E731
    until(with_repeats, "all that was confirmed is in the ledger")


def test_a_killed_broker_still_has_what_waited_for_an_orchestrator_that_was_away(
    andon: Andon,
) -> None:
    andon.pid("orchestrator")
    orchestrator = processes.wait_for(andon.up_pid, "orchestrator")
    with listening(andon.port, "andon/answer/plant/waiting") as client:
        processes.send(orchestrator, signal.SIGKILL)
        client.publish("plant/waiting/fault", "E010")
        # `andon up` has it written; the next orchestrator is held, and the broker killed.
        following = processes.wait_for(andon.up_pid, "orchestrator", but=orchestrator)
        processes.send(following, signal.SIGSTOP)
        try:
            written = lambda: b"plant/waiting/fault" in database(andon).read_bytes()  # noqa: E731
            until(written, "the broker writes its file")
            end_broker(andon, signal.SIGKILL)
        finally:
            processes.send(following, signal.SIGCONT)
        assert final(client)["code"] == "E010"


def test_a_broker_file_of_nulls_is_set_aside_and_said(andon: Andon) -> None:
    with without_broker(andon, signal.SIGTERM):
        size = database(andon).stat().st_size
        database(andon).write_bytes(bytes(size))
    answered(andon, "plant/nulls")
    [aside] = database(andon).parent.glob("mosquitto.db.damaged-*")
    assert aside.read_bytes() == bytes(size)
    log = (database(andon).parent / "mosquitto.log").read_text(encoding="utf-8")
    for said in (andon.said(), log):
        assert "are nulls" in said
        assert aside.name in said


def test_a_broker_file_cut_short_does_not_keep_andon_from_starting(tmp_path: Path) -> None:
    (tmp_path / "data" / "broker").mkdir(parents=True)
    head = b"\x00\xb5\x00mosquitto db" + bytes(4) + b"\0\0\0\x06" + b"\0\0\0\x01\0\0\0\x10"
    (tmp_path / "data" / "broker" / "mosquitto.db").write_bytes(head + bytes(3))
    with Andon(tmp_path, CONFIG) as running:
        assert "it ends too early, after 34 bytes" in running.said()
        answer = running.json("ask", "anything")
        assert answer["stage"] == "final"
    assert running.exit_code == 0, running.said()


def test_a_broker_file_that_mosquitto_dies_of_is_set_aside(tmp_path: Path) -> None:
    other = Mosquitto(tmp_path / "other", persistence=True)
    with other, listening(other.port) as client:
        for number in range(5):
            client.publish(f"kept/{number}", "x" * 50, retain=True)
    bad = spoiled((other.folder / "mosquitto.db").read_bytes())
    folder = tmp_path / "data" / "broker"
    folder.mkdir(parents=True)
    (folder / "mosquitto.db").write_bytes(bad)
    assert broker_file.damage(folder / "mosquitto.db") == ""
    for number in range(5):  # of earlier troubles
        (folder / f"mosquitto.db.damaged-{number}").write_bytes(b"old")
        os.utime(folder / f"mosquitto.db.damaged-{number}", (number, number))
    with Andon(tmp_path, CONFIG) as running:
        assert "Mosquitto twice ended with code 1 with it" in running.said()
        assert running.json("ask", "anything")["stage"] == "final"
    assert running.exit_code == 0, running.said()
    kept = {one.read_bytes() for one in folder.glob("mosquitto.db.damaged-*")}
    assert kept == {bad, b"old"}
    assert len(list(folder.glob("mosquitto.db.damaged-*"))) == broker_file.KEPT_ASIDE


def test_every_cut_of_a_broker_file_that_mosquitto_would_not_take_is_known(
    tmp_path: Path,
) -> None:
    broker = Mosquitto(tmp_path / "broker", persistence=True)
    with broker, listening(broker.port) as client:
        for number in range(5):
            client.publish(f"kept/{number}", "x" * 50, retain=True)
    file = broker.folder / "mosquitto.db"
    whole = file.read_bytes()
    assert broker_file.damage(file) == ""
    ends = [n for n in range(1, len(whole)) if not _damage(tmp_path / "cut", whole[:n])]
    # What is left after a cut between two chunks is a file that can be read.
    assert len(ends) < 30
    for end in ends[:3]:
        file.write_bytes(whole[:end])
        with broker:
            pass
    assert _damage(tmp_path / "cut", bytes(len(whole)))
    half = len(whole) // 2
    assert _damage(tmp_path / "cut", whole[:half] + bytes(len(whole) - half))
    assert _damage(tmp_path / "cut", b"SQLite format 3\0" * 4)
    assert not _damage(tmp_path / "cut", b"")
    assert broker_file.damage(tmp_path / "none") == ""
    first = broker_file.set_aside(tmp_path / "cut")
    (tmp_path / "cut").write_bytes(b"again")
    assert broker_file.set_aside(tmp_path / "cut") != first


def _damage(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return broker_file.damage(path)


def test_a_session_taken_over_is_taken_back_and_said(andon: Andon) -> None:
    answered(andon, "plant/mine")
    intruder = paho.Client(
        paho.CallbackAPIVersion.VERSION2,
        client_id="andon-orchestrator",
        clean_session=False,
        manual_ack=True,
    )
    intruder.reconnect_delay_set(1, 1)
    try:
        intruder.connect("127.0.0.1", andon.port)
        intruder.loop_start()
        told = lambda: "another client uses the client id 'andon-orch" in andon.said()  # noqa: E731
        until(told, "the log names the trouble")
        with listening(andon.port, "andon/answer/plant/fought") as client:
            client.publish("plant/fought/fault", "E013")
            intruder.disconnect()
            intruder.loop_stop()
            # The next try comes late, so as not to fight for ever.
            assert final(client)["code"] == "E013"
    finally:
        intruder.disconnect()
        intruder.loop_stop()
        del intruder
    answered(andon, "plant/mine-again")


def test_a_full_queue_loses_what_the_broker_drops_and_nothing_else(tmp_path: Path) -> None:
    queued = 25
    extra = f"max_queued_messages {queued}\nmax_inflight_messages 20"
    ready = lambda: any(b'"ready"' in one.payload for one in recorder.heard)  # noqa: E731
    with Mosquitto(tmp_path / "broker", persistence=True, extra=extra) as broker:
        recorder = Recorder(broker.port, "watcher", "andon/status/orchestrator")
        plc = Plc(broker.port, "plc", paho.MQTTv5)
        try:
            with orchestrator(broker, tmp_path):
                until(ready, "the orchestrator is ready")
            for number in range(200):
                plc.report(f"plant/f{number}", f"full {number}", code="E001")
            assert plc.all_confirmed(SOON_S)
            recorder.heard.clear()
            with orchestrator(broker, tmp_path) as process:
                until(ready, "the orchestrator is ready again")
                plc.report("plant/later", "later", code="E002")
                held = sqlite3.connect(tmp_path / "ledger.db", timeout=SOON_S)
                with closing(held):
                    count = "SELECT count(*) FROM event"
                    least = lambda: held.execute(count).fetchone()[0] > 20  # noqa: E731
                    until(least, "what the broker kept arrives")
                    later = "SELECT count(*) FROM event WHERE topic = 'plant/later/fault'"
                    until(lambda: held.execute(later).fetchone()[0], "what comes later arrives")
                    [kept] = held.execute(count).fetchone()
                assert process.poll() is None
        finally:
            plc.close()
            recorder.close()
        # All were confirmed: a PUBACK is no promise of a broker whose queue is full.
        assert len(plc.confirmed) == 201
        assert kept <= queued + 20 + 1
        assert "Outgoing messages are being dropped" in broker.log.read_text()
    assert b"Traceback" not in (tmp_path / "alone.log").read_bytes()


@pytest.mark.parametrize("hung", [False, True], ids=["slow", "dead"])
def test_a_subscriber_that_does_not_read_slows_nobody(andon: Andon, hung: bool) -> None:
    andon.pid("orchestrator")
    command = [program("mosquitto_sub"), "-p", str(andon.port), "-t", "andon/#", "-q", "1"]
    command += ["-i", f"lazy-{hung}", "-c", "-d"]
    # Its pipe is full soon: it reads as fast as we do.
    lazy = subprocess.Popen(command, stdout=subprocess.PIPE)
    asset = f"plant/lazy{hung:d}"
    try:
        assert lazy.stdout
        while b"Subscribed" not in lazy.stdout.readline():
            pass
        if hung:
            os.kill(lazy.pid, signal.SIGSTOP)
        with listening(andon.port, f"andon/answer/{asset}0", f"andon/answer/{asset}last") as client:
            for number in range(150):
                client.publish(f"{asset}{number}/fault", "E005")
            final(client)
            client.publish(f"{asset}last/fault", "E007")
            client.next(lambda m: m.topic.endswith("last"))
        assert all(in_ledger(andon, f"{asset}{n}/fault") for n in range(150))
    finally:
        lazy.kill()
        lazy.communicate()
    status = andon.json_status()
    assert status["orchestrator"]["state"] == "ready"
    assert status["orchestrator"]["facts"]["rejected"] == 0


async def test_what_a_dying_broker_had_sent_is_read_though_acks_fail() -> None:
    """Faults that are in our socket's buffer when the broker dies are known to nobody else."""
    many = 60
    sent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _packet(reader)
        writer.write(b"\x20\x03\x00\x00\x00")
        while (packet := await _packet(reader))[0] >> 4 == 8:
            writer.write(b"\x90\x04" + packet[2:4] + b"\x00\x01")
            if b"t/x" in packet:
                break
        mids = [mid.to_bytes(2, "big") for mid in range(1, many + 1)]
        # At once: in packets of their own, all but ten would still be on our side.
        writer.write(b"".join(b"\x32\x08\x00\x03t/x" + mid + b"\x00" for mid in mids))
        await writer.drain()
        raw = writer.get_extra_info("socket")
        # As the kernel does for a killed process that had not read all: a reset.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
        sent.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bus = MqttBus(BrokerAddress.from_url(f"mqtt://127.0.0.1:{port}"), "a", reply_topic="r/a")
    async with server, bus, asyncio.timeout(SOON_S):
        inbox = await bus.consume("t/x")
        for _ in range(many):
            bus.ack(await inbox.get())
        await sent.wait()


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """One MQTT packet of less than 128 bytes."""
    head = await reader.readexactly(2)
    return head + await reader.readexactly(head[1])
