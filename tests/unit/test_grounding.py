"""Whether the model's answer stands on its passages."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.generation import Generated, Point, PromptPassage
from services.orchestrator.grounding import Grounding, ground

pytestmark = pytest.mark.unit

ROW = PromptPassage(
    n=1,
    source="FD40 p.41",
    text=(
        "Code: E005 | Name: DC bus undervoltage | Cause: mains below 323 V AC; phase missing | "
        "Remedy: measure R, S, T under load; set P4.03 = 1; wait 0.5 s"
    ),
)
ZH = PromptPassage(
    n=2,
    source="FD40 第41页",
    text=(
        "故障代码：E005 | 名称：直流母线欠压 | 原因：电网电压低于 323V | "
        "处理：等待0,5秒后复位，将P4.03设为1"
    ),
)
TABLE = PromptPassage(
    n=3, source="FD40 p.60", text="No.: P4.02 | Range: 300–400 | Default: 350 | Unit: V"
)


def answer(*actions: Point, summary: str = "E005 DC bus undervoltage.", used: int = 3) -> Generated:
    return Generated(
        summary=summary, causes=[], actions=list(actions), model="m", passages_used=used
    )


def check(*actions: Point, **rest: object) -> Grounding:
    return ground(answer(*actions, **rest), [ROW, ZH, TABLE])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("Measure R, S and T under load: the mains must be above 323 V.", [1]),
        ("Set P4.03 to 1 and wait 0,5 s.", [1]),
        ("Wait 0.50 seconds, then reset; P4-03 rides through.", [1]),
        ("等待 0.5 秒后复位。", [2]),
        ("测量电网电压，应高于323伏。", [2]),
        ("Check the mains: it is below 323 V.", [2]),
        ("The default of P4.02 is 350 V.", [3]),
        ("Choose a range of 300 to 400 V.", [3]),
        ("Ｅ００５ is the undervoltage of the bus.", [1]),
        ("Measure under load, see e-005.", [1, 3]),
    ],
)
def test_supported(text: str, cited: list[int]) -> None:
    grounding = check(Point(text=text, passages=cited))
    assert grounding.doubts == []
    assert grounding.share == 1.0
    assert grounding.holds(1.0)


@pytest.mark.parametrize(
    ("text", "cited", "why"),
    [
        ("Measure the mains under load.", [], "cites no passage"),
        ("Measure the mains under load.", [1, 4], "cites [4], which it was not given"),
        ("Measure the mains: above 400 V.", [1], "400 v not in [1]"),
        ("Set P4.30 to 1.", [1], "p4.30 not in [1]"),
        ("E006 is a mains fault.", [1, 2], "e006 not in [1] [2]"),
        ("Measure for 323 s.", [1], "323 s not in [1]"),
        ("The default of P4.02 is 0.35 kV.", [3], "0.35 kv not in [3]"),
        ("Replace every bearing.", [1], "shares no word with [1]"),
        ("更换轴承。", [2], "shares no word with [2]"),
        ("Fault code 51 comes from the mains.", [1], "51 not in [1]"),
        ("Set P4.03 to 7 under load.", [1], "7 not in [1]"),
        ("Check the bearing.", [1], "shares no word with [1]"),
        ("检查轴承。", [2], "shares no word with [2]"),
        ("Bypass the mains phase monitor.", [1], "bypass not in [1]"),
        ("短接电网相序继电器。", [2], "短接 not in [2]"),
    ],
)
def test_doubted(text: str, cited: list[int], why: str) -> None:
    good = Point(text="Measure R, S, T under load.", passages=[1])
    grounding = check(good, Point(text=text, passages=cited))
    assert [(doubt.statement, doubt.why) for doubt in grounding.doubts] == [(text, why)]
    assert grounding.actions == [good]
    assert grounding.share == pytest.approx(2 / 3)
    assert grounding.holds(0.5)
    assert not grounding.holds(0.7)


def test_facts_may_stand_in_different_cited_passages() -> None:
    point = Point(text="P4.02 is 350 V; the mains must be above 323 V.", passages=[1, 3])
    assert check(point).holds(1.0)


def test_a_summary_with_a_made_up_code_does_not_stand() -> None:
    good = Point(text="Measure R, S, T under load.", passages=[1])
    grounding = check(good, summary="E999 is an undervoltage.")
    assert not grounding.summary_stands
    assert not grounding.holds(1.0)
    assert grounding.doubts[0].why == "e999 not in [1] [2] [3]"


def test_a_passage_that_did_not_fit_cannot_be_cited() -> None:
    point = Point(text="等待 0.5 秒后复位。", passages=[2])
    assert check(point, used=2).holds(1.0)
    assert check(point, used=1).doubts[0].why == "cites [2], which it was not given"


def test_a_summary_has_words_of_the_best_passage_whatever_the_others_speak() -> None:
    assert not check(summary="MMMM voltT").summary_stands
    assert check(summary="直流母线欠压。").summary_stands, "it may be translated"


def test_an_answer_of_a_summary_alone_rests_on_nothing() -> None:
    grounding = check()
    assert grounding.share == 1.0
    assert not grounding.holds(0.0)


def test_a_code_printed_with_a_space_is_the_same_code() -> None:
    passage = PromptPassage(n=1, source="s", text="Fault E 005: mains undervoltage")
    generated = answer(Point(text="E005: mains fault", passages=[1]), summary="Mains.", used=1)
    assert ground(generated, [passage]).holds(1.0)


def test_a_step_with_one_unsupported_sentence_is_no_step() -> None:
    good = Point(text="Measure R, S, T under load.", passages=[1])
    grounding = check(good, Point(text="Wait 9 seconds. Then measure the mains.", passages=[1]))
    assert grounding.actions == [good]
    assert [doubt.statement for doubt in grounding.doubts] == ["Wait 9 seconds."]
    assert grounding.share == pytest.approx(3 / 4)
    assert [part.statements for part in grounding.doubtful] == [
        [("Wait 9 seconds.", "9 s not in [1]"), ("Then measure the mains.", "")]
    ]


@pytest.mark.parametrize("mark", ["[{}]", "［{}］", "【{}】", "[ {} ]"])
def test_a_citation_within_the_text_is_one(mark: str) -> None:
    text = f"Measure R, S, T under load {mark.format(1)}."
    inside = check(Point(text=text))
    assert inside.actions == [Point(text="Measure R, S, T under load.", passages=[1])]
    beyond = check(Point(text=text.replace("1", "9"), passages=[1]))
    assert beyond.doubts[0].why == "cites [9], which it was not given"


def test_what_the_model_was_not_shown_cannot_be_cited() -> None:
    generated = msgspec.structs.replace(
        answer(Point(text="The default of P4.02 is 350 V.", passages=[3])), left_out=[2]
    )
    assert ground(generated, [ROW, ZH, TABLE]).holds(1.0)
    again = msgspec.structs.replace(generated, left_out=[3])
    assert again.actions
    assert not ground(again, [ROW, ZH, TABLE]).actions


def test_another_fault_s_entry_supports_nothing() -> None:
    """The number is right, and stands in the entry of another code."""
    other = PromptPassage(n=2, source="s", text="Code: E006 | Remedy: set P7.01 to 40 s under load")
    wrong = Point(text="Set P7.01 to 40 s.", passages=[2])
    mixed = Point(text="Measure under load; set P7.01 to 40 s.", passages=[1, 2])
    right = Point(text="Measure R, S, T under load.", passages=[1, 2])
    grounding = ground(answer(wrong, mixed, right), [ROW, other], of_another=[2], naming=[1])
    assert [doubt.why for doubt in grounding.doubts] == [
        "[2] is of another code",
        "40 s, p7.01 not in [1]",
    ]
    assert grounding.actions == [right]


def test_an_answer_that_cites_nothing_with_the_code_does_not_hold() -> None:
    point = Point(text="The default of P4.02 is 350 V.", passages=[3])
    assert ground(answer(point), [ROW, ZH, TABLE], naming=[3]).holds(1.0)
    assert not ground(answer(point), [ROW, ZH, TABLE], naming=[1, 2]).holds(0.0)
    assert not ground(answer(point), [ROW, ZH, TABLE], naming=[]).holds(0.0)


def test_the_machine_s_name_stands_in_the_title() -> None:
    assert check(Point(text="Measure the FD40 under load.", passages=[1])).holds(1.0)
    assert not check(Point(text="Measure the FD41 under load.", passages=[1])).actions


@given(
    texts=st.lists(st.text(max_size=60), max_size=5),
    passages=st.lists(st.text(max_size=80), max_size=4),
    cited=st.lists(st.integers(min_value=-1, max_value=6), max_size=4),
    used=st.integers(min_value=-1, max_value=6),
)
def test_every_statement_is_kept_or_doubted(
    texts: list[str], passages: list[str], cited: list[int], used: int
) -> None:
    points = [Point(text=text, passages=cited) for text in texts]
    given_passages = [PromptPassage(n=n, source="", text=t) for n, t in enumerate(passages, 1)]
    generated = Generated(
        summary="s", causes=points[:2], actions=points[2:], model="m", passages_used=used
    )
    grounding = ground(generated, given_passages)
    kept = len(grounding.causes) + len(grounding.actions)
    assert kept + len(grounding.doubtful) == len(points) + (not grounding.summary_stands)
    assert len(grounding.doubtful) <= len(grounding.doubts) <= grounding.statements
    assert 0.0 <= grounding.share <= 1.0
    assert grounding.holds(1.0) == (not grounding.doubts and kept > 0)
    assert grounding.holds(0.0) == (kept > 0)
    seen = set(range(1, min(len(passages), max(0, used)) + 1))
    for point in [*grounding.causes, *grounding.actions]:
        assert point.passages
        assert set(point.passages) <= seen
