"""Which documents a question names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import DocumentRef
from services.retriever.names import MOST, NEAR, SURE, Names, name_tokens

pytestmark = pytest.mark.unit


def ref(title: str, file: str = "", **said: object) -> DocumentRef:
    return DocumentRef(
        doc_id=title, revision=1, title=title, file=file or f"{title}.pdf", **said,  # type: ignore[arg-type]
    )  # fmt: skip


def library(*titles: str) -> Names:
    return Names({number: ref(title) for number, title in enumerate(titles)})


def test_a_document_goes_by_its_title_path_product_shelf_and_tags() -> None:
    document = ref(
        "Drive manual", "shelf/HY_series.pdf", model="KX90", collection="Hall 2", tags=["spare"]
    )
    assert {"driv", "manual", "shelf", "hy", "kx90", "hall", "spar"} <= name_tokens(document)
    assert "pdf" not in name_tokens(document)
    assert "hy" in Names({1: document})
    assert "pump" not in Names({1: document})
    assert Names({1: document}).of(1) == name_tokens(document)
    assert Names({1: document}).of(2) == frozenset()


def test_the_fewer_documents_go_by_a_word_the_more_it_tells() -> None:
    names = library("ax drive", "ax pump", *(f"other{n}" for n in range(8)))
    named = names.named(["ax", "pump"], {})
    assert set(named) == {0, 1}
    assert named[1] > named[0] > 0


def test_a_word_that_most_documents_go_by_names_none() -> None:
    names = library("manual ax", "manual bx", "manual cx")
    assert names.named(["manual"], {}) == {}
    assert set(names.named(["bx"], {})) == {1}


def test_a_name_in_the_text_tells_less_than_one_in_the_title() -> None:
    names = library("ax", "bx", "cx", "dx", "ex", "fx")
    named = names.named(["gear"], {"gear": [1]})
    assert set(named) == {1}
    assert 0 < named[1] < names.named(["ax"], {})[0]
    # Where the title has it already, the text adds nothing.
    assert names.named(["ax"], {"ax": [0]}) == names.named(["ax"], {})


def test_a_maker_is_one_name_however_it_is_written() -> None:
    names = library(
        "jk bms", "jk balancer", "极空 can", "ax", "bx", "cx", "dx", "ex", "bms protocol"
    )
    maker = [[("jk",), ("jk", "bms"), ("极空",)]]
    named = names.named([], {}, maker)
    assert set(named) == {0, 1, 2}
    assert len(set(named.values())) == 1
    # What else is said tells them apart; a name of two words needs both.
    assert names.meant(names.named(["can"], {}, maker)) == [2]
    assert set(names.named([], {"极空": [3]}, [[("jk", "bms"), ("极空",)]])) == {0, 2, 3}


def test_a_holder_that_no_longer_answers_is_not_named() -> None:
    assert library("ax", "bx").named(["gear"], {"gear": [7]}) == {}


def test_the_question_is_about_the_documents_that_are_named_best() -> None:
    names = library(*(f"doc{n}" for n in range(20)))
    assert names.meant({1: 3.0, 2: NEAR * 3.0, 3: NEAR * 3.0 - 0.1}) == [1, 2]
    assert names.meant({1: SURE - 0.01}) == []
    assert names.meant({}) == []


@pytest.mark.parametrize("count", [1, 2, 3, 4, 40])
def test_the_name_of_one_document_decides_however_small_the_library(count: int) -> None:
    names = library(*(f"zz{n}" for n in range(count)))
    assert names.meant(names.named(["zz0"], {})) == [0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_name_in_a_text_does_not_decide_in_a_small_library(count: int) -> None:
    names = library(*(f"zz{n}" for n in range(count)))
    assert names.meant(names.named(["gear"], {"gear": [0]})) == []


def test_the_files_of_one_manual_are_meant_together() -> None:
    files = ["other/skf/a.md", "other/skf/deep/b.md", "other/hy/c.md", "lone.pdf", "other/d.md"]
    names = Names({number: ref(f"t{number}", file) for number, file in enumerate(files)})
    assert names.family([0]) == {0, 1}
    assert names.family([3]) == {3}
    assert names.family([2, 3]) == {2, 3}
    # A shelf is no manual.
    assert names.family([4]) == {4}
    assert names.family([]) == set()


WORDS = st.sampled_from(["ax", "bx", "cx", "pump", "drive", "manual"])


@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=9),
    st.lists(WORDS, max_size=4, unique=True),
    st.dictionaries(WORDS, st.lists(st.integers(0, 12), unique=True)),
)
def test_only_documents_that_have_a_word_are_named_and_more_words_never_name_less(
    titles: list[str], words: list[str], inside: dict[str, list[int]]
) -> None:
    names = library(*titles)
    named = names.named(words, inside)
    for number, weight in named.items():
        own = names.of(number)
        assert weight > 0
        assert any(word in own or number in inside.get(word, ()) for word in words)
    before = names.named(words[:-1], inside)
    assert all(named[number] >= weight for number, weight in before.items())
    assert set(names.meant(named)) <= set(named) <= names.family(named)
    for word in words:
        holders = {n for n in range(len(titles)) if word in names.of(n)} | {
            n for n in inside.get(word, ()) if n < len(titles)
        }
        if len(holders) > max(1, MOST * len(titles)):
            assert names.named([word], inside) == {}


@pytest.mark.parametrize(
    ("question", "joined"),
    [
        ("mover 42c stalls", "mover42c stalls"),
        ("Mover 42 C stalls", "Mover42C stalls"),
        ("mover-42c and yl 620", "mover42c and yl620"),
        ("mover 43 stalls", "mover 43 stalls"),
        ("move r42c", "mover42c"),
        ("the drive is hot", "the drive is hot"),
    ],
)
def test_a_name_with_spaces_in_it_is_one(question: str, joined: str) -> None:
    names = Names({1: DocumentRef(doc_id="a", revision=1, title="MKS MOVER42C", file="YL620.pdf")})
    assert names.joined(question) == joined


def test_names_with_spaces_are_joined_however_many_there_are() -> None:
    names = Names({1: DocumentRef(doc_id="a", revision=1, title="YL620", file="yl.pdf")})
    assert names.joined("yl 620 " * 1_300) == "yl620 " * 1_300


def test_a_product_is_what_a_whole_manual_goes_by() -> None:
    names = Names(
        {
            1: ref("Kelvarn drive manual"),
            2: ref("Jogging", "shelf/vantrex_en/jogging.md"),
            3: ref("Alarms", "shelf/vantrex_en/alarms.csv"),
        }
    )
    assert names.product("kelvarn") == {1}
    assert names.product("vantrex") == {2, 3}
    # What one file of several is about, what paper it is, what is no name.
    assert not any(map(names.product, ("jogg", "manual", "en", "nowhere")))
