"""The whole way: a backup of an Andon at work, and a second Andon that answers like the first."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import ROOT, Andon, listening
from tests.support.sample import sample_manual

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ASSETS = [f"plant/m{number}" for number in range(4)]
ADDED = 6
CONFIG = "ingest: {inbox_scan_s: 0.1, inbox_settle_s: 0.3, inbox_grace_s: 1.0}\n"
PROMPT = "{% block system %}Be brief.{% endblock %}{% block question %}{{ question }}{% endblock %}"


@dataclass
class Past:
    """What the first Andon said, and its backups."""

    folder: Path
    key: Path
    sure: dict[str, Any]
    """Before its first backup was begun."""
    told: dict[str, Any]
    """Before its last one."""
    backups: list[str]
    """The files, the last of a moment of rest."""


@contextmanager
def at_work(andon: Andon, folder: Path) -> Iterator[None]:
    """Faults pour in and documents are added, for the length of a block."""
    over = threading.Event()
    failed: list[str] = []

    def press() -> None:
        with listening(andon.port) as client:
            number = 0
            while not over.wait(0.005):
                number += 1
                client.publish(f"plant/load{number % 50}/fault", {"code": f"E{number % 20:03}"})

    def add() -> None:
        for number in range(ADDED):
            path = folder / f"note-{number}.md"
            path.write_text(f"# Station {number}\n\nE9{number:02}: belt {number} worn.\n")
            done = andon.cli("add", str(path))
            if done.returncode:
                failed.append(done.stderr)

    workers = [threading.Thread(target=press), threading.Thread(target=add)]
    for worker in workers:
        worker.start()
    try:
        yield
        workers[1].join()
    finally:
        over.set()
        for worker in workers:
            worker.join()
    assert failed == []


def answers(andon: Andon) -> dict[str, Any]:
    """What each machine that reports E005 is told: id, and what is cited."""
    found = {}
    for asset in ASSETS:
        with listening(andon.port, f"andon/answer/{asset}") as client:
            client.publish(f"{asset}/fault", {"code": "E005"})
            answer = client.answer()
            cited = [(c["doc_id"], c["page"], c["quote"]) for c in answer["citations"]]
            found[asset] = (answer["id"], cited)
    return found


def alarms(andon: Andon) -> dict[str, Any]:
    """The alarms the broker retains for the machines."""
    topics = [f"andon/alarm/{asset}" for asset in ASSETS]
    found: dict[str, Any] = {}
    with listening(andon.port, *topics) as client:
        while len(found) < len(ASSETS):
            message = client.next(lambda m: bool(m.payload))
            alarm = json.loads(message.payload)
            found[message.topic] = (alarm["code"], alarm["answer_id"], alarm["first_seen"])
    return found


def library(andon: Andon) -> list[tuple[Any, ...]]:
    return [
        (d["doc_id"], d["revision"], d["sha256"], *d["tags"], d["passages"])
        for d in andon.json("documents")
        if d["state"] == "ready" and d["file"] != "late.md"
    ]


def state(andon: Andon) -> dict[str, Any]:
    """What an Andon knows and says."""
    return {
        "library": library(andon),
        "found": [
            (row["file"], row["page"], row["text"])
            for code in ("E005", "E903")
            for row in andon.json("search", code)
            if row["file"] != "late.md"
        ],
        "prompts": andon.json("prompt", "list"),
        "prompt": andon.json("prompt", "show", "fault.en")["text"],
        "alarms": alarms(andon),
    }


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("backups")
    key = folder / "key"
    key.write_text("correct horse battery staple")
    (folder / "first").mkdir()
    to = folder / "to"
    with Andon(folder / "first", CONFIG) as first:
        first.json("add", str(sample_manual(folder, "pdf")), "--tag", "main")
        (folder / "prompt.txt").write_text(PROMPT)
        first.json("prompt", "save", "fault.en", str(folder / "prompt.txt"), "--activate")
        given = answers(first)
        sure = {**state(first), "answers": given}
        with at_work(first, folder):
            backups = [
                first.json("backup", str(to), "--key-file", str(key))["path"] for _ in range(3)
            ]
        refused = first.cli("restore", str(to), "--key-file", str(key), "--force")
        assert "services run on" in refused.stderr
        told = {**state(first), "answers": given}
        # It is in the inbox when the backup is made, and perhaps in nothing else.
        (first.data / "inbox" / "late.md").write_text("# Late\n\nE977: it came at last.\n")
        backups.append(first.json("backup", str(to), "--key-file", str(key))["path"])
    return Past(folder, key, sure, told, backups)


@contextmanager
def restored(past: Past, number: int) -> Iterator[Andon]:
    """An Andon of one of the backups."""
    folder = past.folder / f"second{number}"
    folder.mkdir()
    command = [sys.executable, "-m", "services.cli", "restore", past.backups[number]]
    command += ["--to", str(folder / "data"), "--key-file", str(past.key)]
    command += ["--config", str(past.folder / "first" / "given.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Andon(folder, CONFIG) as andon:
        yield andon
        assert "Traceback" not in andon.said()
        assert "is damaged" not in andon.said()


def taken_in(andon: Andon, *names: str) -> None:
    """Wait until documents are ready: the broker tells of each change."""
    wanted = set(names)
    with listening(andon.port, "andon/document/#") as client:
        while wanted:
            message = client.next(lambda m: bool(m.payload))
            said = json.loads(message.payload)
            if said["state"] == "ready":
                wanted.discard(said["file"])


def test_a_second_andon_is_like_the_first(past: Past) -> None:
    with restored(past, -1) as second:
        now = state(second)
        assert now == {name: what for name, what in past.told.items() if name != "answers"}
        assert answers(second) == past.told["answers"]  # the same alarms, once more
        taken_in(second, "late.md")


def test_what_was_there_before_a_backup_of_the_busiest_moment(past: Past) -> None:
    with restored(past, 0) as second:
        now = state(second)
        assert set(past.sure["library"]) <= set(now["library"])
        assert set(past.sure["found"]) <= set(now["found"])
        for name in ("prompts", "prompt", "alarms"):
            assert now[name] == past.sure[name]
        assert answers(second) == past.sure["answers"]
        # Whatever arrived during the backup is whole, or is taken in again.
        taken_in(second, *(d["file"] for d in second.json("documents")))
