"""Search tokens."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.statements import MIGRATIONS
from services.retriever.tokens import is_cjk, language, query_tokens, stem, tokens

pytestmark = pytest.mark.unit


def test_chinese_becomes_bigrams_and_codes_stay_whole() -> None:
    assert tokens("变频器报E005错误") == ["变频", "频器", "器报", "e005", "错误", "e5"]


def test_a_single_character_is_a_token() -> None:
    assert tokens("a 热 b") == ["a", "热", "b"]


def test_japanese_and_korean_are_bigrams_too() -> None:
    assert tokens("サーボ") == ["サー", "ーボ"]
    assert tokens("과전류") == ["과전", "전류"]


def test_numbers_and_units_part() -> None:
    assert tokens("24V")[:2] == tokens("24 V")[:2] == ["24", "v"]
    assert "0.05" in tokens("0.05V")


def test_hyphens_do_not_matter() -> None:
    assert "overcurrent" in tokens("over-current")
    assert tokens("overcurrent") == ["overcurrent"]
    assert "rs485" in tokens("RS-485")
    assert "rs485" in tokens("RS485")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("faults", "fault"),
        ("resetting", "reset"),
        ("tripped", "trip"),
        ("batteries", "battery"),
        ("charged", "charge"),
        ("charging", "charge"),
        ("switches", "switch"),
    ],
)
def test_forms_of_a_word_meet(a: str, b: str) -> None:
    assert stem(a) == stem(b)


@pytest.mark.parametrize("word", ["bus", "gas", "ring", "speed", "axis", "status", "press"])
def test_short_and_irregular_words_stay_recognisable(word: str) -> None:
    assert stem(word)[:3] == word[:3]


def test_questions_lose_their_empty_words() -> None:
    assert query_tokens("What does fault F30002 mean and how do I fix it?") == [
        "fault",
        "f30002",
        "fix",
    ]
    assert "怎么" not in query_tokens("变频器过热怎么办")
    assert query_tokens("what is it?") == ["what", "is", "it"]


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("多久做一次保养", ["保养"]),
        ("风扇多久换一次", ["风扇"]),
        ("一次侧电压是多少", ["一次", "次侧", "侧电", "电压"]),
        ("制动电阻多大", ["制动", "动电", "电阻"]),
    ],
)
def test_how_often_and_how_large_are_asked_and_not_said(question: str, left: list[str]) -> None:
    found = query_tokens(question)
    assert set(left) <= set(found)
    assert not {"多久", "久做", "做一", "久换", "阻多", "多大"} & set(found)


@pytest.mark.parametrize(
    ("text", "lang"), [("motor hot", "en"), ("电机过热", "zh"), ("E005 欠压", "zh"), ("123", "")]
)
def test_language(text: str, lang: str) -> None:
    assert language(text) == lang
    assert is_cjk(text) == (lang == "zh")


@given(st.text(max_size=120))
def test_tokens_have_no_spaces_and_are_lower_case(text: str) -> None:
    for token in tokens(text):
        assert token
        assert not any(c.isspace() for c in token)
        assert token == token.lower()


@given(st.text(max_size=120))
def test_a_passage_is_found_by_its_own_words(text: str) -> None:
    assert set(query_tokens(text)) & set(tokens(text)) or not tokens(text)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_fts5_keeps_each_token_whole(texts: list[str]) -> None:
    """The words SQLite has indexed are the very tokens, whatever characters are in them."""
    made = {token for text in texts for token in tokens(text)}
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(MIGRATIONS[0])
        db.execute(
            "INSERT INTO fts (rowid, head, body) VALUES (1, '', ?)",
            (" ".join(t for text in texts for t in tokens(text)),),
        )
        indexed = {row[0] for row in db.execute("SELECT term FROM vocabulary")}
    finally:
        db.close()
    assert indexed == made
