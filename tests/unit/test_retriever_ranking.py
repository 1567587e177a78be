"""Fusion, relevance, scope."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import DocumentRef
from services.retriever.ranking import CodeHit, distinct, rank, weigh, worth_searching
from services.retriever.scope import matches, of_asset

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Text:
    id: int
    body: str
    head: str = ""


def texts(*bodies: str) -> dict[int, Text]:
    return {number: Text(number, body) for number, body in enumerate(bodies)}


def test_rare_words_weigh_more() -> None:
    weights = weigh(["motor", "brake", "unheard"], {"motor": 90, "brake": 3}, 100)
    assert weights["unheard"] > weights["brake"] > weights["motor"] > 0


def test_words_in_every_passage_are_not_searched_for() -> None:
    frequency = {"motor": 900, "brake": 3}
    assert worth_searching(["motor", "brake", "unheard"], frequency, 1000) == ["brake"]
    assert worth_searching(["motor"], frequency, 1000) == ["motor"]


def test_a_defining_passage_stands_first() -> None:
    ranked = rank(
        texts("e005 undervoltage", "many words about the e005 drive fault reset"),
        weights={"drive": 2.0, "fault": 1.0, "reset": 1.0},
        codes_asked=1,
        code_hits={0: CodeHit(3, exact=True), 1: CodeHit(1, exact=True)},
        word_hits=[(1, 9.0)],
        vector_hits=[(1, 0.9)],
    )
    assert [(r.id, r.by) for r in ranked] == [(0, "code"), (1, "words")]
    assert ranked[0].score >= 0.9


def test_an_exact_code_stands_before_one_with_other_zeros() -> None:
    ranked = rank(
        texts("e5", "e005"),
        weights={},
        codes_asked=1,
        code_hits={0: CodeHit(3, exact=False), 1: CodeHit(3, exact=True)},
        word_hits=[],
        vector_hits=[],
    )
    assert [r.id for r in ranked] == [1, 0]


def test_an_unknown_code_takes_the_relevance_of_the_rest_down() -> None:
    arguments = {
        "weights": {"drive": 1.0, "fault": 1.0},
        "code_hits": {},
        "word_hits": [(0, 3.0)],
        "vector_hits": [],
    }
    without = rank(texts("drive fault"), codes_asked=0, **arguments)  # type: ignore[arg-type]
    with_code = rank(texts("drive fault"), codes_asked=1, **arguments)  # type: ignore[arg-type]
    assert without[0].score == 1.0
    assert with_code[0].score < 0.5


def test_meaning_alone_can_find() -> None:
    ranked = rank(
        texts("synonyms only"),
        weights={"other": 1.0},
        codes_asked=0,
        code_hits={},
        word_hits=[],
        vector_hits=[(0, 0.8)],
    )
    assert ranked[0].by == "vector"
    assert ranked[0].score > 0.5


def test_a_quote_is_relevant_however_common_its_words_and_unknown_its_codes() -> None:
    ranked = rank(
        texts("as usual"),
        weights={"as": 0.001},
        codes_asked=3,
        code_hits={},
        word_hits=[],
        vector_hits=[],
        quoted={0},
    )
    assert ranked[0].score == 1.0


def test_among_equals_the_asked_language_stands_first() -> None:
    arguments = {
        "candidates": texts("e005 undervoltage", "e005 欠压", "e005 欠压 报警"),
        "codes_asked": 1,
        "code_hits": {n: CodeHit(3 if n < 2 else 1, exact=True) for n in range(3)},
        "weights": {},
        "word_hits": [(0, 2.0), (1, 1.9), (2, 1.0)],
        "vector_hits": [(0, 0.6), (1, 0.5)],
    }
    assert [r.id for r in rank(**arguments)] == [0, 1, 2]  # type: ignore[arg-type]
    chinese = rank(**arguments, in_language={1, 2})  # type: ignore[arg-type]
    assert [r.id for r in chinese] == [1, 0, 2]


def test_copies_of_one_passage_leave_room_for_others() -> None:
    passages = texts(*["a b c"] * 40, "x y z")
    ranked = rank(
        passages,
        weights={"a": 1.0},
        codes_asked=0,
        code_hits={},
        word_hits=[(n, 1.0) for n in range(41)],
        vector_hits=[],
    )
    assert [r.id for r in distinct(ranked, passages, 2)] == [0, 40]


def test_passages_that_say_the_same_are_one() -> None:
    passages = texts("a b c d e f g", "a b c d e f g", "x y z")
    ranked = rank(
        passages,
        weights={"a": 1.0},
        codes_asked=0,
        code_hits={},
        word_hits=[(0, 1.0), (1, 0.9), (2, 0.1)],
        vector_hits=[],
    )
    assert [r.id for r in distinct(ranked, passages, 5)] == [0, 2]


@given(
    st.lists(st.text("abcd ", max_size=12), min_size=1, max_size=8),
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.0, 9.0), max_size=4),
    st.booleans(),
    st.data(),
)
def test_every_candidate_is_ranked_once_with_a_score_in_range(
    bodies: list[str], weights: dict[str, float], asked: bool, data: st.DataObject
) -> None:
    passages = texts(*bodies)
    some = st.lists(st.sampled_from(sorted(passages)), unique=True)
    ranked = rank(
        passages,
        weights=weights,
        codes_asked=int(asked),
        code_hits={n: CodeHit(1 + n % 3, exact=bool(n % 2)) for n in data.draw(some)},
        word_hits=[(n, 1.0) for n in data.draw(some)],
        vector_hits=[(n, 0.5) for n in data.draw(some)],
    )
    assert sorted(r.id for r in ranked) == sorted(passages)
    assert all(0.0 <= r.score <= 1.0 for r in ranked)


@pytest.mark.parametrize(
    ("filter_", "asset", "covered"),
    [
        ("plant/motor7", "plant/motor7", True),
        ("plant/+", "plant/motor7", True),
        ("plant/#", "plant/hall2/motor7", True),
        ("plant/#", "plant", True),
        ("#", "plant/motor7", True),
        ("plant/+", "plant/hall2/motor7", False),
        ("plant/motor7", "plant/motor70", False),
        ("plant/motor7", "plant", False),
    ],
)
def test_filters_cover_assets_as_mqtt_does(filter_: str, asset: str, covered: bool) -> None:
    assert matches(filter_, asset) is covered


def test_an_asset_has_its_documents() -> None:
    documents = {
        1: DocumentRef(doc_id="a", revision=1, title="a", file="a", assets=["plant/motor7"]),
        2: DocumentRef(doc_id="b", revision=1, title="b", file="b", assets=["line/+"]),
        3: DocumentRef(doc_id="c", revision=1, title="c", file="c"),
    }
    assert of_asset(documents, "plant/motor7") == [1]
    assert of_asset(documents, "") == []
    assert of_asset(documents, "other") == []
