from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm_bridge.sse import LIMIT, Events

pytestmark = pytest.mark.unit

DATA = st.lists(st.binary(min_size=1).map(lambda b: b.translate(None, b"\r\n") or b"x"), min_size=1)


@given(DATA, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(0, 500)))
def test_any_split_gives_the_same_events(data: list[bytes], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(b"data: " + each + end + b": ping" + end + end for each in data)
    events = Events()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = [e for a, b in pairwise(places) for e in events.feed(stream[a:b])]
    assert found == data
    assert not events.pending


def test_lines_of_one_event_are_joined_and_other_fields_passed_over() -> None:
    events = Events()
    assert events.feed(b"event: x\ndata: a\ndata:b\nid: 7\n\n\n: ping\n\n") == [b"a\nb"]


def test_an_error_line_is_an_event() -> None:
    assert Events().feed(b'error: {"code":500}\n\n') == [b'{"error":{"code":500}}']


def test_what_has_begun_is_pending() -> None:
    events = Events()
    events.feed(b"data: a\n")
    assert events.pending


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="endless"):
        Events().feed(b"x" * (LIMIT + 1))
