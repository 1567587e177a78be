"""What is kept of the word index is bounded."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from services.retriever import postings
from services.retriever.postings import NONE, Posting, Postings

pytestmark = pytest.mark.unit


def everywhere(passages: int) -> Posting:
    return np.arange(passages, dtype=np.int32), np.ones(passages, dtype=np.float32)


@pytest.mark.parametrize("passages", [0, 1, 40])
def test_the_bound_is_one_of_bytes(passages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "KEPT", 200_000)
    kept = Postings()
    tracemalloc.start()
    try:
        before, most = tracemalloc.get_traced_memory()[0], 0
        for number in range(3000):
            kept.keep(f"word{number}", everywhere(passages))
            most = max(most, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert 0 < len(kept.lists) < 600
    assert most < 1.5 * postings.KEPT


def test_what_is_too_long_is_not_kept_and_ends_nothing() -> None:
    kept = Postings()
    kept.keep("brake", everywhere(1))
    size = postings.KEPT // 8 + 1
    kept.keep("the", everywhere(size))
    kept.keep("q" * (postings.KEPT + 1), NONE)
    assert list(kept.lists) == ["brake"]
    kept.count(["q" * 8000, "valve", "brake"], {"brake": 1, "z" * 8000: 2})
    assert (kept.counts, kept.nowhere) == ({"brake": 1}, {"valve"})
