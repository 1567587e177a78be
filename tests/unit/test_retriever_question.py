"""What the words of a question tell, what else they are called, and what is searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.others import Respelt
from services.retriever.quantities import quantities
from services.retriever.question import (
    APART,
    MAX_OTHERS,
    MAX_WORDS,
    OTHERS,
    POSTINGS,
    UNHEARD,
    Question,
    idf,
    read,
)

pytestmark = pytest.mark.unit

PASSAGES = 1000


def asking(
    words: str,
    frequency: Mapping[str, int],
    others: Sequence[Respelt] = (),
    *,
    names: Sequence[str] = (),
    codes: Sequence[str] = (),
    passages: int = PASSAGES,
    quotes: Sequence[Sequence[str]] = (),
) -> Question:
    run = words.split()
    return read(
        list(dict.fromkeys(run)), run, others, frequency, passages,
        names=names, codes=codes, messages=quotes,
    )  # fmt: skip


def other(words: str, tokens: str, weight: float = 0.8) -> Respelt:
    return Respelt(tuple(words.split()), tuple(tokens.split()), weight)


# -- what words tell -------------------------------------------------------------------------


def test_the_rarer_a_word_the_more_it_tells() -> None:
    weights = asking("motor brake encoder", {"motor": 900, "brake": 30, "encoder": 1}).weights
    assert weights["encoder"] > weights["brake"] > weights["motor"] > 0


def test_a_word_of_no_passage_counts_half_but_a_name_counts_in_full() -> None:
    weights = asking("wobbling profinet", {}, names=["profinet"]).weights
    assert weights["profinet"] == idf(0, PASSAGES)
    assert weights["wobbling"] == UNHEARD * weights["profinet"]


def test_a_word_that_is_called_otherwise_tells_what_its_other_name_does() -> None:
    found = asking("overheat", {"过热": 40}, [other("overheat", "过热")])
    assert found.weights["overheat"] == idf(40, PASSAGES)


def test_a_code_is_not_weighed_among_the_words() -> None:
    found = asking("e005 drive", {"e005": 2, "drive": 50}, codes=["e005"])
    assert set(found.weights) == {"drive"}
    assert "e005" in found.searched


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 1000))
def test_idf_never_grows_with_the_count_and_is_never_negative(a: int, b: int, size: int) -> None:
    less, more = sorted((a, b))
    assert idf(less, size) >= idf(more, size) >= 0


# -- what a text holds -----------------------------------------------------------------------


def test_a_text_holds_a_word_whole_and_by_another_name_less() -> None:
    found = asking(
        "overheat fan", {"overheat": 1, "fan": 5, "过热": 5}, [other("overheat", "过热")]
    )
    assert found.held(" fan overheat ") == {"fan": 1.0, "overheat": 1.0}
    assert found.held(" 过热 ") == {"overheat": 0.8}
    assert found.held(" fanatic ") == {}


def test_a_name_of_several_words_counts_less_where_they_stand_apart() -> None:
    found = asking("vfd", {"vfd": 1, "frequency": 5, "drive": 5}, [other("vfd", "frequency drive")])
    assert found.held(" frequency drive ") == {"vfd": 0.8}
    assert found.held(" drive with frequency ") == {"vfd": pytest.approx(APART * 0.8)}
    assert found.held(" frequency ") == {}


def test_another_name_counts_once_for_each_word_it_stands_for() -> None:
    found = asking(
        "ground fault", {"earth": 3, "fault": 90}, [other("ground fault", "earth fault")]
    )
    held = found.held(" earth fault at output ")
    assert held == {"ground": 0.8, "fault": 1.0}
    assert 0.8 < found.share(held) < 1.0
    # Both words are said by it, so they stand together there.
    assert found.beside(" earth fault at output ") == pytest.approx(0.8)
    assert found.beside(" fault of earth ") == 0.0


def test_a_synonym_is_surer_where_no_passage_has_the_word_itself() -> None:
    synonym = other("wuggle", "zorblat", 0.5)
    rival = asking("wuggle", {"wuggle": 3, "zorblat": 3}, [synonym])
    alone = asking("wuggle", {"zorblat": 3}, [synonym])
    assert rival.held(" zorblat ") == {"wuggle": 0.5}
    assert 0.5 < alone.held(" zorblat ")["wuggle"] < 1.0
    sure = asking("wuggle", {"zorblat": 3}, [other("wuggle", "zorblat", 1.0)])
    assert sure.held(" zorblat ") == {"wuggle": 1.0}


def test_another_name_that_no_passage_has_is_not_looked_for() -> None:
    found = asking("overheat", {}, [other("overheat", "过热")])
    assert found.others == []
    assert found.searched == []


def test_words_in_their_order_stand_together() -> None:
    found = asking("motor brake release", dict.fromkeys(["motor", "brake", "release"], 9))
    assert found.beside(" motor brake release ") == 1.0
    assert found.beside(" release brake motor ") == 0.0
    assert 0 < found.beside(" motor brake and release ") < 1


WORDS = st.sampled_from(["motor", "brake", "fan", "overheat", "过热", "earth", "fault"])
TEXTS = st.lists(WORDS, max_size=8).map(lambda words: f" {' '.join(words)} ")
QUESTIONS = st.builds(
    lambda words, frequency, others: asking(" ".join(words), frequency, others),
    st.lists(WORDS, max_size=6),
    st.dictionaries(WORDS, st.integers(0, PASSAGES)),
    st.lists(
        st.builds(
            Respelt,
            st.lists(WORDS, min_size=1, max_size=2).map(tuple),
            st.lists(WORDS, min_size=1, max_size=2).map(tuple),
            st.floats(0.1, 1.0),
        ),
        max_size=4,
    ),
)


@given(QUESTIONS, TEXTS, TEXTS)
def test_more_text_never_holds_less_and_shares_stay_in_range(
    found: Question, text: str, more: str
) -> None:
    less, whole = found.held(text), found.held(f"{text}{more.lstrip()}")
    assert all(whole.get(word, 0.0) >= part for word, part in less.items())
    for held in (less, whole):
        assert set(held) <= set(found.weights)
        assert 0.0 <= found.share(held) <= 1.0
    assert 0.0 <= found.beside(text) <= 1.0 + 1e-9


# -- what is searched for --------------------------------------------------------------------


def test_the_rarest_words_are_searched_for_and_common_ones_where_there_is_room() -> None:
    assert asking("motor fan", {"motor": 900, "fan": 3}).searched == ["fan", "motor"]
    common = {"motor": POSTINGS, "fan": 3}
    assert asking("motor fan", common, passages=9 * POSTINGS).searched == ["fan"]
    # The only word is searched for whatever it costs.
    assert asking("motor", {"motor": 2 * POSTINGS}, passages=9 * POSTINGS).searched == ["motor"]


def test_a_message_that_is_quoted_is_searched_for_whole() -> None:
    found = asking("phase error", {"phase": 2, "error": 90}, quotes=[("phase", "error")])
    assert found.searched[0] == "phase error"
    assert found.quoted_in(" a phase error b ")
    assert not found.quoted_in(" error phase ")
    absent = asking("phase error", {"phase": 2}, quotes=[("phase", "error")])
    assert absent.phrases == []


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=5), st.integers(0, 3 * POSTINGS)),
    st.dictionaries(st.text("xyz", min_size=1, max_size=5), st.integers(1, 3 * OTHERS)),
)
def test_a_search_stays_within_its_budget(words: dict[str, int], names: dict[str, int]) -> None:
    others = [Respelt(("a",), (name,), 0.5) for name in names]
    found = asking(" ".join(words), words | names, others, passages=9 * POSTINGS)
    own = [word for word in found.searched if word in words]
    assert len(own) <= MAX_WORDS
    assert len(own) <= 1 or sum(words[word] for word in own) <= POSTINGS
    left = [name for name in found.searched if name in names]
    assert len(left) <= MAX_OTHERS
    assert sum(names[name] for name in left) <= OTHERS
    # No word that is rarer than one that is searched for is left out.
    heard = sorted(count for count in words.values() if count)
    assert sorted(words[word] for word in own) == heard[: len(own)]
    assert own or not heard


# -- what tells less than it is rare ----------------------------------------------------------


def test_a_faint_word_tells_a_share_and_one_of_no_share_nothing() -> None:
    frequency = {"often": 5, "fan": 5, "abb": 5}
    run = ["often", "fan", "abb"]
    asked = read(run, run, (), frequency, PASSAGES, faint={"often": 0.5, "abb": 0.0})
    assert asked.weights["often"] == asked.weights["fan"] / 2
    assert "abb" not in asked.weights
    assert "abb" not in asked.searched


def test_a_number_and_its_unit_are_held_together_or_not_at_all() -> None:
    run = ["75", "kw", "resistor"]
    frequency = {"75": 3, "7.5": 3, "kw": 90, "resistor": 20}
    asked = read(run, run, (), frequency, PASSAGES, quantities=quantities("75KW resistor"))
    assert set(asked.held(" 75 kw resistor ")) == {"75", "kw", "resistor"}
    assert set(asked.held(" 7.5 kw resistor 75 pieces ")) == {"resistor"}
    later = asked.held(" 7.5 kw resistor 75 kw ")
    assert 0 < later["75"] == later["kw"] < 1
    assert "75 kw" in asked.searched


def test_a_name_that_only_adds_to_another_is_not_looked_for() -> None:
    others = [
        other("uv", "undervoltage fault"),
        other("uv", "undervoltage", 0.8),
        other("uv", "low voltage"),
        other("uv", "uv protection"),
        other("trip", "undervoltage fault"),
    ]
    frequency = dict.fromkeys(["undervoltage", "fault", "low", "voltage", "uv", "protection"], 9)
    asked = asking("uv trip", frequency, others)
    needles = sorted((one.words, one.needle) for one in asked.others)
    assert needles == [
        (("trip",), " undervoltage fault "),
        (("uv",), " low voltage "),
        (("uv",), " undervoltage "),
    ]


def test_no_word_takes_the_place_of_all_others() -> None:
    many = [other("stop", f"s{n}", 0.85) for n in range(MAX_OTHERS)]
    frequency = {one.tokens[0]: 9 for one in many} | {"stop": 9, "ov": 9, "overvoltage": 9}
    asked = asking("ov stop", frequency, [*many, other("ov", "overvoltage", 0.5)])
    assert "overvoltage" in asked.searched
