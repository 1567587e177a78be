"""What puts passages in order, and what their relevance is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.judging import LABEL, called, is_later, often
from services.retriever.others import Respelt
from services.retriever.question import Question, read
from services.retriever.ranking import Ranked, distinct, rank

pytestmark = pytest.mark.unit

PASSAGES = 100


@dataclass(frozen=True)
class Text:
    """A passage as ranking sees it."""

    id: int
    body: str
    document: int = 1
    kind: str = "text"
    head: str = ""
    section: str = ""
    name: str = ""
    fields: str = ""

    def labels(self) -> Sequence[str]:
        """The tokens of the names of its fields."""
        return self.fields.split()


@dataclass(frozen=True)
class Hit:
    """A passage that has an asked code."""

    strength: int
    exact: bool = True
    certain: bool = True


def texts(*bodies: str) -> dict[int, Text]:
    return {number: Text(number, body) for number, body in enumerate(bodies)}


def asking(
    words: str,
    frequency: Mapping[str, int] | None = None,
    others: Sequence[Respelt] = (),
    messages: Sequence[Sequence[str]] = (),
) -> Question:
    """Ask for some tokens, each in one passage of a hundred unless it is said otherwise."""
    run = words.split()
    known = dict.fromkeys(run, 1) | (frequency or {})
    return read(list(dict.fromkeys(run)), run, others, known, PASSAGES, messages=messages)


def ranked(
    candidates: Mapping[int, Text],
    question: Question,
    *,
    asked: int = 0,
    hits: Mapping[int, Hit] | None = None,
    words: Sequence[int] = (),
    vectors: Sequence[tuple[int, float]] = (),
    named: Mapping[int, float] | None = None,
    meant: Collection[int] = (),
    quoted: Collection[int] = (),
    in_language: Collection[int] = (),
    of_kind: Collection[int] = (),
    explaining: Collection[int] = (),
) -> list[Ranked]:
    return rank(
        candidates,
        question,
        codes_asked=asked,
        code_hits=hits or {},
        word_hits=[(label, 1.0) for label in words],
        vector_hits=vectors,
        named=named or {},
        meant=meant,
        quoted=quoted,
        in_language=in_language,
        of_kind=of_kind,
        explaining=explaining,
    )


def order(found: Sequence[Ranked]) -> list[int]:
    return [one.id for one in found]


def test_a_passage_that_defines_the_code_stands_before_all_that_words_and_meaning_can_do() -> None:
    found = ranked(
        texts("e005 undervoltage", "drive fault reset e005 drive fault reset"),
        asking("drive fault reset"),
        asked=1,
        hits={0: Hit(3), 1: Hit(1)},
        words=[1],
        vectors=[(1, 0.75)],
        named={},
    )
    assert [(one.id, one.by) for one in found] == [(0, "code"), (1, "words")]
    assert found[0].score >= 0.9


def test_a_code_that_is_surely_asked_for_stands_before_one_that_may_be() -> None:
    passages = texts("oc overcurrent", "e005 undervoltage")
    hits = {0: Hit(3, certain=False), 1: Hit(3)}
    found = ranked(passages, asking("overcurrent"), asked=1, hits=hits)
    assert order(found) == [1, 0]
    # What may be something else is no answer by itself.
    assert found[1].score < found[0].score


def test_an_exact_code_stands_before_one_with_other_zeros() -> None:
    hits = {0: Hit(3, exact=False), 1: Hit(3)}
    assert order(ranked(texts("e5", "e005"), asking(""), asked=1, hits=hits)) == [1, 0]


def test_defining_stands_before_leading_a_line_and_that_before_mentioning() -> None:
    hits = {0: Hit(1), 1: Hit(2), 2: Hit(3)}
    found = ranked(texts("e005", "e005", "e005"), asking(""), asked=1, hits=hits)
    assert order(found) == [2, 1, 0]
    assert [one.by for one in found] == ["code", "code", "words"]


def test_what_explains_a_code_stands_before_its_row_in_an_overview() -> None:
    passages = texts("p1120 ramp-up time", "p1120 time from standstill to the maximum speed")
    hits = {0: Hit(3), 1: Hit(3)}
    assert order(ranked(passages, asking(""), asked=1, hits=hits, explaining={1})) == [1, 0]


def test_an_alarm_stands_before_an_error_of_that_number_where_an_alarm_is_asked_for() -> None:
    hits = {0: Hit(3), 1: Hit(3)}
    passages = texts("2 wrong number", "2 soft limit")
    assert order(ranked(passages, asking(""), asked=1, hits=hits, of_kind={1})) == [1, 0]


def test_an_unknown_code_takes_the_relevance_of_the_rest_down() -> None:
    passages, question = texts("drive fault"), asking("drive fault")
    assert ranked(passages, question)[0].score == 1.0
    assert ranked(passages, question, asked=1)[0].score < 0.5


def test_the_named_document_stands_before_one_that_says_the_same() -> None:
    passages = {
        0: Text(0, "set acceleration time", document=1),
        1: Text(1, "set acceleration time", document=2),
    }
    question = asking("acceleration time")
    assert order(ranked(passages, question, words=[0, 1])) == [0, 1]
    assert order(ranked(passages, question, words=[0, 1], named={2: 1.0})) == [1, 0]


def test_the_manual_that_is_meant_stands_before_one_whose_title_has_the_other_words() -> None:
    passages = {
        0: Text(0, "restore factory settings", document=1),
        1: Text(1, "settings to restore those of the factory", document=2),
    }
    question = asking("restore factory settings")
    titles = {1: 1.0, 2: 0.4}
    assert order(ranked(passages, question, words=[0, 1], named=titles)) == [0, 1]
    assert order(ranked(passages, question, words=[0, 1], named=titles, meant=[2])) == [1, 0]


def test_what_is_called_so_stands_before_what_says_it_by_the_way() -> None:
    same = "set acceleration time before deceleration"
    passages = {
        0: Text(0, same, name="deceleration ramp"),
        1: Text(1, same, name="acceleration time"),
    }
    assert order(ranked(passages, asking("acceleration time"))) == [1, 0]


def test_a_name_is_what_is_asked_for_the_less_the_more_else_it_says() -> None:
    question = asking("acceleration time")
    whole = called(question, "acceleration time")
    more = called(question, "acceleration time unit of ramp")
    assert whole == 1.0
    assert 0 < more < whole
    assert called(question, "brake chopper") == called(question, "") == 0.0


def test_a_name_in_other_words_is_called_so_too() -> None:
    other = Respelt(("overheat",), ("过热",), 0.85)
    question = asking("overheat", {"overheat": 0, "过热": 2}, [other])
    assert called(question, "过热") > 0.8


def test_a_quoted_message_stands_first_where_it_stands_word_for_word() -> None:
    words = "phase line error"
    passages = texts("phase line error check wiring", "error line phase check wiring")
    asked = asking(words, messages=[tuple(words.split())])
    found = ranked(passages, asked)
    assert order(found) == [0, 1]
    apart = found[0].order - found[1].order
    plain = ranked(passages, asking(words))
    assert apart > plain[0].order - plain[1].order + 1


def test_words_in_their_order_stand_before_the_same_words_apart() -> None:
    found = ranked(texts("brake the motor and release", "the motor brake and release"),
                   asking("motor brake"))  # fmt: skip
    assert order(found) == [1, 0]
    assert (found[0].beside, found[1].beside) == (1.0, 0.0)


def test_a_row_stands_before_running_text_that_says_the_same() -> None:
    passages = {0: Text(0, "gasket green"), 1: Text(1, "gasket green", kind="row")}
    assert order(ranked(passages, asking("gasket"))) == [1, 0]


def test_a_word_in_the_name_of_a_field_alone_counts_less() -> None:
    passages = {
        0: Text(0, "reset display factory set 0 procedure", kind="entry", fields="factory set"),
        1: Text(1, "reset drive factory set 0 factory set run", kind="entry", fields="factory set"),
        2: Text(2, "reset key factory set 0", kind="entry", fields="set", head="factory"),
    }
    found = {one.id: one for one in ranked(passages, asking("reset factory set"))}
    assert {word: found[0].held[word] for word in ("reset", "factory", "set")} == {
        "reset": 1.0,
        "factory": LABEL,
        "set": LABEL,
    }
    assert set(found[1].held.values()) == {1.0}
    assert (found[2].held["factory"], found[2].held["set"]) == (1.0, LABEL)
    assert found[1].order > found[0].order


def test_a_rare_word_outweighs_a_common_one() -> None:
    found = ranked(
        texts("motor motor motor", "encoder"), asking("motor encoder", {"motor": 60, "encoder": 2})
    )
    assert order(found) == [1, 0]


def test_meaning_alone_can_find() -> None:
    found = ranked(texts("synonyms only"), asking("other"), vectors=[(0, 0.7)])
    assert found[0].by == "vector"
    assert found[0].score > 0.5


def test_a_cosine_that_says_nothing_is_no_relevance() -> None:
    found = ranked(texts("synonyms only"), asking("other"), vectors=[(0, 0.25)])
    assert found[0].score == 0.0


def test_a_quote_is_relevant_however_common_its_words_and_unknown_its_codes() -> None:
    question = asking("as", {"as": 99})
    assert ranked(texts("as usual"), question, asked=3)[0].score < 0.2
    assert ranked(texts("as usual"), question, asked=3, quoted={0})[0].score == 1.0


def test_among_equals_the_asked_language_stands_first() -> None:
    passages = texts("e005 undervoltage", "e005 欠压", "e005 欠压 报警")
    hits = {0: Hit(3), 1: Hit(3), 2: Hit(1)}
    same = {"asked": 1, "hits": hits, "words": [0, 1, 2], "vectors": [(0, 0.6), (1, 0.5)]}
    assert order(ranked(passages, asking(""), **same)) == [0, 1, 2]  # type: ignore[arg-type]
    chinese = ranked(passages, asking(""), **same, in_language={1, 2})  # type: ignore[arg-type]
    assert order(chinese) == [1, 0, 2]


def test_copies_of_one_passage_leave_room_for_others() -> None:
    passages = texts(*["a b c"] * 40, "x y z")
    found = ranked(passages, asking("a"), words=range(41))
    assert order(distinct(found, passages, 2)) == [0, 40]


def test_passages_that_say_nearly_the_same_are_one_and_others_stay() -> None:
    same = "a b c d e f g h i j k l m n o p q r s t"
    passages = texts(same, f"{same} u", same.replace("a b c d", "u v w x"), "x y z")
    found = ranked(passages, asking("t"), words=[0, 1, 2, 3])
    assert order(distinct(found, passages, 5)) == [0, 2, 3]


def test_of_several_that_are_numbered_the_first_is_meant() -> None:
    both = {
        n: Text(n, f"accel time {n} range", kind="row", name=f"accel time {n}") for n in (3, 2, 1)
    }
    frequency = {"2": 3}
    assert order(ranked(both, asking("accel time")))[0] == 1
    assert order(ranked(both, asking("accel time 2", frequency)))[0] == 2
    assert not is_later(asking("size"), "size 24")
    assert not is_later(asking("size"), "")


def test_saying_it_often_helps_less_each_time_and_length_takes_it_back() -> None:
    question = asking("brake")
    once, twice, thrice = (
        often(question, f" {'brake filler ' * n}{'filler filler ' * (9 - n)}") for n in (1, 2, 3)
    )
    assert 0 < once < twice < thrice < 1
    assert thrice - twice < twice - once
    assert often(question, f" brake {'filler ' * 200}") < once
    # Side by side or apart, twice is twice.
    assert often(question, f" brake brake {'filler ' * 16}") == twice
    assert often(asking(""), " brake ") == 0.0


BODIES = st.lists(st.text("abcd ", max_size=12), min_size=1, max_size=8)


@given(
    BODIES,
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, PASSAGES), max_size=4),
    st.booleans(),
    st.data(),
)
def test_every_candidate_is_ranked_once_with_a_score_in_range(
    bodies: list[str], frequency: dict[str, int], asked: bool, data: st.DataObject
) -> None:
    passages = texts(*bodies)
    some = st.lists(st.sampled_from(sorted(passages)), unique=True)
    found = ranked(
        passages,
        asking(" ".join(frequency), frequency),
        asked=int(asked),
        hits={n: Hit(1 + n % 3, exact=bool(n % 2)) for n in data.draw(some)},
        words=data.draw(some),
        vectors=[(n, 0.5) for n in data.draw(some)],
        quoted=data.draw(some),
    )
    assert sorted(one.id for one in found) == sorted(passages)
    assert found == sorted(found, key=lambda one: (not one.defines, -one.order, one.id))
    for one in found:
        assert 0.0 <= one.score <= 1.0
        assert 0.0 <= one.covered <= 1.0
        assert 0.0 <= one.beside <= 1.0


@given(BODIES, st.integers(0, 9))
def test_what_is_kept_stays_in_order_and_no_two_are_the_same(bodies: list[str], limit: int) -> None:
    passages = texts(*bodies)
    found = ranked(passages, asking("a b"), words=sorted(passages))
    kept = order(distinct(found, passages, limit))
    assert len(kept) <= limit
    assert kept == [label for label in order(found) if label in kept]
    words = [frozenset(passages[label].body.split(" ")) for label in kept]
    assert len(set(words)) == len(words)
    if limit:
        assert kept[0] == found[0].id
