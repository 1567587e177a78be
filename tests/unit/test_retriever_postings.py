"""What words count where: added up rightly, kept within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever import postings
from services.retriever.postings import NONE, Posting, Postings, added, best

pytestmark = pytest.mark.unit

LISTS = st.lists(
    st.dictionaries(st.integers(1, 60), st.integers(1, 8).map(float), max_size=30), max_size=5
)


def listed(scores: dict[int, float]) -> Posting:
    numbers = sorted(scores)
    counted = [scores[number] for number in numbers]
    return np.array(numbers, dtype=np.int32), np.array(counted, dtype=np.float32)


@given(LISTS, st.integers(1, 40), st.none() | st.sets(st.integers(1, 60)))
def test_the_highest_sums_come_first_and_equal_ones_by_number(
    lists: list[dict[int, float]], limit: int, inside: set[int] | None
) -> None:
    sums: dict[int, float] = {}
    for one in lists:
        for number, score in one.items():
            if inside is None or number in inside:
                sums[number] = sums.get(number, 0.0) + score
    wanted = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
    among = None if inside is None else np.array(sorted(inside), dtype=np.int32)
    assert best(added([listed(one) for one in lists]), limit, among) == wanted


def test_what_is_kept_stays_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    each = postings.EACH + 8 * 4 + 1
    monkeypatch.setattr(postings, "KEPT", 2 * each + 1)
    kept = Postings()
    for word in "abc":
        kept.keep(word, listed(dict.fromkeys(range(1, 5), 1.0)))
    assert (kept.kept, set(kept.lists)) == (each, {"c"})


def test_a_word_that_comes_twice_counts_once() -> None:
    kept = Postings()
    for _ in range(2):
        kept.keep("a", listed({1: 1.0, 2: 1.0}))
    assert kept.kept == postings.EACH + 8 * 2 + 1


def test_counts_tell_words_that_are_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "COUNTED", 3)
    kept = Postings()
    kept.count(["a", "b"], {"a": 7})
    assert (kept.counts, kept.nowhere) == ({"a": 7}, {"b"})
    kept.count(["c", "d", "e", "f"], {"c": 1, "d": 1, "e": 1})
    assert kept.counts == {"c": 1, "d": 1, "e": 1}
    assert kept.nowhere == {"b", "f"}


def test_revisions_of_few_words_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "HELD", 2)
    kept = Postings()
    for number, word in enumerate("abc"):
        kept.hold(word, [number])
    assert kept.holders == {"c": [2]}


def test_vectors_of_few_revisions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "COMPARED", 4)
    kept = Postings()
    for number in (1, 2):
        kept.compare(number, np.arange(3, dtype=np.int64), np.zeros((3, 2), dtype=np.float32))
    assert set(kept.vectors) == {2}


def test_no_words_are_no_passages() -> None:
    assert best(added([]), 5) == []
    assert best(added([NONE]), 5) == []
