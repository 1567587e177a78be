from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.splitting import Unit, split
from tests.support.ingest import words

pytestmark = pytest.mark.unit

TEXT = st.text(alphabet=st.sampled_from("ab cd. e!\n直流母线欠压。；检 E05-1\t"), max_size=400)
UNITS = st.lists(st.builds(Unit, TEXT, st.integers(1, 9)), max_size=8)
COUNTERS = {"words": words, "letters": len, "bytes": lambda t: len(t.encode())}


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(UNITS, st.integers(4, 60), st.integers(0, 40), st.sampled_from(sorted(COUNTERS)))
def test_nothing_is_lost_and_the_limit_holds(
    units: list[Unit], tokens: int, overlap: int, counter: str
) -> None:
    count = COUNTERS[counter]
    pieces = list(split(units, count, tokens, overlap))
    own = "".join(piece.text[piece.own :] for piece in pieces)
    assert squeezed(own) == squeezed("".join(unit.text for unit in units))
    for piece in pieces:
        assert piece.text == piece.text.strip()
        assert count(piece.text) <= tokens


@given(UNITS, st.integers(4, 60), st.integers(1, 40))
def test_the_overlap_is_the_end_of_the_piece_before(
    units: list[Unit], tokens: int, overlap: int
) -> None:
    for before, piece in pairwise(split(units, len, tokens, overlap)):
        repeated = piece.text[: piece.own].strip()
        assert len(repeated) <= overlap
        assert squeezed(before.text).endswith(squeezed(repeated))


def test_a_cut_falls_on_the_end_of_a_sentence() -> None:
    text = "One two three four. Five six seven. Eight nine ten eleven."
    pieces = [piece.text for piece in split([Unit(text)], words, 8)]
    assert pieces == ["One two three four. Five six seven.", "Eight nine ten eleven."]


def test_the_next_piece_begins_with_the_end_of_the_one_before() -> None:
    text = "One two three four. Five six seven. Eight nine ten eleven."
    first, second = split([Unit(text)], words, 8, 3)
    assert first.text == "One two three four. Five six seven."
    assert second.text == "Five six seven. Eight nine ten eleven."
    assert second.text[second.own :] == "Eight nine ten eleven."


def test_a_word_too_long_is_cut() -> None:
    assert [p.text for p in split([Unit("x" * 25)], len, 10)] == ["x" * 10, "x" * 10, "x" * 5]


def test_a_piece_ends_with_its_page() -> None:
    units = [Unit("one two three.", 1), Unit("four five six.", 2)]
    assert [(p.page, p.text) for p in split(units, words, 32)] == [
        (1, "one two three."),
        (2, "four five six."),
    ]


def test_a_heading_at_a_pages_foot_stays_with_its_text() -> None:
    units = [Unit("Heading", 1), Unit("text of the section", 2)]
    assert [p.text for p in split(units, words, 64)] == ["Heading\ntext of the section"]
