"""The measures: what counts as found, and figures that must hold whatever was found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gold import Place, Question
from services.measures import (
    Result,
    Seen,
    extraction,
    figures,
    forms,
    grouped,
    judge,
    quantile,
    same_file,
    says,
    tight,
)

pytestmark = pytest.mark.unit

KS = (1, 3, 5)


def passage(
    text: str = "", page: int | None = 1, file: str = "a.pdf", values: tuple[str, ...] = ()
) -> Seen:
    pages = () if page is None else (page,)
    return Seen(file=file, pages=pages, forms=forms("1 Faults", text, values))


def question(
    *phrases: str, pages: tuple[int, ...] = (2,), doc: str = "a.pdf", marked: bool = True
) -> Question:
    return Question(
        id="q",
        question="?",
        lang="en",
        places=[Place(doc=doc, pages=list(pages))],
        phrases=list(phrases),
        marks=list(phrases) if marked else [],
    )


def test_layout_hides_no_phrase() -> None:
    seen = passage("Check  the\nfan(left),\u3000ＡＢ１")
    for phrase in ("the fan", "Fan（LEFT）", "check the fan", "AB1", "1 faults"):
        assert says(seen, phrase), phrase
    assert not says(seen, "the motor")


def test_column_headers_hide_no_phrase_over_two_cells() -> None:
    seen = passage("No: PD014 | Name: Accel. Time", values=("PD014", "Accel. Time"))
    assert says(seen, "PD014Accel. Time")
    assert says(seen, "PD014 | Accel. Time")
    assert says(seen, "Name: Accel")
    assert not says(passage("No: PD014 | Name: Accel. Time"), "PD014Accel. Time")


@given(st.text(), st.text())
def test_white_space_and_width_never_matter(a: str, b: str) -> None:
    assert tight(f"{a} \n\u3000{b}") == tight(f"{a} {b}")
    assert says(passage(f"{a} {b}"), b)


@pytest.mark.parametrize(
    ("file", "named", "same"),
    [
        ("a.pdf", "a.pdf", True),
        ("old/a.pdf", "a.pdf", True),
        ("a.pdf", "manuals/old/a.pdf", True),
        ("x/a.pdf", "y/a.pdf", False),
        ("ba.pdf", "a.pdf", False),
        ("u\u0308.pdf", "\u00fc.pdf", True),
    ],
)
def test_files_are_known_without_their_folders(file: str, named: str, same: bool) -> None:
    assert same_file(file, named) is same


def test_a_right_page_is_not_yet_the_right_passage() -> None:
    found = [passage("other", 1), passage("other", 2), passage("fan worn", 2), passage("x", 2)]
    result = judge(question("fan worn"), found)
    assert (result.page_rank, result.rank, result.phrases_rank) == (2, 3, 3)


def test_a_page_of_another_document_is_no_right_one() -> None:
    assert judge(question(), [passage("fan", 2, "b.pdf")]).page_rank == 0


def test_phrases_may_stand_in_several_passages_of_any_page() -> None:
    found = [passage("fan", 9), passage("x"), passage("belt", 9)]
    assert judge(question("belt", "fan"), found).phrases_rank == 3
    assert judge(question("belt", "motor"), found).phrases_rank == 0
    assert judge(question(), found).phrases_rank is None


def test_a_document_without_pages_needs_one_of_the_words() -> None:
    found = [passage("x", None), passage("the fan", None)]
    assert judge(question("fan", "gone", pages=()), found).page_rank == 2
    assert judge(question(pages=()), found).page_rank == 1
    assert judge(question("fan"), found).page_rank == 0  # a page is known, and none was found


def test_an_answer_is_compared_without_bullets_and_cut_lines() -> None:
    asked = Question(
        id="q", question="?", lang="en", cause="A defect in the crosswise compar-", remedy="- clean"
    )
    got = extraction(asked, ["F7", "A defect in the crosswise", "comparison.", "Clean the filter"])
    assert got == {"extracted": True, "cause": True, "remedy": True}
    got = extraction(asked, ["A defect in the crosswise comparison"])
    assert got == {"extracted": False, "cause": True, "remedy": False}
    assert extraction(question(), ["x"])["extracted"] is None


def result(rank: int = 0, *, refused: bool = False, answerable: bool = True) -> Result:
    return Result(
        id="q",
        question="?",
        rank=rank,
        page_rank=rank,
        refused=refused,
        answerable=answerable,
        search_ms=2.0,
    )


def test_figures_by_hand() -> None:
    got = figures(
        [
            result(1),
            result(2),
            result(4),
            result(refused=True),
            result(refused=True, answerable=False),
            result(answerable=False),
        ],
        KS,
    )
    assert got == {
        "questions": 6,
        "recall@1": 0.25,
        "recall@3": 0.5,
        "recall@5": 0.75,
        "page@1": 0.25,
        "page@3": 0.5,
        "page@5": 0.75,
        "mrr": 0.4375,  # (1 + 1/2 + 1/4 + 0) / 4
        "refused": 0.25,
        "abstention_precision": 0.5,
        "abstention_recall": 0.5,
        "search_p50_ms": 2.0,
        "search_p99_ms": 2.0,
    }


def test_what_was_not_asked_has_no_figure() -> None:
    assert figures([], KS) == {"questions": 0}
    assert "abstention_precision" not in figures([result(refused=True)], KS)


def test_groups_are_counted_apart() -> None:
    asked = Question(
        id="q", question="?", lang="zh", type="code", cross=True, places=[Place(doc="a.pdf")]
    )
    table = grouped([judge(asked, [passage("x")]), result()], KS)
    assert list(table) == ["all", "code", "cross"]
    assert [table[name]["recall@1"] for name in table] == [0.5, 1.0, 1.0]


ranks = st.lists(st.integers(0, 10), min_size=1)


@given(ranks)
def test_more_places_never_find_less_and_mrr_lies_between(found: list[int]) -> None:
    got = figures([result(rank) for rank in found], KS)
    assert 0 <= got["recall@1"] <= got["recall@3"] <= got["recall@5"] <= 1
    assert got["recall@1"] <= got["mrr"] <= 1


@given(ranks, st.randoms())
def test_the_order_of_questions_does_not_matter(found: list[int], dice: object) -> None:
    results = [result(rank) for rank in found]
    dice.shuffle(results)  # type: ignore[attr-defined]
    assert figures(results, KS) == figures([result(rank) for rank in found], KS)


@given(st.lists(st.booleans(), max_size=20), st.lists(st.booleans(), max_size=20))
def test_refusals_count_once_each(unanswerable: list[bool], answerable: list[bool]) -> None:
    results = [result(refused=r, answerable=False) for r in unanswerable]
    results += [result(refused=r) for r in answerable]
    got = figures(results, KS)
    if unanswerable and sum(unanswerable) + sum(answerable):
        right = got["abstention_precision"] * (sum(unanswerable) + sum(answerable))
        assert right == pytest.approx(sum(unanswerable), abs=0.01)
    if unanswerable:
        assert got["abstention_recall"] == pytest.approx(
            sum(unanswerable) / len(unanswerable), abs=1e-4
        )


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.5, 0.99]))
def test_a_quantile_is_one_of_the_values_that_enough_do_not_exceed(
    values: list[float], q: float
) -> None:
    got = quantile(values, q)
    assert got in {round(value, 2) for value in values}
    assert sum(round(value, 2) <= got for value in values) >= q * len(values)
