from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm_bridge.cuts import LEAST, MARK, ends, shorten

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Check U. It is 3.5 V. Then", ["Check U.", " It is 3.5 V."]),
        ("See Fig. 3 and No. 5, e.g. the fuse. Next", ["See Fig. 3 and No. 5, e.g. the fuse."]),
        ('He said "stop." Go on! Really? yes', ['He said "stop."', " Go on!", " Really?"]),
        (
            "检查电源。更换“保险丝。”然后（见图3。）好",
            ["检查电源。", "更换“保险丝。”", "然后（见图3。）"],
        ),
        ("电压为3.5V；检查！完", ["电压为3.5V；", "检查！"]),
        ("a line that\nis broken. End", ["a line that\nis broken."]),
        ("| E1 | low. Check |\n| E2 | high |\n", ["| E1 | low. Check |\n", "| E2 | high |\n"]),
        ("Do:\n- one\n- two\n\nMore", ["Do:\n", "- one\n", "- two\n"]),
        ("Steps\n1. Check\n2. Go", ["Steps\n", "1. Check\n"]),
        ("Wait; then go", ["Wait;"]),
    ],
)
def test_where_sentences_and_rows_end(text: str, pieces: list[str]) -> None:
    marks = [0, *ends(text)]
    assert [text[a:b] for a, b in pairwise(marks)] == pieces


def test_it_is_cut_after_a_sentence() -> None:
    assert shorten("Check the supply at L1. " * 9, 130) == "Check the supply at L1. " * 4 + (
        "Check the supply at L1." + MARK
    )
    assert shorten("检查直流母线的电压。" * 20, 77) == "检查直流母线的电压。" * 7 + MARK


def test_a_table_is_cut_after_a_row() -> None:
    row = "| E005 | undervoltage. Mains low. | check |\n"
    assert shorten(row * 5, 2 * len(row) + 30) == (row * 2).rstrip() + MARK


def test_a_long_sentence_is_cut_after_a_word() -> None:
    assert shorten("Check. " + "supply " * 40, 100) == ("Check. " + "supply " * 13).rstrip() + MARK
    assert shorten("电" * 200, 100) == "电" * 100 + MARK


@given(st.text("ab .\n。|;é电", max_size=400), st.integers(-5, 420))
def test_it_is_a_beginning_that_fits_or_nothing(text: str, room: int) -> None:
    found = shorten(text, room)
    if found is None:
        assert room < LEAST or len(text) > room
        return
    assert found == text or found.endswith(MARK)
    assert text.startswith(found.removesuffix(MARK))
    assert len(found.removesuffix(MARK)) <= room


@given(st.text("ab .\n。|!)", max_size=200))
def test_ends_rise_and_lie_within(text: str) -> None:
    found = ends(text)
    assert found == sorted(set(found))
    assert all(0 < end <= len(text) for end in found)
