"""The list that stands below a passage."""

from __future__ import annotations

from typing import Literal

import pytest

from schemas.retrieval import Passage
from services.retriever.listed import rows_below

pytestmark = pytest.mark.unit


def passage(
    ordinal: int, text: str, kind: Literal["text", "row", "entry"] = "row", section: str = "r7052"
) -> Passage:
    return Passage(ordinal=ordinal, text=text, kind=kind, section=section)


ROWS = [passage(5, "Bit: 00 | Signal: Ready"), passage(6, "Bit: 01 | Signal: Running")]


def test_rows_right_below_an_entry_are_its_list() -> None:
    entry = passage(4, "r7052 Status word", "entry")
    other = passage(7, "Bit: 00 | Signal: Open", section="r7053")
    assert rows_below(entry, [*ROWS, other]) == [row.text for row in ROWS]
    assert rows_below(entry, ROWS[1:]) == []
    assert rows_below(entry, [other]) == []


def test_text_has_a_list_where_it_begins_it() -> None:
    begins = passage(4, "QXY: status\nBit: 00 |\n Signal: Ready", "text")
    assert rows_below(begins, ROWS) == [row.text for row in ROWS]
    assert rows_below(passage(4, "How to mount it.", "text"), ROWS) == []
