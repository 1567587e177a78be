"""What the cells of a row are called in the other language."""

from __future__ import annotations

import pytest

from schemas.retrieval import DocumentRef, Field, Hit, Passage
from services.retriever.glosses import glossed
from services.retriever.lexicon import SHIPPED, Lexicon

pytestmark = pytest.mark.unit

LINES = [
    "ground fault, earth fault, GF | 接地故障, 对地短路".encode(),
    "trip, ~fault | 跳闸".encode(),
    "belt | 皮带".encode(),
    "belt, strap | 带".encode(),
    "OC, overcurrent | 过流, 过电流".encode(),
]
REF = DocumentRef(doc_id="a", revision=1, title="A", file="a.pdf")


@pytest.fixture
def lexicon() -> Lexicon:
    made = Lexicon()
    made.add(LINES, "test")
    return made


def called(lexicon: Lexicon, cell: str, lang: str) -> dict[str, str]:
    passage = Passage(ordinal=0, kind="row", text=cell, fields=[Field("Name", cell)])
    [hit] = glossed([Hit(document=REF, passage=passage, score=1, by="code")], lang, lexicon)
    return hit.called


@pytest.mark.parametrize(
    ("cell", "lang", "name"),
    [
        ("Ground fault", "zh", "接地故障"),
        ("Power unit: earth-fault", "zh", "接地故障"),
        ("对地短路", "en", "ground fault"),
        ("过流", "en", "overcurrent"),
    ],
)
def test_a_term_of_the_list_is_told(lexicon: Lexicon, cell: str, lang: str, name: str) -> None:
    assert called(lexicon, cell, lang) == {cell: name}


@pytest.mark.parametrize(
    ("cell", "lang"),
    [
        ("Ground fault", "en"),
        ("Ground fault", ""),
        ("Ground fault 接地", "zh"),
        ("Ground fault at the motor", "zh"),
        ("belt", "zh"),
        ("fault", "zh"),
        ("OC", "zh"),
        ("GF", "zh"),
        ("12", "zh"),
        ("x" * 90 + ": ground fault", "zh"),
    ],
    ids=[
        "same language",
        "no language wanted",
        "both languages",
        "more than a term",
        "two meanings",
        "loose",
        "abbreviation",
        "another",
        "number",
        "long",
    ],
)
def test_nothing_is_guessed(lexicon: Lexicon, cell: str, lang: str) -> None:
    assert called(lexicon, cell, lang) == {}


def test_the_shipped_list_knows_the_commonest_faults() -> None:
    lexicon = Lexicon.load([SHIPPED])
    assert called(lexicon, "Ground fault", "zh") == {"Ground fault": "接地故障"}
    assert called(lexicon, "输出缺相", "en") == {"输出缺相": "output phase loss"}
