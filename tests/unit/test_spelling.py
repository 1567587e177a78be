"""Mistyped words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.spelling import (
    LONGEST,
    ONE,
    SHORTEST_ONE,
    beginnings,
    corrections,
    distance,
    slips,
)
from services.retriever.tokens import stem
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.unit

KNOWN = {
    stem(word): passages
    for word, passages in {
        "overcurrent": 40,
        "resistor": 30,
        "braking": 50,
        "mechanical": 9,
        "communication": 60,
        "overheating": 12,
        "fuel": 3,
        "drive": 90,
        "driver": 5,
        "delta": 2,
        "jogging": 20,
        "list": 50,
        "limit": 8,
        "lint": 9,
    }.items()
}
words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("overcurent", "overcurrent"),
        ("Resisotr", "resistor"),
        ("brakign", "braking"),
        ("comunicaton", "communication"),
        ("overheatnig", "overheating"),
        ("mech", "mechanical"),
        ("feul", "fuel"),
        ("DRIVR", "drive"),
        ("jogg", "jog"),
        ("joggng", "jogging"),
        ("drve", "drive"),
    ],
)
def test_a_slip_is_mended(typed: str, meant: str) -> None:
    assert corrections(typed, KNOWN)[0][0] == stem(meant)


@pytest.mark.parametrize(
    "word", ["overcurrent", "Drives", "E005", "F30002", "OC", "OV1", "6SL3210", "过流", "fue", ""]
)
def test_what_is_right_or_a_code_stays(word: str) -> None:
    assert corrections(word, KNOWN) == []


def test_a_short_word_is_mended_where_one_alone_is_near() -> None:
    assert corrections("limt", KNOWN)[0][0] == "limit"
    # Another letter makes another word, and so does one less.
    assert corrections("ford", {"word": 90, "form": 70, "for": 900}) == []
    # Two that are as likely are none.
    assert corrections("mtor", {"motor": 40, "mator": 9}) == []
    assert corrections("mtor", {"motor": 40, "mator": 3}) == [("motor", ONE)]


@pytest.mark.parametrize("name", ["Huanyang", "Danfoss", "Siemens", "Growatt", "Yaskawa"])
def test_names_stay(name: str) -> None:
    assert corrections(name, KNOWN) == []


def test_the_frequent_one_comes_first() -> None:
    assert corrections("drivet", {"drived": 1, "driven": 7})[0][0] == "driven"


def test_a_wrong_first_letter_counts_less() -> None:
    found = dict(corrections("tension", {"pension": 5, "tensior": 5}))
    assert found["pension"] < found["tensior"] == ONE


@given(words, st.dictionaries(words, st.integers(1, 99), max_size=20))
def test_only_words_of_the_vocabulary_and_never_a_right_one(
    word: str, vocabulary: dict[str, int]
) -> None:
    found = corrections(word, vocabulary)
    assert all(term in vocabulary and 0 < weight <= ONE for term, weight in found)
    if stem(word) in vocabulary:
        assert found == []


@given(st.data(), st.text("abcdefghijklmnopqrstuvwxyz", min_size=6, max_size=14))
def test_every_single_slip_is_among_those_looked_up(data: st.DataObject, meant: str) -> None:
    place = data.draw(st.integers(0, len(meant) - 1))
    letter = data.draw(st.sampled_from("abcxyz"))
    typed = data.draw(
        st.sampled_from(
            [
                meant[:place] + meant[place + 1 :],
                meant[:place] + letter + meant[place:],
                meant[:place] + letter + meant[place + 1 :],
            ]
        )
    )
    if len(typed) < SHORTEST_ONE or stem(typed) == stem(meant) or len(stem(meant)) < 4:
        return
    assert stem(meant) in slips(typed)
    assert (stem(meant), ONE) in corrections(typed, {stem(meant): 1}) or typed[0] != meant[0]


@given(words, words)
def test_distance_is_one(a: str, b: str) -> None:
    assert distance(a, b, 2) == distance(b, a, 2)
    assert (distance(a, b, 2) == 0) == (a == b)
    assert distance(a, a + "x", 2) == 1
    assert distance("ab" + a, "ba" + a, 2) == 1


def test_few_are_looked_up() -> None:
    assert len(slips("overcurent")) < 600
    assert beginnings("overcurent")[0] == "ove"
    assert beginnings("mech") == ["mech"]
    assert beginnings("E005") == slips("E005") == []


def test_technicians_notes_are_read() -> None:
    """Notes as typed and as put right: what is unknown is put right as a person did."""
    folder = needed_data() / "qa_sets" / "maintnorm" / "data" / "combined"

    def pairs(name: str) -> list[tuple[str, str]]:
        rows = (
            line.split("\t") for line in (folder / name).read_text(encoding="utf-8").splitlines()
        )
        return [
            (row[0].strip(), row[1].strip().lower())
            for row in rows
            if len(row) == 2 and re.fullmatch("[A-Za-z]{4,}", row[0].strip())
        ]

    vocabulary: dict[str, int] = {}
    for _, right in pairs("train.norm"):
        for word in re.findall("[a-z]{3,}", right):
            vocabulary[stem(word)] = vocabulary.get(stem(word), 0) + 1
    vocabulary = {term: n for term, n in vocabulary.items() if n > 1}
    wrong = [
        (typed, right)
        for typed, right in pairs("test.norm")
        if stem(right) in vocabulary and stem(typed.lower()) not in vocabulary
    ]
    first = [(corrections(typed, vocabulary) or [("", 0.0)])[0][0] for typed, _ in wrong]
    fired = sum(1 for term in first if term)
    hits = sum(term == stem(right) for term, (_, right) in zip(first, wrong, strict=True))
    assert len(wrong) > 200
    assert hits / fired > 0.9
    assert hits / len(wrong) > 0.7


def test_a_word_too_long_to_be_one_is_no_slip() -> None:
    most = "q" * LONGEST
    assert sum(map(len, slips(most))) < 60 * LONGEST * LONGEST
    assert slips(most + "q") == beginnings("q" * 2000) == []
    assert corrections("q" * 2000, {"q" * 1999: 1}) == []
