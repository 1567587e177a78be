"""The data folder's disk is full, slow or gives up: no ack, a clear word, and on by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import ROOT, Andon, listening
from tests.support.damage import is_sound
from tests.support.knowing import Knowing
from tests.support.mosquitto import free_port

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("mount"), reason="only root may mount a small disk"
    ),
]

SOON_S = 60.0


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, check=False, timeout=60
    )


@contextlib.contextmanager
def mounted(folder: Path, *how: str | Path) -> Iterator[Path]:
    """A disk on `folder/data`; the broker's files lie beside it, not on it."""
    data = folder / "data"
    data.mkdir()
    done = run("mount", *how, data)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        (folder / "broker").mkdir()
        (data / "broker").symlink_to(folder / "broker")
        yield data
    finally:
        done = run("umount", data)
        if done.returncode:
            run("umount", "--lazy", data)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder whose `data` is a disk of 64 MB."""
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=64m", "tmpfs"):
        yield tmp_path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder whose `data` is a file system of its own in a file."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * 2**20)
    if not shutil.which("mkfs.ext4") or run("mkfs.ext4", "-q", "-F", image).returncode:
        pytest.skip("mkfs.ext4 is missing")
    with mounted(tmp_path, "-o", "loop", image):
        yield tmp_path


def config() -> str:
    return f"llm_bridge: {{url: 'http://127.0.0.1:{free_port()}'}}\norchestrator: {{lease_s: 5}}\n"


def fill(data: Path) -> Path:
    """Leave no byte free."""
    ballast = data / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (2**20, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    return ballast


def until(true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def assets(path: Path) -> list[str]:
    """Topics of the faults in a ledger."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT topic FROM event ORDER BY id")]


def test_faults_on_a_full_disk_are_answered_when_there_is_room(
    small: Path, knowing: Knowing
) -> None:
    knowing(small)
    andon = Andon(small, config())
    with andon:
        ballast = fill(andon.data)
        # More than fits into the room that the WAL holds already.
        topics = [f"plant/full{number}/fault" for number in range(600)]
        with listening(andon.port, "andon/answer/plant/#") as client:
            for topic in topics:
                client.publish(topic, '{"code": "E005", "text": "' + "x" * 2000 + '"}')
            full = andon.status("orchestrator", lambda said: "disk is full" in said["reason"])
            assert full["state"] == "degraded"
            assert str(andon.data) in full["reason"]
            kept = assets(andon.data / "ledger.db")
            assert len(kept) < len(topics), "the disk was not full"
            pid = full["pid"]
            ballast.unlink()
            finals = [client.answer()["asset"] for _ in topics]
            assert len(set(finals)) == len(topics), "an answer went out twice"
        assert sorted(assets(andon.data / "ledger.db")) == sorted(topics)
        now = andon.status("orchestrator", lambda said: "full" not in said["reason"])
        assert now["pid"] == pid, "it was restarted"
    assert andon.exit_code == 0
    assert "Traceback" not in andon.said()
    for name in ("ledger.db", "corpus.db", "library.db"):
        assert is_sound(andon.data / name)


def test_a_document_on_a_full_disk_waits_for_room(small: Path) -> None:
    note = small / "note.txt"
    lines = [f"Valve {n} of hall {n % 7} opens at {n % 91} bar." for n in range(3000)]
    note.write_text("\n\n".join([*lines, "The gland of pump P9 is violet."]), encoding="utf-8")
    andon = Andon(small, config())
    with andon:
        ballast = fill(andon.data)
        refused = andon.cli("add", str(note))
        assert refused.returncode != 0
        assert "No space left" in refused.stdout + refused.stderr
        assert [p.name for p in (andon.data / "originals").glob("*")] == []
        ballast.unlink()
        assert andon.cli("add", str(note), "--no-wait").returncode == 0
        ballast = fill(andon.data)
        services = ("ingest", "retriever")
        until(
            lambda: any("disk" in andon.status(s)["reason"] for s in services),
            "the status does not say it",
        )
        ballast.unlink()
        until(lambda: [d["state"] for d in andon.documents()] == ["ready"], "not taken up again")
        assert any("violet" in row["text"] for row in andon.json("search", "gland of pump P9"))
    assert "Traceback" not in andon.said()


def test_a_disk_that_became_read_only_is_named_and_waited_for(small: Path) -> None:
    """What a kernel does with a failing disk; systemd starts the services until it is back."""
    service = [sys.executable, "-m", "services.orchestrator", "--config", str(small / "c.yaml")]
    text = f"data: {small / 'data'}\nbroker: {{url: 'mqtt://127.0.0.1:{free_port()}'}}\n"
    (small / "c.yaml").write_text(text, encoding="utf-8")
    Path(small / "data" / "ledger.db").touch()
    assert run("mount", "-o", "remount,ro", small / "data").returncode == 0
    done = subprocess.run(
        service, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert run("mount", "-o", "remount,rw", small / "data").returncode == 0
    assert f"the disk of {small / 'data'} is read-only" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1, "only a wrong configuration is not tried again"


def test_a_slow_disk_delays_the_ack_and_loses_nothing(disk: Path, knowing: Knowing) -> None:
    if not shutil.which("fsfreeze"):
        pytest.skip("fsfreeze is missing")
    knowing(disk)
    andon = Andon(disk, config())
    with andon, listening(andon.port, "andon/answer/plant/#", "andon/alarm/plant/#") as client:
        assert run("fsfreeze", "-f", andon.data).returncode == 0
        try:
            for number in range(20):
                client.publish(f"plant/slow{number}/fault", "E005")
            time.sleep(3.0)  # the disk stands still for so long
            assert client.waiting() == 0, "told before it was on the disk"
        finally:
            assert run("fsfreeze", "-u", andon.data).returncode == 0
        answered: set[str] = set()
        while len(answered) < 20:
            answered.add(client.answer()["asset"])
    assert "Traceback" not in andon.said()
    assert is_sound(andon.data / "ledger.db")
