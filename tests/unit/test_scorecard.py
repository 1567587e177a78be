"""Limits, comparison with an earlier run, and the table."""

from __future__ import annotations

from typing import Any

import pytest

from services.measures import Result, grouped
from services.scorecard import Limit, Report, compare, limit, lines, misses

pytestmark = pytest.mark.unit


def report(*results: Result, **more: Any) -> Report:
    made = grouped(results, (1, 3))
    return Report(
        created="2026-01-31T12:00:00Z", files=["qa"], figures=made, results=list(results), **more
    )


def got(name: str, rank: int = 0, **more: Any) -> Result:
    return Result(id=name, question=f"{name}?", rank=rank, page_rank=rank, **more)


@pytest.mark.parametrize(
    ("text", "most", "why"),
    [
        ("recall@3=0.5", False, ""),
        ("recall@3=0.51", False, "recall@3 is 0.5, less than 0.51"),
        ("code.recall@3=1", False, ""),
        ("code.recall@1=1", False, "code.recall@1 is 0, less than 1"),
        ("refused=0.5", True, ""),
        ("refused=0.03", True, "refused is 0.5, more than 0.03"),
        ("recal@3=0.5", False, "recal@3: there is no such figure"),
        ("cross.mrr=0", False, "cross.mrr: there is no such figure"),
    ],
)
def test_a_limit_is_kept_or_says_why_not(text: str, most: bool, why: str) -> None:
    table = report(got("a", 2, groups=["code"]), got("b", refused=True)).figures
    assert limit(text, most=most).broken(table) == why


def test_the_group_of_a_limit_may_be_a_form_of_asking() -> None:
    form = "What is {code}, v1.2?"
    assert limit(f"{form}.mrr=0.9") == Limit(group=form, name="mrr", value=0.9)


@pytest.mark.parametrize("text", ["", "recall@3", "recall@3=x", "recall@3=-1", "=1"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"recall@3=0\.9"):
        limit(text)


def test_a_comparison_names_what_has_changed() -> None:
    then = report(got("a", 2), got("b", 1), got("c", answerable=False), got("gone", 1))
    now = report(got("a", 1), got("b", 3), got("c", answerable=False, refused=True), got("new"))
    compared = compare(now, then)
    assert (compared.better, compared.worse) == (["a", "c"], ["b"])
    assert compared.changes["all"]["recall@1"] == pytest.approx(1 / 3 - 2 / 3, abs=1e-4)
    text = "\n".join(lines(compared))
    assert "recall@1 -0.3334" in text
    assert "worse: b" in text
    assert "nothing has changed" in "\n".join(lines(compare(then, then)))


def test_a_manual_that_came_or_went_makes_no_question_better_or_worse() -> None:
    then, now = report(got("a", missing=True), got("b", 1)), report(got("a", 1), got("b", 1))
    for one, other in ((now, then), (then, now)):
        compared = compare(one, other)
        assert (compared.better, compared.worse) == ([], [])


def test_what_only_one_run_measured_is_no_change() -> None:
    then = report(got("a", 1, extracted=True), got("b", 1, extracted=False))
    now = report(got("a", 1), got("b", 1))
    assert compare(now, then).worse == []
    assert compare(report(got("b", 1, extracted=True)), then).better == ["b"]


def test_the_table_has_a_line_for_each_group() -> None:
    text = lines(
        report(
            got("a", 1, groups=["code", "same"], phrases_rank=1),
            got("b", 2, groups=["symptom"]),
            got("c", answerable=False, refused=True),
            got("d", missing=True, groups=["code"]),
            got("e", missing=True),
            missing_documents=["x.pdf"],
        )
    )
    assert text[0].split() == [
        "questions", "recall@1", "recall@3", "mrr", "page@1", "page@3", "phrases@1", "phrases@3",
        "refused",
    ]  # fmt: skip
    assert [line.split()[0] for line in text[1:5]] == ["all", "code", "same", "symptom"]
    assert text[1].split()[1:3] == ["3", "50.0"]
    assert text[5].split() == ["manual", "missing", "2", *["-"] * 8]
    assert text[4].split()[-3:] == ["-", "0.0", "%"]
    assert "not in the manuals: 100.0 % recognised; 100.0 % of refusals right" in text
    assert text[-1] == "manual missing: 2 questions are not counted; not in the library: x.pdf"


def test_misses_say_what_is_missing() -> None:
    said = misses(
        [
            got("fine", 1, phrases_rank=1, extracted=True),
            got("far", 4, phrases_rank=0, extracted=False),
            got("none", refused=True),
            got("wrong", answerable=False),
            got("lost", missing=True),
            got("late", error="search: no answer"),
        ],
        3,
    )
    assert said == [
        "far: far?\n    passage at 4, phrases missing, not all in the answer",
        "none: none?\n    passage at none of the places, refused",
        "wrong: wrong?\n    answered, though no manual has it",
        "late: late?\n    search: no answer",
    ]
