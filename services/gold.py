"""Gold questions: what was asked, and where the answer is known to stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec

LONGEST = 4000
"""Characters of a question, as `schemas.answers.Ask` has it."""
ABOUT_A_CODE = "What does fault {code} mean and how do I fix it?"
"""How an entry of a fault list is asked for, where no other form is given."""
_CHINESE = re.compile(r"[\u3400-\u9fff]")

Page = Annotated[int, msgspec.Meta(ge=1)]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A document and its pages on which an answer stands."""

    doc: Annotated[str, msgspec.Meta(min_length=1)]
    """File name; folders before it may be left out."""
    pages: list[Page] = []
    """Physical pages, from 1; empty: anywhere in it."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question with what is known of its answer."""

    id: str
    """Its own, or the number of its line; with several forms of asking, the form's number too."""
    question: str
    """As asked."""
    places: list[Place] = []
    """Where the answer stands, any of them; empty: in no manual."""
    phrases: list[str] = []
    """Verbatim words of the manual that the answer is made of."""
    marks: list[str] = []
    """Words of which a passage on a gold page must have one to be the right one."""
    cause: str = ""
    """Words of the manual's cause."""
    remedy: str = ""
    """Words of the manual's remedy."""
    type: str = ""
    """Kind of question: `code`, `symptom`, …"""
    lang: str
    """Language of the question."""
    cross: bool | None = None
    """Whether the manual is in another language; None where unknown."""
    form: str = ""
    """The form of asking it was made with."""
    asset: str = ""
    """The machine it is asked about."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line as people write it: all forms that are read; what is not known here is passed over."""

    question: Annotated[str, msgspec.Meta(max_length=LONGEST)] | None = None
    id: str | int | None = None
    doc: str | None = None
    page: Page | None = None
    pages: list[Page] | None = None
    also_found_in: list[Place] | None = None
    must_contain: list[str] | None = None
    code: str | None = None
    title: str | None = None
    cause: str | None = None
    remedy: str | None = None
    type: str | None = None
    lang: str | None = None
    doc_lang: str | None = None
    crosslingual: bool | None = None
    unanswerable: bool = False
    asset: str | None = None


class Bad(msgspec.Struct, frozen=True, kw_only=True):
    """A line that is no question."""

    line: int
    """From 1; in a JSON list the number of the entry."""
    reason: str
    """What is wrong with it."""


_row = msgspec.json.Decoder(Row)
_list = msgspec.json.Decoder(list[msgspec.Raw])


def read(
    data: bytes, *, doc: str = "", forms: Sequence[str] = ()
) -> tuple[list[Question], list[Bad]]:
    """Return the questions of a file, and its lines that are none.

    Args:
        data: JSON Lines, or one JSON list.
        doc: the document of rows that name none.
        forms: how rows without a question are asked for: `{code}` and `{title}` are filled in.
    """
    questions: list[Question] = []
    bad: list[Bad] = []
    for number, line in _lines(data):
        try:
            questions += _questions(_row.decode(line), str(number), doc, forms or [ABOUT_A_CODE])
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            bad.append(Bad(line=number, reason=str(error)))
    return questions, bad


def _lines(data: bytes) -> list[tuple[int, bytes | msgspec.Raw]]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.lstrip().startswith(b"["):
        try:
            return list(enumerate(_list.decode(data), start=1))
        except msgspec.MsgspecError:
            pass  # no list: each line says what is wrong with it
    lines = enumerate(data.splitlines(), start=1)
    return [(number, line) for number, line in lines if line.strip()]


def _questions(row: Row, number: str, doc: str, forms: Sequence[str]) -> list[Question]:
    """Return what a row asks, once or once a form.

    Raises:
        ValueError: it lacks something.
    """
    if row.question is not None:
        return [_question(row, number, doc, row.question, "")]
    if not row.code:
        raise ValueError("it has neither a question nor a code to ask for")
    named = str(row.id if row.id is not None else row.code)
    return [
        _question(row, named if len(forms) == 1 else f"{named}/{n}", doc, _filled(form, row), form)
        for n, form in enumerate(forms, start=1)
    ]


def _filled(form: str, row: Row) -> str:
    return form.replace("{code}", row.code or "").replace("{title}", row.title or "")


def _question(row: Row, number: str, doc: str, question: str, form: str) -> Question:
    if not question.strip():
        raise ValueError("its question is empty")
    lang = row.lang or ("zh" if _CHINESE.search(question) else "en")
    cross = row.crosslingual
    if cross is None and row.doc_lang:
        cross = {lang, row.doc_lang} == {"en", "zh"}
    phrases = [phrase for phrase in row.must_contain or [] if phrase.strip()]
    return Question(
        id=str(row.id) if row.id is not None and not form else number,
        question=question,
        places=_places(row, doc),
        phrases=phrases,
        marks=phrases or ([row.code] if form and row.code else []),
        cause=row.cause or "",
        remedy=row.remedy or "",
        type=row.type or ("unanswerable" if row.unanswerable else "code" if form else ""),
        lang=lang,
        cross=cross,
        form=form,
        asset=row.asset or "",
    )


def _places(row: Row, doc: str) -> list[Place]:
    if row.unanswerable:
        return []
    name = row.doc or doc
    if not name:
        raise ValueError(
            "it names no document: give `doc`, the option --doc for all rows, or"
            ' `"unanswerable": true`'
        )
    pages = [*(row.pages or []), *([row.page] if row.page else [])]
    return [Place(doc=name, pages=pages), *(row.also_found_in or [])]
