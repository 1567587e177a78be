"""Documents on their way in, whole processes, and kills at moments a seed decides."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import SOON_S, Andon, listening
from tests.support.processes import send, wait_for, wait_gone
from tests.support.texts import ENGLISH

pytestmark = pytest.mark.faults

ENTRIES = 300
CODES = "Code,Fault,Cause,Remedy\nE005,DC bus undervoltage,mains too low,check the supply\n"


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Andon]:
    with Andon(tmp_path_factory.mktemp("behind")) as running:
        yield running


def long_list(folder: Path, name: str, n: int = ENTRIES) -> Path:
    """A fault list whose vectors take a while: no two rows are equal."""
    rows = [
        f'F{10000 + i},"{ENGLISH[i % 50][:60]} {i}","{ENGLISH[i % 47]}","{ENGLISH[i % 43]} {i}"'
        for i in range(n)
    ]
    path = folder / name
    path.write_text("Code,Fault,Cause,Remedy\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def first(andon: Andon, question: str) -> dict[str, Any]:
    hits = andon.json("search", question, "--limit", "1")
    return dict(hits[0]) if hits else {"file": "", "revision": 0, "text": ""}


def held(andon: Andon, file: str) -> tuple[int, int, int]:
    """Passages, vectors, and the highest number of a passage of a file, as they are on disk."""
    with closing(sqlite3.connect(f"file:{andon.data / 'corpus.db'}?mode=ro", uri=True)) as db:
        found = db.execute(
            "SELECT count(*), count(v.passage), coalesce(max(p.id), 0) FROM documents d"
            " JOIN passages p ON p.document = d.id LEFT JOIN vectors v ON v.passage = p.id"
            " WHERE d.file = ?",
            (file,),
        ).fetchone()
    return (int(found[0]), int(found[1]), int(found[2]))


def until_ready(andon: Andon, file: str) -> dict[str, Any]:
    deadline = time.monotonic() + 3 * SOON_S
    while time.monotonic() < deadline:
        for state in andon.documents():
            if state["file"] == file and state["state"] in {"ready", "failed"}:
                return state
        time.sleep(0.2)
    raise TimeoutError(f"{file} is not ready:\n{andon.said()[-4000:]}")


def test_a_list_is_found_by_code_while_the_vectors_of_another_are_made(
    andon: Andon, tmp_path: Path
) -> None:
    many = 1000
    long = long_list(tmp_path, "long.csv", many)
    small = tmp_path / "small.csv"
    small.write_text(CODES, encoding="utf-8")
    with listening(andon.port, "andon/document/#") as listener:
        added = andon.json("add", str(long), str(small), "--searchable")
        assert [one["searchable"] for one in added] == [True, True]
        assert first(andon, "F10321")["file"] == "long.csv"
        assert first(andon, "E005")["file"] == "small.csv"
        told: dict[str, dict[str, Any]] = {}
        while not told.get("small.csv", {}).get("searchable"):
            state = json.loads(listener.next(lambda m: m.payload).payload)
            told[state["file"]] = state
    before = told["long.csv"]
    assert (before["state"], before["searchable"]) == ("indexing", True)
    assert before.get("vectors_done", 0) < before["passages"] == many, (
        "the second one waited for the vectors of the first"
    )
    assert until_ready(andon, "long.csv")["vectors_done"] == many
    assert until_ready(andon, "small.csv")["state"] == "ready"


def test_progress_is_published(andon: Andon, tmp_path: Path) -> None:
    with listening(andon.port, "andon/document/#") as listener:
        path = long_list(tmp_path, "told.csv", 300)
        done = andon.cli("add", str(path))
        assert done.returncode == 0, done.stderr
        assert "can be searched" in done.stderr
        assert done.stdout.startswith("ready")
        seen = []
        while not seen or seen[-1]["state"] != "ready":
            message = listener.next(lambda m: b'"told.csv"' in m.payload)
            seen.append(json.loads(message.payload))
    steps = list(dict.fromkeys((s["state"], s.get("searchable", False)) for s in seen))
    assert steps[-2:] == [("indexing", True), ("ready", True)]
    vectors = [s.get("vectors_done", 0) for s in seen]
    assert vectors == sorted(vectors)
    assert vectors[-1] == 300
    assert any(0 < n < 300 for n in vectors)
    times = {s.get("vectors_done", 0): s["updated"] for s in seen}
    assert len(set(times.values())) == len(times), "`updated` stands still while vectors are made"


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_the_work_goes_on_where_it_was(
    andon: Andon, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    name = f"killed-{seed}.csv"
    text = long_list(tmp_path, name).read_text(encoding="utf-8").replace("\nF1", f"\nG{seed}1")
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert andon.cli("add", str(tmp_path / name), "--no-wait").returncode == 0
    for _ in range(3):
        time.sleep(dice.uniform(0.05, 2.5))
        victim = dice.choice(["retriever", "ingest"])
        pid = wait_for(andon.up_pid, victim)
        before = held(andon, name)
        send(pid, signal.SIGKILL)
        wait_gone(pid)
        after = held(andon, name)
        assert after[:2] >= before[:2], "what was kept is lost"
    state = until_ready(andon, name)
    assert (state["state"], state["passages"]) == ("ready", ENTRIES), state["reason"]
    assert held(andon, name)[:2] == (ENTRIES, ENTRIES)
    assert first(andon, f"G{seed}10123")["file"] == name


def test_what_is_in_the_corpus_is_not_read_again(andon: Andon, tmp_path: Path) -> None:
    """Whatever is killed then: no passage comes back under a new number."""
    path = long_list(tmp_path, "once.csv")
    path.write_text(path.read_text(encoding="utf-8").replace("\nF1", "\nH1"), encoding="utf-8")
    andon.json("add", str(path), "--searchable")
    _, vectors, last = held(andon, "once.csv")
    assert vectors < ENTRIES
    for name in ("ingest", "retriever", "ingest"):
        pid = wait_for(andon.up_pid, name)
        send(pid, signal.SIGKILL)
        wait_gone(pid)
        assert held(andon, "once.csv")[1] >= vectors
    with listening(andon.port, "andon/document/#") as listener:
        wait_for(andon.up_pid, "ingest", but=pid)
        until_ready(andon, "once.csv")
        phases = set()
        while "ready" not in phases:
            message = listener.next(lambda m: b'"once.csv"' in m.payload)
            phases.add(json.loads(message.payload)["state"])
    assert "reading" not in phases
    assert held(andon, "once.csv") == (ENTRIES, ENTRIES, last)


def test_a_document_that_fails_leaves_nothing_behind(andon: Andon, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing more")
    [state] = andon.json_whatever("add", str(broken))
    assert state["state"] == "failed"
    assert held(andon, "broken.pdf") == (0, 0, 0)
