"""What library and retriever disagree about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import CorpusDocument, DocumentRef
from services.ingest.differences import Differences, Own, Shelved, differences

pytestmark = pytest.mark.unit

KEEP = 1


def ref(doc_id: str, revision: int, **said: Any) -> DocumentRef:
    return DocumentRef(doc_id=doc_id, revision=revision, title="T", file=f"{doc_id}.pdf", **said)


def held(
    doc_id: str, revision: int, passages: int, *, active: bool = True, **said: Any
) -> CorpusDocument:
    return CorpusDocument(document=ref(doc_id, revision, **said), passages=passages, active=active)


def own(revision: int, passages: int = 9, state: str = "ready", **more: Any) -> Own:
    more.setdefault("answered", revision if state == "ready" else 0)
    return Own(ref=ref("a", revision), state=state, passages=passages, **more)  # type: ignore[arg-type]


def a(*revisions: Own, removing: bool = False) -> Shelved:
    last = max((one.number for one in revisions), default=0)
    return Shelved(doc_id="a", revisions=revisions, last=last, removing=removing)


def look(document: Shelved, *corpus: CorpusDocument) -> Differences:
    return differences([document], corpus, KEEP)


def test_the_same_on_both_sides_is_no_difference() -> None:
    assert not look(a(own(1, 5), own(2)), held("a", 1, 5, active=False), held("a", 2, 9))


@pytest.mark.parametrize("corpus", [[], [held("a", 1, 9)]], ids=str)
def test_what_the_retriever_lacks_is_read_again(corpus: list[CorpusDocument]) -> None:
    found = look(a(own(2)), *corpus)
    assert found == Differences(lost=(own(2),))


def test_what_it_has_and_does_not_let_answer_is_activated() -> None:
    found = look(a(own(1, answered=3), own(2)), held("a", 1, 9, active=False), held("a", 2, 9))
    assert found == Differences(switch=(own(1, answered=3),))


def test_other_passages_than_the_library_counted_are_forgotten_first() -> None:
    assert look(a(own(2)), held("a", 2, 8)) == Differences(wrong=(own(2),))
    found = look(a(own(2)), held("a", 2, 8, active=False))
    assert found == Differences(lost=(own(2),), prune=(("a", ()),))


@pytest.mark.parametrize("corpus", [[], [held("a", 1, 3)], [held("a", 2, 9)]])
def test_a_document_in_work_is_left_alone(corpus: list[CorpusDocument]) -> None:
    for state in ("queued", "reading", "indexing"):
        assert not look(a(own(2), own(3, 0, state)), *corpus)
        assert not look(a(own(2, state=state, answered=2)), *corpus)


@pytest.mark.parametrize("corpus", [[], [held("a", 1, 3)], [held("a", 2, 9)], [held("a", 3, 9)]])
def test_one_on_its_way_out_is_left_alone(corpus: list[CorpusDocument]) -> None:
    assert not look(a(own(2), removing=True), *corpus)


def test_one_that_never_was_ready_is_not_missed() -> None:
    assert not look(a(own(1, 0, "failed")))
    assert not look(a())


def test_what_answers_and_the_library_forgot_is_unknown() -> None:
    newer, other = held("a", 3, 9), held("b", 1, 4)
    found = look(a(own(2)), newer, other, held("c", 1, 4, active=False))
    assert found == Differences(unknown=(newer, other), leftover=("c",))


def test_other_words_about_a_revision_are_corrected_where_it_answers_and_where_not() -> None:
    found = look(
        a(own(1), own(2)),
        held("a", 1, 9, active=False, tags=["old"]),
        held("a", 2, 9, assets=["plant/x"]),
    )
    assert found == Differences(describe=(ref("a", 1), ref("a", 2)))


def test_a_kept_revision_the_retriever_lost_is_noted_and_so_is_one_that_came_back() -> None:
    found = look(a(own(1), own(2)), held("a", 2, 9))
    assert found == Differences(held=((own(1), False),))
    lost = own(1, held=False)
    assert not look(a(lost, own(2)), held("a", 2, 9))
    found = look(a(lost, own(2)), held("a", 1, 9, active=False), held("a", 2, 9))
    assert found == Differences(held=((lost, True),))
    found = look(a(own(1), own(2)), held("a", 1, 8, active=False), held("a", 2, 9))
    assert found == Differences(held=((own(1), False),), prune=(("a", (2,)),))


def test_what_nobody_needs_goes_and_what_came_since_stays() -> None:
    there = [held("a", n, 9, active=n == 4) for n in (1, 2, 3, 4, 7)]
    found = look(a(own(2), own(3), own(4)), *there)
    assert found == Differences(prune=(("a", (3, 4)),))


@pytest.mark.parametrize(
    ("revisions", "keep", "gone"),
    [
        ([own(1), own(2), own(3)], 1, [1]),
        ([own(1), own(2), own(3)], 0, [1, 2]),
        ([own(1), own(2), own(3)], 9, []),
        ([own(1, answered=4), own(2), own(3)], 1, [2]),
        ([own(1), own(2, 0, "failed")], 1, []),
        ([own(1), own(2, 0, "failed"), own(3, 0, "queued")], 1, [2]),
        ([own(1), own(2, 0, "failed", set_aside=True)], 1, [2]),
        ([own(1, 0, "queued"), own(2)], 1, [1]),
        ([own(1, 0, "queued"), own(2, 0, "failed")], 1, []),
        ([own(1, 0, "queued", answered=3), own(2)], 1, []),
        ([], 1, []),
    ],
)
def test_which_revisions_are_kept(revisions: list[Own], keep: int, gone: list[int]) -> None:
    assert [one.number for one in a(*revisions).spent(keep)] == gone


STATES = st.sampled_from(["queued", "reading", "indexing", "ready", "failed"])


@st.composite
def shelves(draw: st.DrawFn) -> Shelved:
    numbers = draw(st.lists(st.integers(1, 6), unique=True).map(sorted))
    answered = draw(st.permutations(range(1, 7)))
    return a(*(
        own(number, draw(st.integers(1, 3)), state, answered=turn if state == "ready" else 0)
        for number, turn in zip(numbers, answered, strict=False)
        for state in [draw(STATES)]
    ))  # fmt: skip


CORPORA = st.dictionaries(st.integers(1, 7), st.integers(1, 3)).flatmap(
    lambda there: st.sampled_from([0, *there]).map(
        lambda active: [held("a", n, count, active=n == active) for n, count in there.items()]
    )
)


@given(shelves(), CORPORA, st.integers(0, 3))
def test_nothing_that_answers_or_is_on_its_way_is_ever_thrown_away(
    document: Shelved, corpus: list[CorpusDocument], keep: int
) -> None:
    best = document.intended
    assert best not in document.spent(keep)
    ready = [one for one in document.revisions if one.state == "ready"]
    kept = [one for one in ready if one not in document.spent(keep)]
    assert len(kept) == min(len(ready), keep + 1)
    found = differences([document], corpus, keep)
    for _, stay in found.prune:
        whole = {c.document.revision for c in corpus if best and c.passages == best.passages}
        assert best is None or best.number in stay or best.number not in whole
        coming = {one.number for one in document.revisions if one.state != "ready"}
        assert coming - {one.number for one in document.spent(keep)} <= set(stay)


@given(shelves(), CORPORA, st.integers(0, 3))
def test_what_was_mended_is_no_difference(
    document: Shelved, corpus: list[CorpusDocument], keep: int
) -> None:
    if document.waiting or any(c.document.revision > document.last for c in corpus):
        return
    there = {c.document.revision: c for c in corpus}
    found = differences([document], corpus, keep)
    for _, stay in found.prune:
        there = {n: c for n, c in there.items() if c.active or n in stay}
    for one in (*found.switch, *found.lost, *found.wrong):
        if one in found.wrong:
            there.clear()
        there = {n: held("a", n, c.passages, active=False) for n, c in there.items()}
        there[one.number] = held("a", one.number, one.passages)
    if not found.held and not found.wrong:
        again = differences([document], list(there.values()), keep)
        assert (again.lost, again.wrong, again.switch) == ((), (), ())
