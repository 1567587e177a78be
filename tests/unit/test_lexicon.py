"""The trade's vocabulary, and the list that ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.lexicon import LOOSE, PART, SAME, SHIPPED, SYNONYM, TRANSLATION, Lexicon
from services.retriever.terms import terms_of
from services.retriever.tokens import running_tokens
from services.retriever.traditional import simplified
from services.runtime.errors import Fatal

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def shipped() -> Lexicon:
    return Lexicon.load([SHIPPED])


def listed(*lines: str) -> Lexicon:
    lexicon = Lexicon()
    lexicon.add([line.encode() for line in lines], "own.txt")
    return lexicon


def said(lexicon: Lexicon, question: str) -> set[str]:
    """What else the question may say, words joined by spaces."""
    return {" ".join(one.tokens) for one in lexicon.expand(question)}


SMALL = "overcurrent, over-current, OC, excess current | 过流, 过电流"


@pytest.mark.parametrize(
    "question",
    [
        "drive trips on overcurrent",
        "drive trips on over-current",
        "Over Current at start",
        "OC at start",
        "变频器过流怎么办",
        "报过电流故障",
        "變頻器過電流",
    ],
)
def test_a_concept_is_known_by_each_of_its_names(question: str) -> None:
    found = listed(SMALL).expand(question)
    assert {one.lang for one in found} == {"en", "zh"}
    start, end = found[0].start, found[0].end
    assert simplified(question[start:end]).lower().replace("-", " ") in {
        "overcurrent",
        "over current",
        "oc",
        "过流",
        "过电流",
    }


def test_weights_tell_spelling_synonym_and_translation_apart() -> None:
    weights = {one.tokens: one.weight for one in listed(SMALL).expand("over current")}
    assert weights["overcurrent",] == weights["oc",] == SAME
    assert weights["excess", "current"] == SYNONYM
    assert weights["过流",] == weights["过电", "电流"] == TRANSLATION


def test_alternatives_are_tokens_of_the_index_and_several_are_a_phrase() -> None:
    lexicon = listed("braking resistors, DBR | 制动电阻")
    assert said(lexicon, "DBR") == {"brak resistor", "制动 动电 电阻"}


def test_the_longest_name_counts_and_those_inside_it_less() -> None:
    lexicon = listed("short circuit | 短路", "circuit | 回路", "short, brief | 短")
    found = {one.tokens: one for one in lexicon.expand("short circuit")}
    assert found["短路",].weight == TRANSLATION
    assert found["回路",].weight == pytest.approx(TRANSLATION * PART)


def test_a_name_of_several_concepts_counts_less_in_each() -> None:
    lexicon = listed("overcurrent, OC | 过流", "open collector, OC | 集电极开路")
    weights = {one.tokens: one.weight for one in lexicon.expand("OC")}
    assert weights["过流",] == pytest.approx(TRANSLATION / 2**0.5, abs=1e-3)
    assert len(weights) == 4


def test_of_several_concepts_the_usual_one_counts_most() -> None:
    lexicon = listed(
        "overcurrent, OC | 过流", "open collector, ~OC | 集电极开路", "lone, ~LN | 单独"
    )
    weights = {one.tokens: one.weight for one in lexicon.expand("OC trip")}
    assert weights["overcurrent",] > weights["open", "collector"] > 0
    plain = listed("overcurrent, OC | 过流", "open collector, OC | 集电极开路").expand("OC trip")
    assert weights["过流",] > next(one.weight for one in plain if one.tokens == ("过流",))
    # Alone, a term that usually means something else counts as before.
    (lone,) = [one for one in lexicon.expand("LN trip") if one.lang == "zh"]
    assert lone.weight == pytest.approx(TRANSLATION * LOOSE)


def test_marks() -> None:
    lexicon = listed("CAN bus, =CAN | CAN总线", "inverter, ~drive | 变频器", "fault, >kaput | 故障")
    assert lexicon.expand("can it run") == []
    assert lexicon.expand("CAN IT RUN") == []
    assert "can bus" in said(lexicon, "no answer on CAN")
    assert "can bus" in said(lexicon, "CAN通讯")
    weights = {one.tokens: one.weight for one in lexicon.expand("drive")}
    assert weights["变频", "频器"] == TRANSLATION / 2
    assert said(lexicon, "kaput") == {"fault", "故障"}
    assert "kaput" not in said(lexicon, "fault")


def test_a_maker_is_asked_for_its_products_and_not_the_other_way() -> None:
    lexicon = listed("@Brontix, >@Zentrix | >@岑克")
    for maker in ("Zentrix jams", "岑克 jams"):
        assert [(one.tokens, one.maker) for one in lexicon.expand(maker)] == [(("brontix",), True)]
    assert lexicon.expand("Brontix jams") == []


def test_single_letters_apart_are_no_abbreviation() -> None:
    lexicon = listed("state of charge, SOC | 电量", "input output, I/O | 输入输出")
    assert lexicon.expand("so c") == []
    assert lexicon.expand("i o") == []
    assert lexicon.expand("I/O")


def test_wrong_lines_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_bytes(
        "\ufeff# mine\n\nonly one\na | b | c\nx, , y\nspindel, spindle | 主轴\n".encode()
        + b"bad \xff byte, x\n- nothing known\n"
        + ("w " * 13 + ", other\n").encode()
    )
    lexicon = Lexicon.load([own])
    assert len(lexicon) == 1
    assert said(lexicon, "spindel") == {"spindl", "主轴"}
    assert [trouble.removeprefix(f"{own}:") for trouble in lexicon.troubles] == [
        "3: found one term; allowed: two or more that mean the same, with commas between",
        "4: found more than one bar; allowed: one, between English and Chinese",
        "5: found `` as a term; allowed: words, with a comma between two",
        "7: found the byte 0xff; allowed: text in UTF-8",
        "8: found `nothing known` to drop; allowed: terms of the lines before",
        f"9: found the term `{'w ' * 12}w`; allowed: at most 12 words or Chinese characters",
    ]


def test_a_missing_list_is_told() -> None:
    with pytest.raises(Fatal, match=r"nowhere\.txt: No such file.*retriever\.lexicon"):
        Lexicon.load([Path("/nonexistent/nowhere.txt")])


def test_an_own_list_adds_and_drops(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("- OL, drive\nwhizzer， 旋转机、转子机\n", encoding="utf-8")
    lexicon = Lexicon.load([SHIPPED, own])
    assert lexicon.troubles == []
    assert lexicon.expand("OL") == []
    assert {"whizzer", "转子 子机"} <= said(lexicon, "旋转机")


def test_a_known_word_is_no_typing_error(shipped: Lexicon) -> None:
    assert shipped.knows("Inverters")
    assert not shipped.knows("invertor")


def test_the_shipped_list_has_no_wrong_line(shipped: Lexicon) -> None:
    assert shipped.troubles == []
    assert len(shipped) >= 1200


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("VFD trips on over-current", "变频 频器"),
        ("VFD trips on over-current", "过流"),
        ("braking resistor gets hot", "制动 动电 电阻"),
        ("UV fault", "欠压"),
        ("motor stalled", "堵转"),
        ("short to ground", "对地 地短 短路"),
        ("comm timeout on RS-485", "通讯 讯超 超时"),
        ("which baudrate", "波特 特率"),
        ("how to do a factory reset", "恢复 复出 出厂 厂设 设置"),
        ("cell voltage difference too high", "压差"),
        ("变频器过热", "overheat"),
        ("輸入缺相", "input phas loss"),
        ("制动电阻阻值", "brak resistor"),
        ("波特率怎么改", "baud rate"),
        ("恢复出厂设置", "factory reset"),
        ("编码器断线", "encoder fault"),
        ("单体欠压保护", "cell undervoltag"),
        ("接地故障", "ground fault"),
        ("急停按钮", "emergency stop"),
    ],
)
def test_the_shipped_list_carries_across(shipped: Lexicon, question: str, expected: str) -> None:
    assert expected in said(shipped, question)


@pytest.mark.parametrize("question", ["can you do it", "no", "which one is it", "why not", ""])
def test_small_words_are_no_terms(shipped: Lexicon, question: str) -> None:
    assert shipped.expand(question) == []


def test_terms_are_tokenized_as_the_index_is(shipped: Lexicon) -> None:
    for line in shipped._lines:
        for term in terms_of(line):
            assert term.tokens in {(), tuple(running_tokens(term.text))}


@given(st.text(max_size=60) | st.text("过流电机OC can-/ 變頻器İ", max_size=30))
def test_any_question_is_expanded_in_place(shipped: Lexicon, question: str) -> None:
    for one in shipped.expand(question):
        assert 0 <= one.start < one.end <= len(question)
        assert one.tokens
        assert one.tokens != one.words
        assert 0 < one.weight <= 1


@given(st.binary(max_size=80))
def test_any_line_is_a_concept_or_a_trouble(line: bytes) -> None:
    lexicon = Lexicon()
    lexicon.add([line], "own.txt")
    assert len(lexicon) + len(lexicon.troubles) <= 1


@given(st.text())
def test_simplified_keeps_the_length(text: str) -> None:
    assert len(simplified(text)) == len(text)
    assert simplified(simplified(text)) == simplified(text)
