"""Files damaged while Andon was stopped: it comes up, says so, keeps them aside, and answers."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import Andon, listening
from tests.support.damage import is_sound, overwrite, seed_of
from tests.support.knowing import Knowing
from tests.support.mosquitto import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SEED = seed_of("ANDON_DAMAGE_SEED", 20260202)
SOON_S = 90.0


def made(tmp_path: Path, knowing: Knowing) -> Andon:
    """An Andon that has a document and has answered, stopped again."""
    config = f"llm_bridge: {{url: 'http://127.0.0.1:{free_port()}'}}\n"
    knowing(tmp_path)
    andon = Andon(tmp_path, config)
    with andon:
        fault(andon, "before")
        with listening(andon.port, "andon/answer/plant/#") as client:
            client.answer()  # the one that is retained
            for number in range(150):
                client.publish(f"plant/m{number}/fault", f"E{number % 9:03d}")
            for _ in range(150):
                client.answer()
    return andon


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory, knowing: Knowing) -> Andon:
    return made(tmp_path_factory.mktemp("pattern"), knowing)


@pytest.fixture
def andon(tmp_path: Path, pattern: Andon) -> Andon:
    """A copy of it."""
    shutil.copytree(pattern.data, tmp_path / "data")
    return Andon(tmp_path, pattern.config.read_text(encoding="utf-8"))


def fault(andon: Andon, name: str) -> dict[str, Any]:
    with listening(andon.port, f"andon/answer/plant/{name}") as client:
        client.publish(f"plant/{name}/fault", "E005")
        return client.answer()


def until(true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def events(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT count(*) FROM event").fetchone()
    return int(row[0])


def told(andon: Andon, service: str, name: str) -> str:
    """What `andon status` says of a file, that lies aside where it says."""
    status = andon.json_whatever("status")[service]
    assert status["state"] == "degraded", status
    reason: str = status["reason"]
    assert f"{name} was damaged" in reason
    aside = Path(reason.split("is set aside as ")[1].split(";", maxsplit=1)[0])
    assert aside.exists()
    assert aside.name.startswith(f"{name}.damaged-")
    assert f"{name} was damaged" in andon.said()
    return reason


@pytest.mark.parametrize("head", [True, False])
def test_a_damaged_ledger_goes_on_with_what_can_be_read(andon: Andon, head: bool) -> None:
    path = andon.data / "ledger.db"
    before = events(path)
    chance = random.Random(SEED + head)
    while is_sound(path):
        overwrite(path, chance, 3, head=head)
    with andon:
        answer = fault(andon, "after")
        reason = told(andon, "orchestrator", "ledger.db")
    assert answer["citations"]
    assert "event" in reason
    assert is_sound(path)
    # Three pages of some hundred, an event's being one of two or three kinds.
    assert events(path) > before / 2
    for aside in andon.data.glob("ledger.db.damaged-*"):
        aside.rename(andon.data / f"seen-{aside.name}")
    with andon:
        assert "ledger.db" not in andon.json_whatever("status")["orchestrator"]["reason"]


def test_a_ledger_cut_off_is_repaired_and_told_until_somebody_saw_it(andon: Andon) -> None:
    path = andon.data / "ledger.db"
    os.truncate(path, 30_000)
    (leftover := andon.data / ".ledger.db-0123abcd").mkdir()
    with andon:
        assert fault(andon, "after")["citations"]
        told(andon, "orchestrator", "ledger.db")
    assert is_sound(path)
    assert not leftover.exists()
    with andon:
        told(andon, "orchestrator", "ledger.db")


def test_a_ledger_of_nulls_is_begun_anew(andon: Andon) -> None:
    path = andon.data / "ledger.db"
    path.write_bytes(bytes(path.stat().st_size))
    with andon:
        assert fault(andon, "after")["citations"]
        told(andon, "orchestrator", "ledger.db")
    assert is_sound(path)


@pytest.mark.parametrize("head", [True, False])
def test_a_damaged_corpus_is_built_again_from_the_originals(andon: Andon, head: bool) -> None:
    path = andon.data / "corpus.db"
    chance = random.Random(SEED + 10 + head)
    while is_sound(path):
        overwrite(path, chance, 5, head=head)
    with andon:
        told(andon, "retriever", "corpus.db")
        until(lambda: [d["state"] for d in andon.documents()] == ["ready"], "not read again")
        until(lambda: andon.json("search", "E005"), "nothing is found")
        assert fault(andon, "after")["citations"]
    assert is_sound(path)


def test_a_corpus_lost_while_it_runs_is_noticed(andon: Andon) -> None:
    """The retriever dies, and its file is damaged before it is back; ingest runs on."""
    path = andon.data / "corpus.db"
    with andon:
        overwrite(path, random.Random(SEED + 20), 40, head=True)
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        andon.kill("retriever")
        until(lambda: list(andon.data.glob("corpus.db.damaged-*Z")), "not set aside")
        until(lambda: "the retriever lacks it" in andon.said(), "ingest did not notice")
        until(lambda: [d["state"] for d in andon.documents()] == ["ready"], "not read again")
        until(lambda: andon.cli("search", "E005", "--json").stdout.strip() != "[]", "not found")
        assert fault(andon, "after")["citations"]


def test_a_damaged_library_keeps_its_documents(andon: Andon) -> None:
    path = andon.data / "library.db"
    path.write_bytes(random.Random(SEED).randbytes(path.stat().st_size))
    with andon:
        reason = told(andon, "ingest", "library.db")
        assert "originals are untouched" in reason
        assert fault(andon, "after")["citations"]
        # It answers, so the library takes it from the retriever.
        until(andon.documents, "not adopted")
        [document] = andon.json("documents")
        assert document["state"] == "ready"
        assert andon.cli("remove", document["doc_id"]).returncode == 0
        assert andon.json("search", "E005") == []


def test_a_library_with_a_damaged_first_page_is_recovered(andon: Andon) -> None:
    path = andon.data / "library.db"
    with andon:
        known = andon.json("documents")
    overwrite(path, random.Random(SEED), 1, head=True)
    with andon:
        told(andon, "ingest", "library.db")
        assert andon.json("documents") == known


def test_damaged_vectors_are_built_again(andon: Andon) -> None:
    [path] = (andon.data / "vectors").glob("*.hnsw")
    overwrite(path, random.Random(SEED), 5)
    damaged = path.read_bytes()
    with andon:
        corpus = andon.json_whatever("status")["retriever"]["facts"]
        andon.status("retriever", lambda said: said["facts"]["vectors"] == corpus["passages"])
        assert fault(andon, "after")["citations"]
    [path] = (andon.data / "vectors").glob("*.hnsw")
    assert path.read_bytes() != damaged
