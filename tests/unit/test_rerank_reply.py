"""What a reranker's reply says."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.rerank import read
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit

SCORES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20)


@given(SCORES, st.randoms(), st.booleans())
def test_scores_come_back_in_the_order_of_the_passages(
    scores: Sequence[float], random: st.DataObject, bare: bool
) -> None:
    name = "score" if bare else "relevance_score"
    results = [{"index": n, name: score} for n, score in enumerate(scores)]
    random.shuffle(results)  # type: ignore[attr-defined]
    reply = results if bare else {"object": "list", "usage": {}, "results": results}
    assert read("rerank", json.dumps(reply).encode(), len(scores)) == list(scores)


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        ["results", "index", "relevance_score", "score"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_comes_is_two_scores_or_refused(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert len(read("rerank", payload, 2)) == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('{"results": [{"index": 0, "relevance_score": 1.0}]}', "1 results for 2 passages"),
        ('[{"index": 0, "score": 1.0}, {"index": 0, "score": 2.0}]', "or one twice"),
        ('[{"index": 0, "score": 1.0}, {"index": 2, "score": 2.0}]', "2 results for 2"),
        ('[{"index": 0, "score": 1.0}, {"index": 1, "score": null}]', "passage 1 is no number"),
        ('[{"index": 0, "score": 1.0}, {"index": 1, "score": NaN}]', "not a rerank reply"),
        ('[{"index": 0, "score": 1.0}, {"index": 1, "score": 1e999}]', "out of range"),
        ('{"error": {"code": 500}}', "not a rerank reply"),
        ("<html>", "not a rerank reply"),
    ],
)
def test_a_wrong_reply_says_what_is_wrong(reply: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read("rerank", reply.encode(), 2)
