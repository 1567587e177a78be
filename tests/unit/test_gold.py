"""Gold questions in all forms that people write them in, and lines that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gold import ABOUT_A_CODE, Place, Question, read
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.unit

FULL = {
    "id": "q1",
    "doc": "drive.pdf",
    "lang": "zh",
    "doc_lang": "en",
    "question": "报警4怎么办",
    "code": "4",
    "type": "code",
    "pages": [3, 4],
    "must_contain": ["Fan worn", " "],
    "unanswerable": False,
    "needs_ocr": False,
    "crosslingual": True,
    "also_found_in": [{"doc": "old.pdf", "pages": [9], "why": "older edition"}],
}


def one(row: dict[str, Any], **how: Any) -> Question:
    [question], bad = read(json.dumps(row).encode(), **how)
    assert bad == []
    return question


def reason(row: Any) -> str:
    questions, [bad] = read(json.dumps(row).encode())
    assert questions == []
    return bad.reason


def test_all_that_is_said_of_a_question_is_read() -> None:
    assert one(FULL) == Question(
        id="q1",
        question="报警4怎么办",
        places=[Place(doc="drive.pdf", pages=[3, 4]), Place(doc="old.pdf", pages=[9])],
        phrases=["Fan worn"],
        marks=["Fan worn"],
        type="code",
        lang="zh",
        cross=True,
    )


def test_the_least_a_person_writes() -> None:
    asked = one({"question": "Which oil?", "doc": "pump.pdf", "pages": [12]})
    assert asked == Question(
        id="1", question="Which oil?", places=[Place(doc="pump.pdf", pages=[12])], lang="en"
    )
    assert one({"question": "用什么油?", "doc": "a.pdf", "page": 2}).lang == "zh"
    assert one({"question": "Which oil?"}, doc="b.pdf").places == [Place(doc="b.pdf")]


@pytest.mark.parametrize(
    ("lang", "doc_lang", "said", "cross"),
    [
        ("en", "zh", None, True),
        ("en", "en", None, False),
        ("zh", "mixed", None, False),
        ("zh", None, None, None),
        ("zh", "en", False, False),
        ("zh", None, True, True),
    ],
)
def test_whether_question_and_manual_share_a_language(
    lang: str, doc_lang: str | None, said: bool | None, cross: bool | None
) -> None:
    row = {"question": "x", "doc": "a", "lang": lang, "doc_lang": doc_lang, "crosslingual": said}
    assert one(row).cross is cross


def test_an_entry_of_a_fault_list_is_asked_for_in_each_form() -> None:
    entry = {"code": "F7", "title": "Fan", "page": 5, "cause": "dust", "remedy": "- clean"}
    made = one(entry, doc="list.pdf")
    assert made.question == ABOUT_A_CODE.format(code="F7")
    assert (made.id, made.type, made.lang, made.marks) == ("F7", "code", "en", ["F7"])
    assert (made.cause, made.remedy) == ("dust", "- clean")
    data = json.dumps([entry, entry | {"code": "F8"}]).encode()
    questions, bad = read(data, doc="list.pdf", forms=["{code}", "{code} {title}是什么"])
    assert bad == []
    assert [q.question for q in questions] == ["F7", "F7 Fan是什么", "F8", "F8 Fan是什么"]
    assert [q.id for q in questions] == ["F7/1", "F7/2", "F8/1", "F8/2"]
    assert [q.lang for q in questions] == ["en", "zh"] * 2


def test_a_question_no_manual_answers_needs_no_document() -> None:
    asked = one({"question": "E999?", "doc": None, "unanswerable": True})
    assert (asked.places, asked.type) == ([], "unanswerable")


def test_a_bad_line_is_named_and_stops_nothing() -> None:
    good = json.dumps({"question": "a", "doc": "b"})
    data = f'\ufeff{good}\n\n{{"question": 5}}\n{good[:-1]}\n{good}\n'.encode() + b'"\xff"\n'
    questions, bad = read(data)
    assert [q.id for q in questions] == ["1", "5"]
    assert [one.line for one in bad] == [3, 4, 6]
    assert "$.question" in bad[0].reason


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"doc": "a"}, "neither a question nor a code"),
        ({"question": " ", "doc": "a"}, "empty"),
        ({"question": "a"}, "names no document"),
        ({"question": "a", "doc": "b", "pages": [0]}, "$.pages[0]"),
        ({"question": "a", "doc": "b", "must_contain": "c"}, "$.must_contain"),
        ({"question": "a" * 4001, "doc": "b"}, "$.question"),
        (5, "object"),
    ],
)
def test_what_is_wrong_is_said(row: Any, said: str) -> None:
    assert said in reason(row)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_their_end(data: bytes) -> None:
    questions, bad = read(data)
    assert len(questions) + len(bad) <= data.count(b"\n") + data.count(b"\r") + data.count(b",") + 1


def test_the_real_sets_are_read_without_a_bad_line() -> None:
    data = needed_data()
    questions, bad = read((data / "manuals" / "qa_dev.jsonl").read_bytes())
    assert (len(questions), bad) == (101, [])
    assert sum(not q.places for q in questions) == 10
    assert sum(q.cross is True for q in questions) == 7
    entries, bad = read((data / "gold" / "g120_dev.json").read_bytes(), doc="list.pdf")
    assert (len(entries), bad) == (168, [])
    assert all(e.cause and e.remedy and e.places[0].pages for e in entries)
