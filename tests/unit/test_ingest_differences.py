"""What library and retriever disagree about."""

from __future__ import annotations

import pytest

from schemas.retrieval import CorpusDocument, DocumentRef
from services.ingest.differences import Answering, differences

pytestmark = pytest.mark.unit


def held(doc_id: str, revision: int, passages: int, *, active: bool = True) -> CorpusDocument:
    document = DocumentRef(doc_id=doc_id, revision=revision, title="T", file=f"{doc_id}.pdf")
    return CorpusDocument(document=document, passages=passages, active=active)


def own(doc_id: str, revision: int, passages: int, *, waiting: bool = False) -> Answering:
    return Answering(doc_id, revision, passages, waiting)


def test_the_same_on_both_sides_is_no_difference() -> None:
    found = differences([own("a", 2, 9)], [held("a", 1, 5, active=False), held("a", 2, 9)])
    assert (found.lost, found.wrong, found.unknown) == ((), (), ())


@pytest.mark.parametrize(
    "corpus", [[], [held("a", 1, 9)], [held("a", 2, 9, active=False)]], ids=str
)
def test_what_does_not_answer_as_it_should_is_read_again(corpus: list[CorpusDocument]) -> None:
    found = differences([own("a", 2, 9)], corpus)
    assert (found.lost, found.wrong, found.unknown) == ((("a", 2),), (), ())


def test_other_passages_than_the_library_counted_are_forgotten_first() -> None:
    assert differences([own("a", 2, 9)], [held("a", 2, 8)]).wrong == (("a", 2),)


@pytest.mark.parametrize("corpus", [[], [held("a", 1, 3)], [held("a", 2, 9)], [held("a", 3, 9)]])
def test_a_document_in_work_or_on_its_way_out_is_left_alone(corpus: list[CorpusDocument]) -> None:
    found = differences([own("a", 2, 9, waiting=True)], corpus)
    assert (found.lost, found.wrong, found.unknown) == ((), (), ())


def test_one_that_never_was_ready_is_not_missed() -> None:
    assert differences([own("a", 0, 0)], []).lost == ()


def test_what_answers_and_the_library_forgot_is_unknown() -> None:
    newer, other = held("a", 3, 9), held("b", 1, 4)
    found = differences([own("a", 2, 9)], [newer, other, held("c", 1, 4, active=False)])
    assert (found.lost, found.wrong) == ((), ())
    assert found.unknown == (newer, other)
