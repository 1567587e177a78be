"""What a text costs to be read grows with its length, whatever is in it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from services.retriever.codes import MOST_CERTAIN, MOST_UNCERTAIN, cell_codes, codes
from services.retriever.mentions import asking, messages, name_like
from services.retriever.quantities import quantities
from services.retriever.setting import setting
from services.retriever.tokens import query_tokens, running_tokens, tokens

pytestmark = pytest.mark.unit

SHORT, LONG = 1000, 8000
GROWTH = 24.0
"""Eight times the text costs eight times as much where time grows with length, 64 times where it
grows with the square."""


def loose(text: str) -> object:
    return codes(text, loose=True)


def cost(work: Callable[[str], object], text: str) -> float:
    """Return the processor's time for it, seconds, the least of some turns."""
    spent = []
    for _ in range(3):
        before = time.process_time()
        work(text)
        spent.append(time.process_time() - before)
    return min(spent)


@pytest.mark.parametrize(
    "work",
    [
        codes,
        loose,
        tokens,
        query_tokens,
        running_tokens,
        name_like,
        messages,
        cell_codes,
        asking,
        quantities,
        setting,
    ],
    ids=lambda work: work.__name__,
)
@pytest.mark.parametrize(
    ("head", "repeated", "tail"),
    [
        ("fault ", "1 ", ""),
        ("fault", " ", ""),
        ("fault", "_", "x"),
        ("fault", "\n", "x"),
        ("code", " ", "x"),
        ("shows", " ", "1"),
        ("参数", " ", "x"),
        ("1", " ", "x"),
        ("", " ", "1"),
        ("A1", "O", "x"),
        ("", "a", ""),
        ("", "1", ""),
        ("", "中", "x"),
        ("", "E1 ", ""),
        ("", "a-", ""),
        ("", "Aa ", ""),
        ("'", "a", ""),
    ],
    ids=repr,
)
def test_no_text_costs_more_than_its_length(
    work: Callable[[str], object], head: str, repeated: str, tail: str
) -> None:
    short, long = (
        head + (repeated * length)[: length - len(head) - len(tail)] + tail
        for length in (SHORT, LONG)
    )
    # Below a fifth of a millisecond it is the clock that is measured.
    assert cost(work, long) < GROWTH * max(cost(work, short), 0.0002)


def test_a_pasted_log_asks_for_its_first_codes() -> None:
    asked = codes(
        " ".join(f"F{n:05d}" for n in range(1300)) + " fault" + " 77777" * 900, loose=True
    )
    assert [code.canonical for code in asked if code.certain] == [
        f"F{n:05d}" for n in range(MOST_CERTAIN)
    ]
    assert sum(not code.certain for code in asked) <= MOST_UNCERTAIN


def test_a_number_inside_a_code_is_none_of_its_own() -> None:
    asked = [code.canonical for code in codes("fault F3 0002 and 18, error 7, 18", loose=True)]
    assert asked.count("#18") == 2
    assert "#0002" not in asked
    assert asked.count("#7") == 1
