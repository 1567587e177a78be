"""Two topic filters become one that has what both have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.filters import meet
from services.runtime.messages import check_filter, topic_matches

pytestmark = pytest.mark.unit

LEVEL = st.sampled_from(["a", "b", "$SYS", ""])
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.one_of(LEVEL, st.just("+")), min_size=0, max_size=3))
    if draw(st.booleans()) or not levels:
        levels.append("#")
    return "/".join(levels) or "a"


@given(filters(), filters(), TOPIC)
def test_it_matches_what_both_match(one: str, other: str, topic: str) -> None:
    both = meet(one, other)
    if both is not None:
        check_filter(both)
    found = both is not None and topic_matches(both, topic)
    assert found == (topic_matches(one, topic) and topic_matches(other, topic))


@given(filters(), filters())
def test_the_order_is_no_matter(one: str, other: str) -> None:
    assert meet(one, other) == meet(other, one)


def test_a_machine_of_a_trigger() -> None:
    assert meet("plant/+/fault", "plant/motor7/+") == "plant/motor7/fault"
    assert meet("plant/#", "plant/line1/#") == "plant/line1/#"
    assert meet("plant/+/fault", "scada/#") is None
    assert meet("+", "/#") is None
