"""`andon record` and `andon replay` against a real broker."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.player import Player
from services.replay import record
from services.runtime.errors import Rejected
from tests.support.andon import ROOT, SOON_S, Listener, listening
from tests.support.mosquitto import Mosquitto
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.integration


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def config(broker: Mosquitto, folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(f"broker:\n  url: {broker.url}\n", encoding="utf-8")
    return path


def andon(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def recording(path: Path, messages: list[tuple[float, str, Any]], *extra: str) -> Path:
    lines = [json.dumps({"at": at, "topic": t, "payload": p}) for at, t, p in messages]
    text = "\n".join([*lines, *extra, ""])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def so_far(path: Path) -> bytes:
    """What a recording that is being written holds."""
    written = path.read_bytes()
    return zlib.decompressobj(31).decompress(written) if path.suffix == ".gz" else written


def received(listener: Listener, n: int) -> list[tuple[str, bytes]]:
    return [(m.topic, m.payload) for m in (listener.next() for _ in range(n))]


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_a_recording_is_published_in_order_and_wrong_lines_are_told(
    broker: Mosquitto, tmp_path: Path, name: str
) -> None:
    messages = [(n / 10, f"plant/m{n % 7}/fault", {"code": n}) for n in range(300)]
    path = recording(tmp_path / name, messages, "no json", '{"at": 1, "topic": "a/#"}')
    with listening(broker.port, "#") as listener:
        done = andon("replay", str(path), "--speed", "0", "--config", str(config(broker, tmp_path)))
        got = received(listener, 300)
    assert got == [(t, json.dumps(p).encode()) for _, t, p in messages]
    assert done.returncode == 1
    assert done.stdout.startswith("300 sent, 2 rejected, ")
    assert "line 301: not a JSON object" in done.stderr
    assert "line 302: nothing can be published on 'a/#'" in done.stderr


def test_prefix_loop_and_json(broker: Mosquitto, tmp_path: Path) -> None:
    path = recording(tmp_path / "day.jsonl", [(0, "plant/m/fault", "E1"), (1, "x", "E2")])
    arguments = ["--speed", "1000", "--topic-prefix", "test/", "--loop", "3", "--json"]
    with listening(broker.port, "#") as listener:
        done = andon("replay", str(path), *arguments, "--config", str(config(broker, tmp_path)))
        got = received(listener, 6)
    assert got == [("test/plant/m/fault", b"E1"), ("test/x", b"E2")] * 3
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["sent"], summary["rejected"], summary["skipped"]) == (6, [], 0)


def test_a_dry_run_needs_no_broker_and_tells_the_times(tmp_path: Path) -> None:
    path = recording(tmp_path / "day.jsonl", [(100, "a", "E1"), (130, "b", {"code": "E2"})])
    done = andon("replay", str(path), "--speed", "10", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["0.000", "s", "a", "E1"],
        ["3.000", "s", "b", '{"code":', '"E2"}'],
        ["2", "would", "be", "sent,", "0", "rejected,", "3.0", "s"],
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("replay", "none.jsonl", "--dry-run"), 1, "none.jsonl: No such file"),
        (("replay", "x", "--speed", "-1"), 2, "allowed: 0 to 1000000"),
        (("replay", "x", "--loop", "0"), 2, "allowed: 1 and more"),
        (("replay", "x", "--topic-prefix", "a/#", "--dry-run"), 1, "nothing can be published"),
        (("replay", "-", "--loop", "2", "--dry-run"), 1, "standard input can be played once"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = andon(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_compressed_file_cut_short_is_told(tmp_path: Path) -> None:
    path = recording(tmp_path / "day.jsonl.gz", [(n, "a", "E1" * n) for n in range(500)])
    path.write_bytes(path.read_bytes()[:-20])
    done = andon("replay", str(path), "--dry-run")
    assert done.returncode == 1
    assert "end-of-stream" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_compressed_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl.gz"
    lines = "".join(f'{{"at":"2026-01-01T00:00:00Z","topic":"t/{n**9}"}}\n' for n in range(3000))
    whole = gzip.compress(lines.encode())
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b"\xff" * 8 + whole[middle + 8 :])
    done = andon("replay", str(path), "--dry-run")
    assert done.returncode == 1
    assert f"read {path}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_broker_it_says_so(tmp_path: Path) -> None:
    path = recording(tmp_path / "day.jsonl", [(0, "a", "E1")])
    given = tmp_path / "config.yaml"
    given.write_text("broker:\n  url: mqtt://127.0.0.1:1\n", encoding="utf-8")
    done = andon("replay", str(path), "--config", str(given))
    assert done.returncode == 69
    assert "is Andon running?" in done.stderr


async def test_messages_wait_for_their_time(tmp_path: Path) -> None:
    path = recording(tmp_path / "day.jsonl", [(0, "a", ""), (4, "b", ""), (2, "c", "")])
    loop = asyncio.get_running_loop()
    times: dict[str, float] = {}

    async def publish(topic: str, _payload: bytes) -> None:
        times[topic] = loop.time()

    player = Player(speed=20)
    await player.play(path, publish, loop=1, tick=lambda: None)
    assert list(times) == ["a", "b", "c"]
    assert times["b"] - times["a"] >= 0.19  # a lower bound: never early, however slow the machine
    assert player.summary.sent == 3


async def test_a_message_that_is_refused_ends_it_with_the_reason(tmp_path: Path) -> None:
    path = recording(tmp_path / "day.jsonl", [(0, "a", ""), (0, "b", "")])

    async def publish(topic: str, _payload: bytes) -> None:
        raise Rejected(f"publish {topic}", "not authorised")

    with pytest.raises(Rejected, match="not authorised"):
        await Player(speed=0).play(path, publish, loop=1, tick=lambda: None)


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_what_is_recorded_can_be_played(broker: Mosquitto, tmp_path: Path, name: str) -> None:
    given = str(config(broker, tmp_path))
    path = tmp_path / name
    sent = [("plant/m1/fault", b'{"code": "E5"}'), ("plant/m2/fault", b"\xff\x00"), ("x/y", b"")]
    command = [sys.executable, "-m", "services.cli", "record", str(path), "--config", given]
    with listening(broker.port) as machine:
        machine.publish("plant/old/fault", "kept by the broker", retain=True)
        process = subprocess.Popen(
            [*command, "--topic", "plant/+/fault", "x/#"],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            assert "recording plant/+/fault x/#" in process.stderr.readline()
            for topic, payload in sent:
                machine.publish(topic, payload)
            machine.publish("x/last", "1")
            deadline = time.monotonic() + SOON_S
            while b'"x/last"' not in so_far(path):  # nothing is behind it
                assert time.monotonic() < deadline, "it is not recorded"
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert out == f"4 messages in {path}\n"
    again = andon("record", str(path), "--config", given)
    assert (again.returncode, "the file exists" in again.stderr) == (1, True)
    with listening(broker.port, "x/#", "plant/+/fault") as listener:
        done = andon("replay", str(path), "--speed", "0", "--config", given)
        got = received(listener, 5)
    assert done.returncode == 0, done.stderr
    assert [one for one in got if one[0] != "plant/old/fault"] == [*sent, ("x/last", b"1")]


def test_a_real_machines_log_is_played(broker: Mosquitto, tmp_path: Path) -> None:
    log = needed_data() / "mqtt" / "mtconnect" / "okuma_shdr_log.txt"
    lines = [
        record("plant/okuma/fault", rest.encode(), at)
        for at, _, rest in (
            line.partition("|") for line in log.read_text(encoding="utf-8").splitlines()[:2000]
        )
        if at.endswith("Z") and rest
    ]
    assert len(lines) > 10
    path = tmp_path / "okuma.jsonl"
    path.write_bytes(b"".join(lines))
    with listening(broker.port, "#") as listener:
        given = str(config(broker, tmp_path))
        done = andon("replay", str(path), "--speed", "0", "--config", given, "--json")
        got = received(listener, len(lines))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"] == len(lines)
    written = [json.loads(line)["payload"] for line in lines]
    assert [payload.decode() for _, payload in got] == written
