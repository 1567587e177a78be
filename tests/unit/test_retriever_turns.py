"""A lock that is had in the order it was asked for."""

from __future__ import annotations

import threading
import time

import pytest

from services.retriever.turns import Turns

pytestmark = pytest.mark.unit


def _until_waiting(turns: Turns, many: int) -> None:
    while turns.waiting < many:
        time.sleep(0.001)


def test_the_one_who_has_waited_longest_is_next() -> None:
    turns = Turns()
    order: list[int] = []

    def take(number: int) -> None:
        with turns:
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with turns:
        for number, thread in enumerate(threads):
            thread.start()
            _until_waiting(turns, number + 1)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_who_lets_go_and_asks_again_comes_after_those_who_wait() -> None:
    turns = Turns()
    order: list[str] = []

    def once() -> None:
        with turns:
            order.append("other")

    thread = threading.Thread(target=once)
    for number in range(100):
        with turns:
            order.append("mine")
            if number == 50:
                thread.start()
                _until_waiting(turns, 1)
    thread.join()
    assert order.index("other") == 51


def test_one_at_a_time_whoever_asks() -> None:
    turns = Turns()
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(300):
            with turns:
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, turns.waiting) == (1, 0)


def test_a_failure_gives_the_turn_back() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="inside"), turns:
        raise ValueError("inside")
    with turns:
        assert turns.waiting == 0
