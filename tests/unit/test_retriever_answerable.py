"""Whether what was found answers at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.answerable import LOOKED_AT, THERE, UNHEARD, Evidence, evidence
from services.retriever.question import idf
from services.retriever.ranking import Ranked
from services.runtime.config import Retriever

pytestmark = pytest.mark.unit

SURE = Retriever().sure
NOTHING = Evidence(
    covered=0.0,
    meaning=0.0,
    beside=0.0,
    told=0.0,
    brief=0.0,
    missing=0.0,
    defines=False,
    named=False,
)
SHARE = st.floats(0.0, 1.0)
EVIDENCE = st.builds(
    Evidence,
    covered=SHARE, meaning=SHARE, beside=SHARE, told=SHARE, brief=SHARE, missing=SHARE,
    defines=st.booleans(), named=st.booleans(),
)  # fmt: skip


def ranked(held: dict[str, float], covered: float, **more: float) -> Ranked:
    seen = {"meaning": 0.0, "beside": 0.0} | more
    return Ranked(
        id=1,
        order=1.0,
        held=held,
        covered=covered,
        defines=False,
        score=covered,
        by="words",
        **seen,
    )


def weighed(
    found: Sequence[Ranked],
    weights: dict[str, float],
    names: Sequence[str] = (),
    naming: Sequence[str] = (),
    size: int = 100,
) -> Evidence:
    return evidence(
        found, weights, names, naming,
        rarest=idf(1, size), meaning=True, named=False, defines=False,
    )  # fmt: skip


@given(EVIDENCE, st.sampled_from(["covered", "meaning", "beside", "told", "brief"]), SHARE)
def test_more_evidence_never_makes_an_answer_less_probable(
    seen: Evidence, part: str, more: float
) -> None:
    better = _with(seen, part, max(getattr(seen, part), more))
    assert better.probability >= seen.probability
    assert _with(seen, "named", 1.0).probability >= _with(seen, "named", 0.0).probability
    worse = _with(seen, "missing", max(seen.missing, more))
    assert worse.probability <= seen.probability


@given(EVIDENCE)
def test_what_defines_always_answers_and_a_probability_is_one(seen: Evidence) -> None:
    assert 0.0 <= seen.probability <= 1.0
    assert _with(seen, "defines", 1.0).probability == 1.0


def test_nothing_found_never_answers() -> None:
    assert NOTHING.probability < SURE / 5
    weights = {"a": 5.0, "b": 5.0}
    assert weighed([], weights) == NOTHING
    # A product that is named well answers nothing by itself.
    assert _with(NOTHING, "named", 1.0).probability < SURE


def test_meaning_alone_is_not_enough() -> None:
    assert _with(NOTHING, "meaning", 1.0).probability < SURE


def test_the_whole_question_word_for_word_answers() -> None:
    weights = {"a": 4.0, "b": 4.0}
    found = [ranked({"a": 1.0, "b": 1.0}, 1.0, beside=1.0)]
    assert weighed(found, weights).probability > SURE


@pytest.mark.parametrize("size", [2, 7, 40, 400, 100_000])
@pytest.mark.parametrize("part", [1.0, 0.8])
def test_a_lone_word_that_some_passage_has_answers_however_large_the_library(
    size: int, part: float
) -> None:
    seen = weighed([ranked({"torque": part}, part)], {"torque": idf(1, size)}, size=size)
    assert seen.probability > SURE
    absent = weighed([ranked({}, 0.0)], {"torque": idf(0, size)}, size=size)
    assert absent.probability < SURE


def test_a_name_that_is_nowhere_near_speaks_against_an_answer() -> None:
    weights = {"connect": 3.0, "profinet": 4.0}
    found = [ranked({"connect": 1.0}, 0.4)]
    without = weighed(found, weights)
    missing = weighed(found, weights, names=["profinet"])
    assert missing.missing > without.missing == 0.0
    assert missing.probability < without.probability
    # The document goes by it.
    assert weighed(found, weights, names=["profinet"], naming=["profinet"]).missing == 0.0


def test_a_name_that_is_there_by_another_name_is_not_missing() -> None:
    weights = {"uv": 4.0, "skf8000": 3.0}
    missing = [
        weighed([ranked({"uv": part}, 0.4)], weights, names=["uv"]).missing
        for part in (0.0, THERE / 2, THERE, 1.0)
    ]
    assert missing[0] > missing[1] > missing[2] == missing[3] == 0.0


def test_what_names_the_document_is_not_what_is_asked() -> None:
    weights = {"skf8000": 6.0, "camera": 3.0, "inverter": 3.0}
    found = [ranked({"skf8000": 1.0, "inverter": 1.0}, 0.75)]
    assert weighed(found, weights).covered == 0.75
    assert weighed(found, weights, naming=["skf8000"]).covered == 0.5
    # A name alone is all that is asked.
    lone = [ranked({"skf8000": 1.0}, 1.0)]
    assert weighed(lone, {"skf8000": 6.0}, naming=["skf8000"]).covered == 1.0


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_product_and_what_it_has_answers_and_what_it_has_not_does_not(size: int) -> None:
    weights = {"skf8000": idf(40, size), "uv": idf(20, size)}
    there = weighed(
        [ranked({"skf8000": 1.0, "uv": 0.9}, 0.95)], weights,
        names=["skf8000", "uv"], naming=["skf8000"], size=size,
    )  # fmt: skip
    absent = weighed(
        [ranked({"skf8000": 1.0}, 0.4)], weights,
        names=["skf8000", "uv"], naming=["skf8000"], size=size,
    )  # fmt: skip
    assert _with(there, "named", 1.0).probability > SURE
    assert _with(absent, "named", 1.0).probability < SURE


def test_only_the_best_are_looked_at_and_the_first_for_its_meaning() -> None:
    poor = [ranked({}, 0.0)] * LOOKED_AT
    rich = ranked({"a": 1.0, "b": 1.0}, 1.0, beside=1.0, meaning=1.0)
    weights = {"a": 4.0, "b": 4.0}
    assert weighed([*poor, rich], weights) == NOTHING
    third = weighed([*poor[:-1], rich], weights)
    assert (third.covered, third.beside, third.meaning) == (1.0, 1.0, 0.0)


def test_meaning_counts_only_where_the_model_speaks_the_language() -> None:
    found = [ranked({}, 0.0, meaning=0.9)]
    for speaks, meaning in ((True, 0.9), (False, UNHEARD)):
        seen = evidence(
            found, {"a": 1.0}, (), (), rarest=4.0, meaning=speaks, named=False, defines=False
        )
        assert seen.meaning == meaning


HELD = st.dictionaries(st.sampled_from("abcd"), SHARE)


@given(st.lists(HELD, max_size=5), st.lists(st.sampled_from("abcd"), unique=True), st.integers(1))
def test_evidence_stays_in_range(held: list[dict[str, float]], names: list[str], size: int) -> None:
    weights = dict.fromkeys("abcd", idf(1, size))
    seen = weighed([ranked(some, 0.5) for some in held], weights, names=names, size=size)
    for part in ("covered", "meaning", "beside", "told", "brief", "missing"):
        assert 0.0 <= getattr(seen, part) <= 1.0


def _with(seen: Evidence, part: str, value: float) -> Evidence:
    parts = {name: getattr(seen, name) for name in Evidence.__slots__}
    return Evidence(**(parts | {part: value}))  # type: ignore[arg-type]


def test_a_lone_word_that_is_no_topic_answers_nothing() -> None:
    found = [ranked({"help": 1.0}, 1.0, meaning=0.3)]
    arguments = {"rarest": idf(1, 100), "meaning": True, "named": False, "defines": False}
    weights = {"help": 4.0}
    for topic in (True, False):
        seen = evidence(found, weights, (), (), topic=topic, **arguments)
        assert (seen.probability > SURE) == topic


def test_no_words_hold_nothing() -> None:
    assert weighed([ranked({"alarm": 1.0}, 1.0)], {}).covered == 0.0


def test_what_no_manual_says_must_be_there_word_for_word() -> None:
    scattered = Evidence(0.6, 0.2, 0.4, 0.6, 0.2, 0.0, defines=False, named=False)
    whole = Evidence(1.0, 0.8, 1.0, 0.6, 0.2, 0.0, defines=False, named=False)
    assert scattered.probability > SURE > _with(scattered, "beyond", 1.0).probability
    assert _with(whole, "beyond", 1.0).probability > SURE


def test_what_another_machine_has_alone_is_no_answer() -> None:
    weights = {"hopper": 4.0, "jam": 4.0}
    here = [ranked({"jam": 1.0}, 0.5)]
    there = ranked({"hopper": 1.0, "jam": 1.0}, 1.0)
    seen = [
        evidence(
            here, weights, (), (),
            rarest=4.0, meaning=True, named=True, defines=False, others=others,
        )
        for others in ((), (there,), here)
    ]  # fmt: skip
    assert [one.elsewhere for one in seen] == [0.0, 0.5, 0.0]
    assert seen[1].probability < seen[0].probability == seen[2].probability
