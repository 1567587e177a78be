"""Fault codes in any spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.codes import cell_code, cell_codes, codes, fold, loose_form
from services.retriever.normal import joined, shown

pytestmark = pytest.mark.unit


def found(text: str, *, loose: bool = False) -> list[str]:
    return [code.canonical for code in codes(text, loose=loose)]


@pytest.mark.parametrize("text", ["E.OC1", "E-OC1", "EOC1", "E_OC1", "Ｅ．ＯＣ１", "e-oc1"])
def test_separators_and_case_do_not_matter(text: str) -> None:
    assert found(f"drive shows {text} again") == ["EOC1"]


@pytest.mark.parametrize("text", ["F30002", "f30002", "F-30002", "F 30002", "F.30002"])
def test_a_manual_may_part_a_code_by_a_sign(text: str) -> None:
    assert found(f"see {text}, page 3") == ["F30002"]


@pytest.mark.parametrize("text", ["f 30002", "e 005", "e oc1"])
def test_only_a_question_may_part_lower_case_by_a_space(text: str) -> None:
    assert text.replace(" ", "").upper() in found(text, loose=True)
    assert text.replace(" ", "").upper() not in found(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("变频器报E005错误怎么办", "E005"),
        ("变频器报Ｅ００５错误", "E005"),
        ("报警 18", "#18"),
        ("報警18", "#18"),
        ("故障代码：07", "#07"),
        ("18号报警", "#18"),
        ("alarm code 12", "#12"),
        ("ALARM:1", "#1"),
        ("error:9", "#9"),
        ("Err18", "ERR18"),
        ('plant/motor7/fault {"code":"E999"}', "E999"),
        ("set P1-02 first", "P1.02"),
        ("P0.17 too short", "P0.17"),
        ("r0037[0] exceeded", "R0037"),
        ("object 0x2310 missing", "0X2310"),
        ("fault 0A10h", "0X0A10"),
        ("error 16#2310", "0X2310"),
        ("AL.E9 is shown", "ALE9"),
        ("see alarm 18.", "#18"),
        ("FAULT_18", "#18"),
    ],
)
def test_codes_stand_in_all_kinds_of_text(text: str, code: str) -> None:
    assert code in found(text)
    assert code in found(text, loose=True)


@pytest.mark.parametrize(
    "text",
    [
        "RS485 and RS-232",
        "protection class IP65",
        "24V DC, 50Hz, 4-20mA",
        "e.g. a 5 mm drill",
        "on 2010-06-27 at 12:30",
        "PT100 sensor",
        "ISO9001 and IEC 61800-5",
        "fault within 5 s",
        "see Table 7 and Fig. 3",
        "overcurrent while accelerating",
    ],
)
def test_what_only_looks_like_a_code_is_none(text: str) -> None:
    assert not [c for c in codes(text, loose=True) if c.certain]


def test_both_ends_of_a_range_are_codes() -> None:
    assert set(found("E01-E05")) == {"E01", "E02", "E03", "E04", "E05"}
    assert {"E01", "E05"} <= set(found("E01-05"))


@pytest.mark.parametrize(
    ("canonical", "loose"),
    [
        ("E005", "E5"),
        ("E05", "E5"),
        ("E5", "E5"),
        ("ERR18", "ERR18"),
        ("ER018", "ERR18"),
        ("ALM417", "AL417"),
        ("0X0080", "0X80"),
        ("#018", "#18"),
        ("P0.17", "P0.17"),
    ],
)
def test_leading_zeros_and_generic_words_go_in_the_loose_form(canonical: str, loose: str) -> None:
    assert loose_form(canonical) == loose


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        *(("E005", "E005"), (" 18 ", "#18"), ("OC", "OC"), ("E.OC1", "EOC1"), ("Err 18", "ERR18")),
        *(("SysCode206", "SYSCODE206"), ("DriveFault_12", "DRIVEFAULT12")),
    ],
)
def test_a_cell_alone_is_a_code(cell: str, code: str) -> None:
    assert cell_code(cell) == code


@pytest.mark.parametrize(
    "cell", ["", "DC bus undervoltage", "check supply", "-", "欠压", "Default5"]
)
def test_a_cell_of_words_is_none(cell: str) -> None:
    assert cell_code(cell) is None


@pytest.mark.parametrize(
    ("cell", "listed"),
    [
        ("E01, E02", ["E01", "E02"]),
        ("F7801/F7802", ["F7801", "F7802"]),
        ("Er.1~Er.3", ["ER1", "ER2", "ER3"]),
        ("E01～03", ["E01", "E02", "E03"]),
        ("E09至E11", ["E09", "E10", "E11"]),
        ("F01000-F01999", ["F01000", "F01999"]),
        ("OC", ["OC"]),
    ],
)
def test_a_cell_may_list_codes_or_name_a_range(cell: str, listed: list[str]) -> None:
    assert cell_codes(cell) == listed


@pytest.mark.parametrize("cell", ["N/A", "E01, see below", "0-10 V", "check E01"])
def test_a_cell_with_other_words_lists_none(cell: str) -> None:
    assert cell_codes(cell) == []


@given(
    st.lists(st.from_regex(r"[A-Za-z]{1,4}|[0-9]{1,4}", fullmatch=True), min_size=1, max_size=4),
    st.sampled_from(["-", ".", "_", " "]),
)
def test_the_normal_forms_are_their_own_normal_forms(parts: list[str], sep: str) -> None:
    once = joined(sep.join(parts))
    assert joined(once) == once
    assert loose_form(loose_form(once)) == loose_form(once)
    assert joined("-".join(parts)) == once


def test_part_numbers_are_found_but_never_certain() -> None:
    parts = {c.canonical: c.certain for c in codes("replace JK-B5A24S by 6SL3244-0BB12")}
    assert parts["JKB5A24S"] is False
    assert parts["6SL3244.0BB12"] is False


@given(st.text(max_size=80))
def test_every_code_stands_where_it_says(text: str) -> None:
    for loose in (False, True):
        for code in codes(text, loose=loose):
            assert text[code.start : code.start + len(code.raw)] == code.raw
            assert code.canonical == code.canonical.upper()
            assert code.canonical.strip("#")


@given(
    st.sampled_from(["F", "E", "OC", "AL", "Pr"]),
    st.integers(1, 99999),
    st.sampled_from(["", "-", ".", "_"]),
    st.sampled_from(["", "变频器", "the drive shows ", "「"]),
    st.sampled_from(["", "错误", " again", "。", "?"]),
)
def test_any_spelling_gives_the_same_code(
    prefix: str, number: int, sep: str, before: str, after: str
) -> None:
    for spelt in (prefix, prefix.lower(), prefix.upper()):
        text = f"{before}{spelt}{sep}{number}{after}"
        assert f"{prefix.upper()}{number}" in found(text, loose=True)


@given(st.text(max_size=60))
def test_folding_keeps_length(text: str) -> None:
    assert len(fold(text)) == len(text)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("E.OC1", "E.OC1"),
        ("e.oc1", "E.OC1"),
        ("Err18", "Err18"),
        ("f 30002", "F30002"),
        ("Ｆ３０００２", "F30002"),
        ("F3OOO2", "F30002"),
        ("报警 18", "18"),
        ("parameter 7", "7"),
        ("0X2310", "0x2310"),
        ("$130", "$130"),
    ],
)
def test_a_code_is_told_as_it_was_asked_for(question: str, told: str) -> None:
    assert told in [shown(code) for code in codes(question, loose=True)]


def test_a_default_is_no_fault() -> None:
    assert codes("Iron default: 30, Release default 60") == []
    assert codes("factory default 30", loose=True) == []
    assert [code.canonical for code in codes("strip 5 then fault 30")] == ["#30"]


def test_a_code_with_all_its_characters_apart_is_one() -> None:
    assert [(c.canonical, c.certain) for c in codes("F 3 0 7 7 2", loose=True)] == [
        ("F30772", True)
    ]
    assert codes("$ 27", loose=True)[0].canonical == "$27"
