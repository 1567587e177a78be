"""The makers a question names."""

from __future__ import annotations

import pytest

from services.retriever.lexicon import Lexicon
from services.retriever.whose import makers_of, together

pytestmark = pytest.mark.unit

LEXICON = Lexicon()
LEXICON.add(["@Kelvarn, @Kelvarn Drives | @凯尔文".encode(), b"pump, lifter"], "test")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Kelvarn E05", ["Kelvarn"]),
        ("kelvarn e05", ["kelvarn"]),
        ("kelvran e05", ["kelvran"]),
        ("kelvar e05", ["kelvar"]),
        ("凯尔文变频器 E05", ["凯尔文"]),
        ("pump E05", []),
        ("karvern E05", []),
    ],
)
def test_makers_are_known_in_any_spelling(question: str, said: list[str]) -> None:
    found = makers_of(question, LEXICON.expand(question), LEXICON, ())
    assert [maker.said for maker in found] == said
    assert all(("kelvarn",) in maker.names for maker in found)


def test_a_word_that_some_manual_has_is_no_mistyped_maker() -> None:
    assert makers_of("kelvar E05", [], LEXICON, {"kelvar"}) == []


@pytest.mark.parametrize(
    ("question", "one"),
    [
        ("Kelvarn E05", True),
        ("E05 on the Kelvarn", True),
        ("By the Kelvarn: E05", False),
        ("Kelvarn旁边，E05", False),
        ("Kelvarn v1.2 E05", True),
    ],
)
def test_a_maker_of_another_clause_is_not_the_codes(question: str, one: bool) -> None:
    assert together(question, question.index("Kelvarn"), question.index("E05")) is one


def test_makers_that_were_dropped_are_none() -> None:
    lexicon = Lexicon()
    lexicon.add([b"@Kelvarn, @KVN"], "test")
    assert lexicon.makers() == [[("kelvarn",), ("kvn",)]]
    lexicon.add([b"- Kelvarn, KVN"], "test")
    assert lexicon.makers() == []
