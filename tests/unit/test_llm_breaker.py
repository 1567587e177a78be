from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm_bridge.breaker import Breaker

pytestmark = pytest.mark.unit


def breaker() -> Breaker:
    return Breaker(failures=3, rest_s=5.0, most_s=12.0, between=lambda _low, high: high)


def opened() -> Breaker:
    made = breaker()
    for who in "abc":
        assert made.begin(0.0, who)
        made.failed(0.0, who, "away")
    return made


def test_it_opens_after_failures_in_a_row_alone() -> None:
    made = breaker()
    for who in "ab":
        made.failed(0.0, who, "away")
    made.succeeded()
    for who in "cd":
        made.failed(0.0, who, "away")
    assert made.state(0.0) == "closed"
    made.failed(0.0, "e", "slow")
    assert (made.state(0.0), made.reason) == ("open", "slow")
    assert not made.admits(4.9)
    assert not made.begin(4.9, "f")


def test_one_tries_and_its_success_closes() -> None:
    made = opened()
    assert made.state(5.0) == "probing"
    assert made.admits(5.0)
    assert made.begin(5.0, "x")
    assert made.begin(5.1, "x")  # a further try of its own
    assert not made.admits(5.1)
    assert not made.begin(5.1, "y")
    made.succeeded()
    assert made.state(5.2) == "closed"
    assert made.begin(5.2, "y")


def test_a_failed_try_opens_for_longer_up_to_a_limit() -> None:
    made, now = opened(), 0.0
    for rest in (5.0, 10.0, 12.0, 12.0):
        assert made.state(now + rest - 0.1) == "open"
        now += rest
        assert made.begin(now, "x")
        made.failed(now, "x", "away")
    made.succeeded()
    for who in "abc":
        made.failed(now, who, "away")
    assert made.state(now + 5.0) == "probing"  # from the beginning again


def test_those_that_began_before_it_opened_are_not_the_try() -> None:
    made = opened()
    made.failed(1.0, "old", "away")
    made.left("old")
    assert made.state(4.9) == "open"
    assert made.begin(5.0, "x")
    made.left("old")
    made.failed(5.0, "old", "away")
    assert made.state(5.0) == "probing"
    assert not made.admits(5.0)


def test_a_try_that_ends_without_a_verdict_is_another_s() -> None:
    made = opened()
    assert made.begin(5.0, "x")
    made.left("x")
    assert made.begin(5.0, "y")


def test_a_new_server_is_tried_at_once() -> None:
    made = opened()
    made.restarted(1.0)
    assert made.begin(1.0, "x")
    made.restarted(2.0)
    assert not made.admits(2.0)
    closed = breaker()
    closed.restarted(0.0)
    assert closed.state(0.0) == "closed"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "succeed", "fail", "leave", "restart"]),
        st.integers(0, 3),
        st.floats(0, 20),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_always_admits_again(steps: list[tuple[str, int, float]]) -> None:
    made, now = Breaker(), 0.0
    trying: set[int] = set()
    for step, who, after in steps:
        now += after
        before = made.state(now)
        if step == "begin" and made.begin(now, who):
            assert before != "open"
            trying.add(who)
        elif who in trying and step in ("succeed", "fail", "leave"):
            trying.discard(who)
            if step == "succeed":
                made.succeeded()
            if step == "fail":
                made.failed(now, who, "x")
            made.left(who)
        elif step == "restart":
            made.restarted(now)
    for who in trying:
        made.left(who)
    assert made.admits(now + 60.0)
