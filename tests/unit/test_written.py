"""What is published of a model's answer: what stands, what is marked, the manuals' own words."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given as given_that
from hypothesis import strategies as st

from schemas.answers import Answer, Language
from schemas.generation import Generated, Point
from schemas.retrieval import DocumentRef, Field, Hit, Passage
from services.orchestrator.extract import extract
from services.orchestrator.publication import given, harmless
from services.orchestrator.quote import cited_first
from services.orchestrator.written import written

pytestmark = pytest.mark.unit

MANUAL = DocumentRef(doc_id="d1", revision=2, title="FD40 manual", file="fd40.pdf", lang="en")


def row(code: str, name: str, cause: str, remedy: str, *, by: str = "code", n: int = 1) -> Hit:
    fields = [
        Field("Code", code),
        Field("Name", name),
        Field("Cause", cause),
        Field("Remedy", remedy),
    ]
    text = " | ".join(f"{field.name}: {field.value}" for field in fields)
    passage = Passage(ordinal=n, text=text, kind="row", page=40 + n, fields=fields, lang="en")
    return Hit(document=MANUAL, passage=passage, score=0.9, by=by)  # type: ignore[arg-type]


def prose(text: str, *, n: int = 9) -> Hit:
    passage = Passage(ordinal=n, text=text, kind="text", page=40 + n, lang="en")
    return Hit(document=MANUAL, passage=passage, score=0.5, by="words")


E005 = row("E005", "DC bus undervoltage", "Mains below 323 V", "Measure R, S, T; wait 0.5 s")
E006 = row("E006", "Overvoltage", "Ramp too short", "Set P7.01 to 40 s", n=2)
LOAD = prose("Measure the mains at the terminals under load before anything is replaced.")


def from_manual(*hits: Hit, code: str = "E005", lang: Language = "en") -> Answer:
    question = f"fault {code}".strip()
    got = extract(hits, question=question, code=code, lang=lang)
    return Answer(
        id="a",
        stage="passages",
        asset="plant/m1",
        code=code,
        question=question,
        lang=lang,
        summary=got.summary,
        causes=got.causes,
        actions=got.actions,
        text=got.text,
        citations=got.citations,
        answered_by=got.answered_by,
        note=got.note,
        first_seen="2026-01-01T00:00:00Z",
        last_seen="2026-01-01T00:00:00Z",
        created="2026-01-01T00:00:00Z",
    )


def said(summary: str, *actions: tuple[str, list[int]], used: int = 3) -> Generated:
    points = [Point(text=text, passages=numbers) for text, numbers in actions]
    return Generated(summary=summary, causes=[], actions=points, model="m", passages_used=used)


GOOD = ("Measure R, S and T.", [1])
MADE_UP = ("Replace the mains fuse by 63 A.", [1])


def test_an_answer_that_stands_is_the_model_s() -> None:
    own = from_manual(E005, LOAD)
    answer = written(own, said("E005: undervoltage of the bus.", GOOD), [E005, LOAD], least=0.5)
    assert (answer.answered_by, answer.model, answer.stage) == ("model", "m", "final")
    assert answer.grounded
    assert answer.extract is None
    assert answer.note == own.note
    assert answer.actions == ["Measure R, S and T."]
    assert answer.text == "E005: undervoltage of the bus.\n\nActions\n1. Measure R, S and T. [1]"


@pytest.mark.parametrize(
    ("lang", "mark"), [("en", "[not in the manuals]"), ("zh", "［手册中未见］")]
)
def test_what_does_not_stand_is_marked_and_no_step(lang: Language, mark: str) -> None:
    own = from_manual(E005, lang=lang)
    generated = said(
        "E005: undervoltage.", GOOD, MADE_UP, ("Measure the mains. Turn P9.99 up.", [1])
    )
    answer = written(own, generated, [E005], least=0.5)
    assert answer.grounded
    assert answer.extract is None
    assert answer.actions == ["Measure R, S and T."]
    [*head, one, other] = answer.text.splitlines()
    assert one == f"- {mark} Replace the mains fuse by 63 A."
    assert other == f"- Measure the mains. [1] {mark} Turn P9.99 up."
    assert mark not in "\n".join(head)
    assert "2" in answer.note
    assert "5" in answer.note
    shown = given(answer, "andon", "plant/m1", 60)[1].payload.decode()
    assert "63 A" not in shown
    assert "P9.99" not in shown


def test_below_the_share_the_manual_s_own_words_stand_beside_and_on_displays() -> None:
    own = from_manual(E005)
    generated = said(
        "E005: bearing damage.", GOOD, MADE_UP, ("Turn P9.99 up.", [1]), ("Hit it.", [])
    )
    answer = written(own, generated, [E005], least=0.5)
    assert not answer.grounded
    assert (answer.answered_by, answer.model) == ("model", "m")
    assert answer.extract is not None
    assert answer.extract.actions == own.actions
    assert answer.extract.causes == own.causes
    assert answer.extract.text == own.text
    assert answer.actions == ["Measure R, S and T."]
    assert answer.text.count("[not in the manuals]") == 3
    assert "does not stand on the manuals" in answer.note
    as_json, as_text = given(answer, "andon", "plant/m1", 60)
    assert as_text.payload == given(own, "andon", "plant/m1", 60)[1].payload
    assert b"Measure R, S, T" in as_text.payload
    assert json.loads(as_json.payload)["extract"]["actions"] == own.actions


def test_the_share_is_configured() -> None:
    own, generated = from_manual(E005), said("E005: undervoltage.", GOOD, MADE_UP)
    for least, grounded in ((0.0, True), (0.66, True), (0.67, False), (1.0, False)):
        assert written(own, generated, [E005], least=least).grounded is grounded


def test_a_summary_that_does_not_stand_is_the_manual_s() -> None:
    own = from_manual(E005)
    answer = written(own, said("E123 is a broken encoder.", GOOD), [E005], least=0.5)
    assert answer.grounded
    assert answer.summary == own.summary
    assert answer.text.startswith(own.summary)
    assert answer.text.endswith("- [not in the manuals] E123 is a broken encoder.")


def test_the_step_of_another_code_is_none_of_this() -> None:
    """Right number, right spelling, printed in the manual, and for another fault."""
    own = from_manual(E005, E006)
    generated = said("E005: undervoltage.", GOOD, ("Set P7.01 to 40 s.", [2]))
    answer = written(own, generated, [E005, E006], least=0.5)
    assert answer.actions == ["Measure R, S and T."]
    assert "[not in the manuals] Set P7.01 to 40 s." in answer.text
    both = msgspec.structs.replace(own, question="E005 and then E006, what to do?")
    assert len(written(both, generated, [E005, E006], least=0.5).actions) == 2


def test_who_speaks_of_the_code_cites_a_passage_that_has_it() -> None:
    own = from_manual(E005, LOAD)
    elsewhere = said("E005: undervoltage.", ("Measure the mains under load.", [2]))
    assert not written(own, elsewhere, [E005, LOAD], least=0.5).grounded
    unknown = from_manual(LOAD, code="E777")
    answer = written(unknown, said("Measure.", ("Measure the mains.", [1])), [LOAD], least=0.5)
    assert not answer.grounded
    assert answer.extract is not None
    assert "E777" in answer.extract.summary
    no_code = from_manual(LOAD, code="")
    assert written(no_code, said("Mains.", ("Measure the mains.", [1])), [LOAD], least=0.5).grounded


def test_an_answer_of_a_summary_alone_has_the_manual_s_words_beside_it() -> None:
    answer = written(
        from_manual(E005), said("The passages on E005 do not tell."), [E005], least=0.0
    )
    assert not answer.grounded
    assert answer.extract is not None


def test_numbers_mean_the_same_in_the_model_s_words_and_the_manual_s() -> None:
    own = from_manual(LOAD, E006, E005)
    assert own.citations[0].page == 41
    hits = cited_first([LOAD, E006, E005], own.citations)
    assert hits[0] is E005
    assert sorted(hit.passage.ordinal for hit in hits) == [1, 2, 9]
    answer = written(own, said("E005.", GOOD), hits, least=0.5)
    assert [one.n for one in answer.citations] == [1, 2, 3]
    assert [one.page for one in answer.citations] == [40 + hit.passage.ordinal for hit in hits]
    assert answer.citations[: len(own.citations)] == own.citations


texts = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            ["Measure", "R", "63 A", "E005", "P9.99", ". ", " ", "[7]", "\u202e", "绕过"]
        )
    ).map("".join),
)
cited = st.lists(st.integers(min_value=-1, max_value=4), max_size=3)


@given_that(
    summary=texts,
    actions=st.lists(st.tuples(texts, cited), max_size=4),
    least=st.floats(min_value=0, max_value=1),
    hits=st.permutations([E005, E006, LOAD]).map(lambda every: every[:2]),
    code=st.sampled_from(["", "E005", "E006", "E777"]),
)
def test_whatever_is_said_no_display_shows_more_than_what_stands(
    summary: str, actions: list[tuple[str, list[int]]], least: float, hits: list[Hit], code: str
) -> None:
    own = from_manual(*hits, code=code)
    hits = cited_first(hits, own.citations)
    answer = written(own, said(summary, *actions), hits, least=least)
    assert (answer.extract is None) == answer.grounded
    assert len(answer.actions) <= len(actions)
    assert all(1 <= citation.n <= len(hits) for citation in answer.citations)
    shown = given(answer, "andon", "plant/m1", 60)[1].payload.decode()
    for invented in ("63 A", "P9.99", "绕过", "\u202e"):
        assert invented not in shown
    if not answer.grounded and own.citations:  # without any no model is asked
        assert shown == given(own, "andon", "plant/m1", 60)[1].payload.decode()


HIDDEN = "\u202e\u2066\u200b\ufeff\u00ad\x1b\x07\u2028\U000e0041\u061c"


def test_nothing_leaves_that_turns_or_hides_the_rest() -> None:
    own = from_manual(E005)
    bad = msgspec.structs.replace(
        own,
        summary=f"a{HIDDEN}b",
        causes=[HIDDEN],
        actions=[f"c{HIDDEN}"],
        text=f"one{HIDDEN}\ntwo\tthree",
        question=f"q{HIDDEN}",
        note=HIDDEN,
        citations=[msgspec.structs.replace(own.citations[0], quote=f"q{HIDDEN}", section=HIDDEN)],
    )
    bad = written(bad, said(HIDDEN, (f"x{HIDDEN}", [1])), [E005], least=0.5)
    assert bad.extract is not None
    for message in given(bad, "andon", "plant/m1", 60):
        text = message.payload.decode()
        assert not set(HIDDEN) & set(text)
        assert "\\u001b" not in text
    answer = json.loads(given(bad, "andon", "plant/m1", 60)[0].payload)
    assert answer["extract"]["text"].split("\n")[1] == "two\tthree"


@given_that(st.text())
def test_what_is_harmless_stays_so(text: str) -> None:
    once = harmless(text)
    assert harmless(once) == once
    assert once.count("\n") == text.count("\n")
