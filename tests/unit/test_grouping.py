"""Which texts are embedded together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.grouping import digest, distinct, groups

pytestmark = pytest.mark.unit

TEXTS = st.lists(st.text(alphabet="ab变频 ", max_size=6), max_size=80)


@given(TEXTS)
def test_each_text_is_embedded_once_and_every_passage_has_one(texts: list[str]) -> None:
    found = distinct(enumerate(texts))
    assert [one.text for one in found] == list(dict.fromkeys(texts))
    given = {label: one.text for one in found for label in one.labels}
    assert given == dict(enumerate(texts))


@given(TEXTS, st.integers(1, 9))
def test_groups_hold_all_and_no_text_stands_beside_a_much_longer_one(
    texts: list[str], size: int
) -> None:
    made = groups(distinct(enumerate(texts)), size)
    assert sorted(one.text for group in made for one in group) == sorted(set(texts))
    assert all(0 < len(group) <= size for group in made)
    assert all(len(group) == size for group in made[:-1])
    lengths = [len(one.text.encode()) for group in made for one in group]
    assert lengths == sorted(lengths)


@given(st.sets(st.text(max_size=20), max_size=50))
def test_a_digest_names_one_text_and_fits_a_column(texts: set[str]) -> None:
    digests = {digest(text) for text in texts}
    assert len(digests) == len(texts)
    assert all(-(2**63) <= one < 2**63 for one in digests)
