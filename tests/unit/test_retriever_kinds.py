"""Which passages list alarms, which errors, and which of them explain a code."""

from __future__ import annotations

import msgspec
import pytest

from schemas.retrieval import DocumentRef, Field, Passage
from services.retriever.codes import codes
from services.retriever.holdings import Found
from services.retriever.kinds import explaining, of_kind
from services.retriever.records import content_of

pytestmark = pytest.mark.unit

DOCUMENTS = {
    1: DocumentRef(doc_id="a", revision=1, title="alarm_controller", file="a.json"),
    2: DocumentRef(doc_id="b", revision=1, title="Controller", file="b.md"),
}


def found(label: int, document: int, header: str, section: str = "") -> Found:
    passage = Passage(
        ordinal=label,
        kind="row",
        text=f"{header}: 9 | Text: locked during an alarm",
        section=section,
        fields=[Field(header, "9"), Field("Text", "locked during an alarm")],
    )
    return Found(label, document, "row", content_of(passage), "", "", "", "")


FOUND = {
    0: found(0, 2, "Error Code"),
    1: found(1, 2, "ID", "Alarms > Error messages"),
    2: found(2, 2, "Alarm no.", "Messages"),
    3: found(3, 1, "id"),
    4: found(4, 2, "id", "代码 > 报警列表"),
    5: found(5, 2, "$-Code"),
    6: found(6, 2, "id"),
}


@pytest.mark.parametrize(
    ("question", "labels"),
    [
        ("error 9", {0, 1}),
        ("err 9", {0, 1}),
        ("alarm 9", {2, 3, 4}),
        ("9号报警", {2, 3, 4}),
        ("setting 9", {5}),
        ("$9", {5}),
        ("what is 9?", set()),
    ],
)
def test_headers_say_what_is_listed_and_headings_and_titles_where_they_do_not(
    question: str, labels: set[int]
) -> None:
    assert of_kind(codes(question, loose=True), FOUND, FOUND, DOCUMENTS) == labels


def test_a_passage_that_no_longer_answers_is_left_out() -> None:
    assert of_kind(codes("error 9", loose=True), [0, 7], {0: FOUND[0]}, {}) == set()


def test_entries_and_rows_with_causes_or_deeds_explain_a_code() -> None:
    rows = {
        0: found(0, 2, "Par. no."),
        1: found(1, 2, "Possible cause"),
        2: found(2, 2, "处理方法"),
        3: msgspec.structs.replace(found(3, 2, "Range"), kind="entry"),
    }
    assert explaining([*rows, 9], rows) == {1, 2, 3}
    assert explaining([0, 1, 2], rows) == set()
