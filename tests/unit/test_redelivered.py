"""Whatever the broker sends again, in whatever pieces: the board is as if it had come once."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import Alarm
from services.orchestrator.board import Board
from services.orchestrator.intake import Intake
from services.orchestrator.redelivered import Redelivered, digest_of
from services.runtime.config import Config
from services.runtime.messages import NO_PROPERTIES, AckToken, Delivery

pytestmark = pytest.mark.unit

REPORTS = st.tuples(
    st.sampled_from(["plant/m1", "plant/m2"]), st.sampled_from(["active", "cleared"])
)


def delivery(mid: int, asset: str, state: str, *, duplicate: bool = False) -> Delivery:
    return Delivery(
        topic=f"{asset}/fault",
        payload=json.dumps({"code": "E1", "state": state}).encode(),
        qos=1,
        retain=False,
        duplicate=duplicate,
        properties=NO_PROPERTIES,
        token=AckToken(int(duplicate), mid, set()),
    )


class Door:
    """An intake that keeps what it took in, and can be started again from it."""

    def __init__(self) -> None:
        config = Config()
        self.board = Board(config.orchestrator.alarms)
        self._intake = Intake(config, self.board)
        self._kept: list[bytes] = []
        self.start_again()

    def start_again(self) -> None:
        self._redelivered = Redelivered(self._kept)

    def take(self, batch: list[Delivery]) -> None:
        fresh = self._redelivered.new(batch)
        for one in fresh:
            self._intake.read(one, "2026-01-31T12:00:00.000Z", 1000.0)
            self._kept.append(digest_of(one))
        self._redelivered.taken(fresh)

    def alarms(self) -> dict[str, Alarm | None]:
        found = {asset: self.board.get(asset, "E1") for asset in ("plant/m1", "plant/m2")}
        return {
            asset: msgspec.structs.replace(one.alarm, answer_id="") if one else None
            for asset, one in found.items()
        }


@given(
    reports=st.lists(REPORTS, min_size=1, max_size=12),
    data=st.data(),
    restarted=st.booleans(),
)
def test_a_run_that_comes_again_changes_nothing(
    reports: list[tuple[str, str]], data: st.DataObject, restarted: bool
) -> None:
    run = [delivery(n, *report) for n, report in enumerate(reports, start=1)]
    taken = data.draw(st.integers(0, len(run)), label="in the ledger")
    acked = data.draw(st.integers(0, taken), label="acknowledged")
    once, door = Door(), Door()
    once.take(run)
    door.take(run[:taken])
    if restarted:
        door.start_again()
    again = [msgspec.structs.replace(one, duplicate=True) for one in run[acked:]]
    while again:
        size = data.draw(st.integers(1, len(again)), label="batch")
        door.take(again[:size])
        again = again[size:]
    assert door.alarms() == once.alarms()


def test_the_same_words_in_another_message_are_news() -> None:
    known = Redelivered()
    known.taken([delivery(1, "plant/m1", "active")])
    other = delivery(2, "plant/m1", "active", duplicate=True)
    assert known.new([other]) == [other]
    assert known.new([delivery(1, "plant/m1", "active", duplicate=True)]) == []
    first = delivery(1, "plant/m1", "active")
    assert known.new([first]) == [first], "an id that is used again is no repetition"


def test_only_the_latest_are_remembered() -> None:
    known = Redelivered(most=2)
    known.taken([delivery(n, "plant/m1", "active") for n in (1, 2, 3)])
    again = [delivery(n, "plant/m1", "active", duplicate=True) for n in (1, 2, 3)]
    assert known.new(again) == again[:1]
