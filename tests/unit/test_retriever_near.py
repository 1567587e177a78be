"""Codes that are spelt almost like another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.near import LONGEST, likeliest, neighbours
from services.retriever.normal import loose_form

pytestmark = pytest.mark.unit

CODE = st.builds(
    "{}{}".format, st.sampled_from(["F", "E", "OC", "ERR", "AL", "P", "#"]), st.integers(10, 99999)
)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("F30020", "F30002"),
        ("F30020", "F30021"),
        ("F3002", "F30002"),
        ("F300022", "F30002"),
        ("F3000Z", "F30002"),
        ("E18", "ERR18"),
        ("ERR18", "#18"),
        ("#17", "#18"),
        ("OC4", "OC3"),
        ("P0.99", "P0.98"),
        ("ELV", "ELU"),
    ],
)
def test_one_slip_leads_to_the_code_that_was_meant(asked: str, meant: str) -> None:
    assert meant in neighbours(asked)


@given(CODE, st.data())
def test_two_swapped_characters_are_one_slip(code: str, data: st.DataObject) -> None:
    first = 1 if code[0] == "#" else 0
    place = data.draw(st.integers(first, len(code) - 2))
    swapped = f"{code[:place]}{code[place + 1]}{code[place]}{code[place + 2 :]}"
    if loose_form(swapped) == swapped != code:
        assert code in neighbours(swapped)


@given(CODE)
def test_a_code_is_not_near_itself_and_its_neighbours_are_few(code: str) -> None:
    near = neighbours(code)
    assert code not in near
    assert len(near) == len(set(near)) < 600
    assert all(loose_form(one) == one for one in near)


def test_a_part_number_has_no_neighbours() -> None:
    assert neighbours("6SL3244.0BB12.1BA1") == []
    assert len("6SL3244.0BB12.1BA1") > LONGEST


def test_the_same_prefix_goes_first_then_swapped_then_the_next_number() -> None:
    there = ["A30020", "F3020", "F30029", "F30021", "F30002"]
    assert likeliest("F30020", there, limit=5) == ["F30002", "F30021", "F30029", "F3020", "A30020"]
    assert likeliest("F30020", there) == ["F30002", "F30021", "F30029"]


def test_what_displays_shorten_is_the_likeliest() -> None:
    assert likeliest("E18", ["E17", "ERR18", "E1"])[0] == "ERR18"
