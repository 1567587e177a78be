"""Nothing the broker confirmed is lost, whatever is killed while faults pour in.

Here 200 faults and 6 kills a seed; `make soak` plays 2,000 and 30 for as long as told.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults import soak
from tests.support.havoc import Blow

pytestmark = pytest.mark.faults

SIZE = soak.Size(faults=200, kills=6)
SEEDS = (4, 13, 14)


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return soak.template(tmp_path_factory.mktemp("begin"))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_broker_confirmed_is_in_the_ledger_and_answered(
    seed: int, begin: Path, tmp_path: Path
) -> None:
    outcome = soak.play(seed, SIZE, begin, tmp_path)
    sys.stdout.write(f"{outcome}\n{outcome.story()}\n")
    assert not outcome.wrong
    assert len(outcome.blows) == SIZE.kills
    assert outcome.confirmed == outcome.sent == SIZE.faults


def blow(name: str, at: float, *, way: str = "kill", saved: float = 0.0) -> Blow:
    return Blow(name, way, at, at, saved)


def test_only_what_a_killed_broker_had_in_memory_alone_may_be_lost() -> None:
    confirmed = {"before the write": 9.0, "after it": 11.0, "later": 20.0}
    killed = blow("mosquitto", 12.0, saved=10.0)
    orchestrator = blow("orchestrator", 10.5)
    assert soak.at_risk(confirmed, [orchestrator, killed], []) == {"after it"}
    # An orchestrator that is connected has in hand what is confirmed.
    assert soak.at_risk(confirmed, [killed], []) == set()
    assert soak.at_risk(confirmed, [orchestrator, killed], [10.8]) == set()
    assert soak.at_risk(confirmed, [orchestrator, killed], [11.5]) == {"after it"}
    # But for what was in the broker's socket when it died.
    assert soak.at_risk({"on its way": 11.95}, [killed], []) == {"on its way"}
    # A broker that is told to stop writes its file first.
    stopped = blow("mosquitto", 12.0, way="stop", saved=10.0)
    assert soak.at_risk(confirmed, [orchestrator, stopped], []) == set()


def test_the_books_are_read_with_suspicion(tmp_path: Path) -> None:
    books = soak.Books(
        faults={"m1": ("plant/a", "E001"), "m2": ("plant/b", "E002")},
        answers={
            "x": {"asset": "plant/a", "code": "E001", "stage": "final"},
            "y": {"asset": "plant/b", "code": "E002", "stage": "passages"},
        },
        open_jobs=0,
        failed=["no"],
        outbox=1,
    )
    wrong = soak.unanswered(books)
    assert [line.split(" for ")[-1] for line in wrong[:1]] == ["plant/b E002"]
    assert "1 messages are left over" in wrong[1]
    assert wrong[2].endswith("no")
    said = b'{"id":"%s","asset":"plant/a","code":"E001","trace":"t"}'
    heard = [soak.Heard(0.0, "andon/answer/plant/a", said % i, retain=False) for i in (b"x", b"z")]
    assert [line.split(":")[0] for line in soak.strange(heard, books)] == [
        "an answer nobody knows", "a repeat with another id",
    ]  # fmt: skip
    (tmp_path / "bad.db").write_bytes(b"SQLite format 3\0" + bytes(4096))
    assert soak.damaged(tmp_path)
