"""Which passage a question without a code means."""

from __future__ import annotations

import msgspec
import pytest

from schemas.retrieval import DocumentRef, Field, Hit, Passage
from services.orchestrator.meant import meant
from services.orchestrator.sentences import terms_asked

pytestmark = pytest.mark.unit

FD40 = DocumentRef(doc_id="fd40", revision=1, title="FD40 manual", file="fd40.pdf")
KX7 = DocumentRef(doc_id="kx7", revision=1, title="KX7 manual", file="kx7.pdf")


def row(ordinal: int, *cells: tuple[str, str], score: float = 0.9, section: str = "") -> Hit:
    text = " | ".join(f"{name}: {value}" for name, value in cells)
    fields = [Field(name, value) for name, value in cells]
    passage = Passage(
        ordinal=ordinal, section=section, kind="row", text=text, fields=fields, lang="en"
    )
    return Hit(document=FD40, passage=passage, score=score, by="words")


def text(ordinal: int, words: str, score: float = 1.0) -> Hit:
    passage = Passage(ordinal=ordinal, text=words, lang="en")
    return Hit(document=FD40, passage=passage, score=score, by="words")


def of(document: DocumentRef, hit: Hit) -> Hit:
    return msgspec.structs.replace(hit, document=document)


FAULT = row(
    7,
    ("Symptom", "Belt tension too low"),
    ("Cause", "Belt worn"),
    ("Remedy", "Replace the belt"),
)
PROSE = text(3, "b) Belt tension\nThe page shows the belt tension, also when it is too low.")


def place(question: str, *hits: Hit) -> int:
    return meant(hits, terms_asked(question), "en").passage.ordinal


def test_the_row_that_is_named_like_the_symptom_answers() -> None:
    assert place("belt tension too low", PROSE, FAULT) == 7


@pytest.mark.parametrize(
    ("question", "fault"),
    [
        ("what does the page show", FAULT),
        ("belt tension too low", of(KX7, FAULT)),
        ("belt tension too low", msgspec.structs.replace(FAULT, score=0.3)),
        ("belt tension too low", row(7, ("Word", "Belt tension too low"), ("Size", "2"))),
    ],
    ids=["other words", "another machine's", "far behind", "no cause and no remedy"],
)
def test_else_what_was_found_first_answers(question: str, fault: Hit) -> None:
    assert place(question, PROSE, fault) == 3


def test_a_parameter_is_named_by_what_was_asked_and_no_more() -> None:
    wide = row(1, ("Code", "P8-25"), ("Name", "Ramp time switching frequency"), ("Range", "0~50"))
    plain = row(2, ("Code", "P0-17"), ("Name", "Ramp time 1"), ("Range", "0~65"))
    other = row(3, ("Code", "P8-01"), ("Name", "Jogging ramp time"), ("Range", "0~65"))
    assert place("how to set the ramp time", wide, other, plain) == 2
    assert place("ramp time switching frequency", wide, other, plain) == 1


def test_a_row_of_bytes_gives_way_to_the_text_beside_it() -> None:
    frame = row(1, ("Head", "FA"), ("Data", "NULL"), section="5.6 Restore the defaults")
    words = text(2, "5.6 Restore the defaults\nPress the key while it starts.", score=0.8)
    assert place("restore the defaults", frame, words) == 2
    assert place("what is the head of the restore frame FA", frame, words) == 1
    assert place("restore the defaults", frame) == 1
