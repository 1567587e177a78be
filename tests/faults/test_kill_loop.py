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
    confirmed = {"before the write": 9.0, "after it": 11.85, "later": 20.0}
    killed = blow("mosquitto", 12.0, saved=11.8)
    orchestrator = blow("orchestrator", 10.5)
    assert soak.at_risk(confirmed, [orchestrator, killed], []) == {"after it"}
    # An orchestrator that is connected has in hand what is confirmed.
    assert soak.at_risk(confirmed, [killed], []) == set()
    assert soak.at_risk(confirmed, [orchestrator, killed], [10.8]) == set()
    assert soak.at_risk(confirmed, [orchestrator, killed], [11.9]) == {"after it"}
    # But for what was in the broker's socket when it died.
    assert soak.at_risk({"on its way": 11.95}, [killed], []) == {"on its way"}
    # A broker that is told to stop writes its file first.
    stopped = blow("mosquitto", 12.0, way="stop", saved=11.8)
    assert soak.at_risk(confirmed, [orchestrator, stopped], []) == set()


def test_the_books_are_read_with_suspicion() -> None:
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

    def heard(*ids: bytes, stage: bytes = b"final") -> list[soak.Heard]:
        said = b'{"id":"%s","asset":"plant/a","code":"E001","stage":"%s"}'
        return [soak.Heard(0.0, "andon/answer/plant/a", said % (i, stage), False) for i in ids]

    def strange(*given: soak.Heard) -> list[str]:
        return [line.split(":")[0] for line in soak.strange(list(given), books)]

    assert strange(*heard(b"x")) == []
    assert strange() == ["1 final answers were not heard"]
    assert strange(*heard(b"x", stage=b"passages")) == ["1 final answers were not heard"]
    assert strange(*heard(b"x", b"z")) == ["an answer nobody knows", "an alarm with a second id"]
    books.answers["z"] = {"asset": "plant/a", "code": "E001", "stage": "final"}
    assert strange(*heard(b"x", b"z")) == ["an alarm with a second id"]


def test_alarms_are_what_was_said_last_and_questions_have_answers() -> None:
    books = soak.Books({}, {}, open_jobs=0, failed=[], outbox=0)
    assert soak.unanswered(books) == []
    books.states = {("plant/a", "C001"): "cleared", ("plant/b", "C001"): "active"}
    books.unanswered_asks = 2
    assert soak.unanswered(books) == [
        "plant/b C001 is not active", "2 questions have no final answer",
    ]  # fmt: skip


def test_no_broker_goes_long_without_writing_its_file() -> None:
    """Nor is anything excused that came before it should have."""
    orchestrator = blow("orchestrator", 10.0)
    confirmed = {f"m{n}": n * 0.1 for n in range(200)}
    saved = blow("mosquitto", 12.0, saved=11.95)
    assert soak.windows(confirmed, [orchestrator, saved], []) == [0.0]
    late = blow("mosquitto", 12.0, saved=11.75)
    assert soak.windows(confirmed, [orchestrator, late], []) == [pytest.approx(0.2)]
    never = blow("mosquitto", 12.0, saved=0.0)
    assert soak.windows(confirmed, [orchestrator, never], []) == [pytest.approx(11.9)]
    lost = soak.at_risk(confirmed, [orchestrator, never], [])
    assert min(confirmed[mark] for mark in lost) > 12.0 - soak.WINDOW_S
    # One that has just begun had nothing to write; an orchestrator that is back has it all.
    begun = [blow("mosquitto", 11.0), never]
    assert soak.windows({"before": 10.9, "after": 11.95}, begun, []) == [pytest.approx(0.05)]
    assert soak.windows(confirmed, [orchestrator, never], [11.0]) == []
    assert soak.windows(confirmed, [blow("orchestrator", 11.9), never], []) == []


def test_databases_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"SQLite format 3\0" + bytes(4096))
    assert soak.damaged(tmp_path)
