"""Readers and what they are forked from, killed while they read: nothing stays behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.andon import SOON_S, Andon
from tests.support.ingest import Drawn, names_in
from tests.support.processes import send, wait_for, wait_gone

pytestmark = pytest.mark.faults

PAGES = 80


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def andon(tmp_path: Path, temporary: Path) -> Iterator[Andon]:
    with Andon(tmp_path, TMPDIR=str(temporary)) as running:
        yield running


def long(path: Path) -> Path:
    drawn = Drawn(path)
    for page in range(PAGES):
        for line in range(40):
            drawn.line(f"Page {page} line {line}: check the supply of the drive, then reset it.")
        drawn.page()
    return drawn.save()


def at_work(ingest: int) -> dict[str, psutil.Process]:
    """The children of the service by name, once a reader has begun."""
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        found = {child.name(): child for child in psutil.Process(ingest).children()}
        if "andon-reader" in found and list(Path(found["andon-reader"].cwd()).glob("stderr")):
            return found
        time.sleep(0.02)
    raise TimeoutError("no reader is at work")


def ended(andon: Andon) -> dict[str, object]:
    """The state of the only document, when it has come to its end."""
    deadline = time.monotonic() + 3 * SOON_S
    while time.monotonic() < deadline:
        for state in andon.documents():
            if state["state"] in {"ready", "failed"}:
                return state
        time.sleep(0.2)
    raise TimeoutError(f"it is not ready:\n{andon.said()[-4000:]}")


def test_what_a_killed_service_left_is_cleared_away_at_its_next_start(
    andon: Andon, tmp_path: Path, temporary: Path
) -> None:
    assert andon.cli("add", str(long(tmp_path / "long.pdf")), "--no-wait").returncode == 0
    left = set()
    ingest = 0
    for _ in range(2):
        ingest = wait_for(andon.up_pid, "ingest", but=ingest)
        working = at_work(ingest)
        (folder,) = names_in(temporary)  # what an earlier one left is gone by now
        assert folder not in left
        left.add(folder)
        send(ingest, signal.SIGKILL)
        wait_gone(ingest)
        for child in working.values():
            wait_gone(child.pid)
    state = ended(andon)
    assert (state["state"], state["pages"]) == ("ready", PAGES)
    assert names_in(temporary) == []


@pytest.mark.parametrize("victim", ["andon-reader", "andon-zygote"])
def test_a_killed_child_leaves_nothing(
    andon: Andon, tmp_path: Path, temporary: Path, victim: str
) -> None:
    assert andon.cli("add", str(long(tmp_path / "long.pdf")), "--no-wait").returncode == 0
    working = at_work(wait_for(andon.up_pid, "ingest"))
    working[victim].kill()
    state = ended(andon)
    assert state["state"] == ("failed" if victim == "andon-reader" else "ready")
    assert ("crashed over it (SIGKILL)" in str(state["reason"])) == (victim == "andon-reader")
    assert names_in(temporary) == []
