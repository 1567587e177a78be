"""What a question asks for, and the forms under which it is looked up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import Search
from services.retriever.asked import (
    codes_asked,
    forgiving,
    forms,
    outermost,
    respelt,
    spellings,
    worded,
)
from services.retriever.codes import Code, codes

pytestmark = pytest.mark.unit


def asked(question: str, *, code: str = "", names: tuple[str, ...] = ()) -> dict[str, bool]:
    found = codes_asked(Search(question=question, code=code), frozenset(names))
    return {code.canonical: code.certain for code in found}


def reached(question: str) -> set[str]:
    found = codes_asked(Search(question=question), frozenset())
    return {*forgiving(found), *(form for code in found for form in respelt(code))}


@pytest.mark.parametrize(
    "question",
    [
        *("F30002", "f 30002", "F-30002", "F.30002", "F_30002", "f：30002", "F3 0002", "F 30 002"),
        *(
            "变频器报F30002故障",
            "Ｆ３０００２",
            "F3OOO2",
            "f3ooo2",
            "fault 30002",
            "what about 30002",
        ),
        "30002",
    ],
)
def test_people_spell_a_fault_in_many_ways(question: str) -> None:
    assert "F30002" in reached(question)


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("e oc 1", "EOC1"),
        ("E.OC1", "OC1"),
        ("OC1", "EOC1"),
        ("drive trips with oc", "OC"),
        ("报 oc 了", "OC"),
        ("STo lights up", "STO"),
        ("AL.E9", "E9"),
        ("E9", "ALE9"),
        ("Err18", "ERR18"),
        ("ERR 018", "ERR18"),
        ("Er.18", "ERR18"),
        ("报警 18", "#18"),
        ("报警 18", "ERR18"),
        ("18号报警", "#18"),
        ("Alarm no. 18.", "#18"),
        ("error #18", "E18"),
        ("fault 0018", "F18"),
        ("what does 18 on the alarm list mean", "#18"),
        ("E005错误", "E5"),
        ("故障码E005", "E5"),
        ("EO05", "E5"),
        ("E0O5", "E5"),
        ("El8", "E18"),
        ("fault 0x2310", "0X2310"),
        ("fault 2310h", "0X2310"),
        ("16#2310", "0X2310"),
        ("fault 2310", "0X2310"),
        ("SP1-08", "SP1.08"),
        ("sp1 08", "SP1.08"),
        ("SP108", "SP1.08"),
        ("P017", "P0.17"),
        ("PD 14", "PD14"),
        ("Pr 7", "PR7"),
        ("b3 05", "B3.05"),
        ("parameter 304", "P304"),
        ("P0304[0]", "P304"),
        ("n 01620", "N1620"),
        ("err 9", "#9"),
        ("err 9", "ERR9"),
        ("Err: 9", "#9"),
        ("err #9", "#9"),
        ("err code 9", "#9"),
        ("er 20", "#20"),
        ("ALM 4", "#4"),
        ("alm no. 4", "AL4"),
        ("flt 7", "F7"),
        ("warn 12", "#12"),
        ("eror 9", "#9"),
        ("alram: 9", "#9"),
        ("fualt 30002", "F30002"),
        ("press #9", "#9"),
        ("what is $130", "$130"),
        ("$H", "$H"),
        ("setting 22", "$22"),
        ("parameter 7", "PR7"),
        ("参数 7", "PAR7"),
        ("Pr. 7", "PR7"),
    ],
)
def test_the_form_a_manual_has_is_among_those_looked_up(question: str, form: str) -> None:
    assert form in reached(question)


@pytest.mark.parametrize(
    "question",
    [
        "supply 10 V at 50 Hz",
        "RS485 with IP65",
        "tightened on 2010-06-27",
        "the alarm sounds 2 times",
        "fault for 30 seconds",
        "告警级别 1 级",
        "the error in my fan",
        "a vault 3 m wide",
        "set it to 50 Hz",
    ],
)
def test_quantities_standards_dates_and_words_are_not_asked_for(question: str) -> None:
    assert asked(question) == {}


def test_a_products_name_is_no_code_and_a_fault_that_names_a_paper_may_be_one() -> None:
    names = ("g120", "skf8000", "e005")
    assert asked("G120 and SKF8000: E005", names=names) == {"E005": False}


def test_a_display_is_asked_for_beside_a_product_and_a_product_is_not_beside_its_fault() -> None:
    def meant(question: str) -> set[str]:
        found = codes_asked(Search(question=question), frozenset())
        return {code.canonical for code in found if code.asked and code.certain}

    assert meant("三菱FR-A800 E.OC1") == {"EOC1"}
    assert meant("ABB ACS880 fault 2310") == {"#2310"}
    assert meant("ACS880 fault") == {"ACS880"}


def test_the_payloads_code_goes_first() -> None:
    assert next(iter(asked("E006 too?", code="E.OC1"))) == "EOC1"
    assert asked("x", code="18") == {"#18": True}


def test_the_word_tells_the_prefix_that_is_tried_first() -> None:
    (fault,) = (c for c in codes("fault 7", loose=True) if c.certain)
    (alarm,) = (c for c in codes("alarm 7", loose=True) if c.certain)
    assert forms(fault)[:2] == ("#7", "F7")
    assert forms(alarm)[:2] == ("#7", "A7")


def test_a_glued_prefix_is_not_swapped_for_another() -> None:
    (code,) = codes("Err18", loose=True)
    assert forms(code) == ("ERR18",)
    (code,) = codes("F18", loose=True)
    assert not {"#18", "E18", "ERR18"} & set(forms(code))


def test_a_word_and_a_number_are_the_number_as_well_as_a_code() -> None:
    (code,) = codes("err 9", loose=True)
    assert (code.certain, spellings(code)) == (True, ("ERR9", "#9"))
    (glued,) = codes("Err9", loose=True)
    assert spellings(glued) == ("ERR9",)


@pytest.mark.parametrize(
    ("question", "told"),
    [("setting 22", True), ("alram 7", True), ("#7", True), ("P22", False), ("12345", False)],
)
def test_a_word_beside_a_number_says_that_it_is_a_code(question: str, told: bool) -> None:
    numbers = [code for code in codes(f"see {question} then", loose=True) if not code.certain]
    assert any(map(worded, numbers)) == told


def test_a_parameter_is_not_looked_up_without_its_group() -> None:
    (code,) = codes("P0.99", loose=True)
    assert "P99" not in respelt(code)


def test_part_of_a_known_code_is_none() -> None:
    found = codes("F3 0002", loose=True)
    whole = [code for code in found if code.canonical == "F30002"]
    assert "F3" in {code.canonical for code in found}
    assert "F3" not in {code.canonical for code in outermost(found, whole)}


@given(
    st.sampled_from(["F", "E", "OC", "AL", "PD", "Err"]),
    st.integers(10, 9999),
    st.sampled_from(["", "-", ".", "_", " "]),
    st.integers(0, 2),
)
def test_zeros_case_and_separators_never_change_what_is_looked_up(
    prefix: str, number: int, sep: str, zeros: int
) -> None:
    wanted = Code(f"{prefix.upper()}{number}", "", 0).loose
    for spelt in (prefix, prefix.lower(), prefix.upper()):
        assert wanted in reached(f"{spelt}{sep}{'0' * zeros}{number}")


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("SysCode206", "SYSCODE206"),
        ("DrvErr_12 is on", "DRVERR12"),
        ("0B0012", "0XB0012"),
        ("fault 10A2F", "0X10A2F"),
        ("KX ov x", "OVX"),
        ("display o v", "OV"),
    ],
)
def test_long_prefixes_bare_hexadecimals_and_letters_apart(question: str, form: str) -> None:
    assert form in reached(question)


@pytest.mark.parametrize("question", ["is it on a c axis", "F30002", "default 5", "I do so"])
def test_words_and_decimals_are_none_of_these(question: str) -> None:
    assert not any(f.startswith("0X") or f in ("ITON", "ONAC", "AC") for f in reached(question))
    assert "DEFAULT5" not in reached(question)


def test_the_number_of_a_named_code_in_a_payload_is_looked_up_as_well() -> None:
    found = asked("", code="ErrCode206")
    assert (found["#206"], found["ERRCODE206"]) == (True, False)
