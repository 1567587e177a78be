"""When a client connects again, with simulated time."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable

import pytest

from services.runtime.backoff import Backoff, Ending, Retries

pytestmark = pytest.mark.unit

OURS = Backoff()


def waits(ends: Iterable[tuple[Ending, float]], backoff: Backoff = OURS) -> list[float]:
    """The longest waits after these ends."""
    retries = Retries(backoff, between=lambda _low, high: high)
    return [retries.ended(how, lasted)[1] for how, lasted in ends]


def test_waits_for_a_broker_that_is_away_grow_to_a_low_limit() -> None:
    got = waits([(Ending.FAILED, 0.0)] * 5000)
    assert got[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert max(got) == OURS.most_s


def test_waits_are_spread_over_all_of_their_limit() -> None:
    got = []
    for seed in range(500):
        retries = Retries(OURS, random.Random(seed).uniform)
        got.append([retries.ended(Ending.FAILED, 0.0)[1] for _ in range(7)][-1])
    assert min(got) < OURS.most_s / 20
    assert max(got) > OURS.most_s * 19 / 20


def test_a_broker_that_restarts_again_and_again_is_found_at_once_each_time() -> None:
    restart = [(Ending.LOST, 0.2), (Ending.FAILED, 0.0), (Ending.FAILED, 0.0)]
    assert waits(restart * 10) == [0.1, 0.2, 0.4] * 10


def test_one_that_drops_us_at_once_is_not_hammered() -> None:
    drops = [(Ending.LOST, 0.02), (Ending.FAILED, 0.0)]
    assert waits(drops * 10)[-3:] == [5.0, 5.0, 5.0]


def test_a_takeover_that_was_told_is_answered_slower_each_time() -> None:
    assert waits([(Ending.TAKEN, 20.0)] * 7) == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_patience_is_at_least_half_of_its_limit() -> None:
    retries = Retries(OURS, between=lambda low, _high: low)
    assert [retries.ended(Ending.REFUSED, 0.0)[1] for _ in range(6)] == [1, 2, 4, 8, 15, 15]


def test_two_of_us_who_take_turns_do_not_begin_anew() -> None:
    """Each stands for as long as the other waits."""
    mine = Retries(OURS, between=lambda _low, high: high)
    other = Retries(OURS, between=lambda _low, high: high)
    stands = 0.0
    turns = []
    for _ in range(20):
        for one in (mine, other):
            stands = one.ended(Ending.TAKEN, stands)[1]
            turns.append(stands)
    assert turns[-10:] == [30.0] * 10


def test_a_dispute_is_over_when_a_connection_lasted() -> None:
    retries = Retries(OURS, between=lambda _low, high: high)
    assert [retries.ended(Ending.TAKEN, 5.0)[1] for _ in range(4)][-1] == 16.0
    assert not retries.stood(59.0)
    assert retries.stood(61.0)
    assert retries.ended(Ending.TAKEN, 61.0) == (Ending.TAKEN, 2.0)


def test_a_takeover_nobody_tells_of_is_suspected_after_three() -> None:
    retries = Retries(OURS, between=lambda _low, high: high)
    got = [retries.ended(Ending.LOST, 3.0) for _ in range(7)]
    assert [how for how, _ in got] == [Ending.LOST] * 2 + [Ending.SUSPECTED] * 5
    assert [wait for _, wait in got] == [0.1, 0.1, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_a_suspicion_is_dropped_when_the_broker_was_away() -> None:
    retries = Retries(OURS, between=lambda _low, high: high)
    assert [retries.ended(Ending.LOST, 3.0)[1] for _ in range(4)] == [0.1, 0.1, 2.0, 4.0]
    assert retries.ended(Ending.FAILED, 0.0) == (Ending.FAILED, 0.2)
    assert retries.ended(Ending.LOST, 3.0) == (Ending.LOST, 0.1)


def test_a_broker_that_was_away_between_is_no_takeover() -> None:
    retries = Retries(OURS, between=lambda _low, high: high)
    for _ in range(10):
        assert retries.ended(Ending.LOST, 3.0)[0] is Ending.LOST
        assert retries.ended(Ending.FAILED, 0.0)[0] is Ending.FAILED


def test_a_start_is_one_line_and_an_absence_a_warning_that_becomes_rare() -> None:
    retries = Retries(OURS)

    def levels(count: int) -> list[int]:
        found = []
        for _ in range(count):
            how, _ = retries.ended(Ending.FAILED, 0.0)
            found.append(retries.weight(how))
        return found

    first = levels(7)
    assert first == [logging.INFO, *[logging.DEBUG] * 6]
    assert [n for n, level in enumerate(levels(100), 8) if level == logging.WARNING] == [
        8,
        16,
        32,
        64,
    ]
    retries.ended(Ending.LOST, 60.0)
    assert retries.weight(Ending.LOST) == logging.INFO
    assert retries.weight(Ending.TAKEN) == logging.ERROR
