"""What a handheld scanner shows."""

from __future__ import annotations

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answers import Answer, Citation
from services.orchestrator.display import clean, columns, display, fit
from services.orchestrator.notes import sourced

pytestmark = pytest.mark.unit


def citation(
    *, document: str = "Motor manual", file: str = "motor.pdf", page: int | None = 41
) -> Citation:
    return Citation(
        n=1,
        document=document,
        file=file,
        doc_id="d",
        revision=1,
        page=page,
        section="",
        quote="",
        score=1.0,
    )


def answer(
    *,
    code: str = "E005",
    summary: str = "E005 DC bus undervoltage: mains voltage too low.",
    actions: tuple[str, ...] = ("Check the supply.", "Tighten the terminals."),
    citations: tuple[Citation, ...] = (citation(),),
    lang: str = "en",
) -> Answer:
    return Answer(
        id="a",
        stage="final",
        asset="plant/motor7",
        code=code,
        question="q",
        lang=lang,  # type: ignore[arg-type]
        summary=summary,
        actions=list(actions),
        text=summary,
        citations=list(citations),
        answered_by="extract",
        first_seen="2025-01-01T00:00:00Z",
        last_seen="2025-01-01T00:00:00Z",
        created="2025-01-01T00:00:00Z",
    )


def test_three_lines() -> None:
    assert display(answer()).split("\n") == [
        "E005 DC bus undervoltage: mains voltage too low.",
        "Check the supply; Tighten the terminals",
        "→ Motor manual p.41",
    ]


def test_chinese() -> None:
    shown = display(
        answer(
            summary="E005 直流母线欠压：电网电压过低。",
            actions=("检查进线电源。", "紧固端子"),
            citations=(citation(document="电机手册"),),
            lang="zh",
        )
    )
    assert shown.split("\n") == [
        "E005 直流母线欠压：电网电压过低。",
        "检查进线电源；紧固端子",
        "→ 电机手册 p.41",
    ]


def test_the_code_stands_first_unless_the_summary_has_it() -> None:
    assert display(answer(code="E1", summary="E10 is not it.")).startswith("E1 E10 is not it.")
    assert display(answer(code="e005")).startswith("E005 DC bus")
    assert display(answer(code="", summary="Belt slips.")).startswith("Belt slips.")


def test_a_code_the_manual_spells_otherwise_is_not_said_twice() -> None:
    assert display(answer(code="EOC1", summary="E.OC1 Overcurrent.")).startswith("E.OC1 Over")
    assert display(answer(code="$130", summary="$130 Travel.")).startswith("$130 Travel.")


@pytest.mark.parametrize(
    ("lang", "line"),
    [
        ("en", "Not in this machine's manuals → Motor manual p.41"),
        ("zh", "本机手册中没有 → Motor manual p.41"),
    ],
)
def test_a_manual_of_another_machine_is_told(lang: str, line: str) -> None:
    elsewhere = msgspec.structs.replace(answer(lang=lang), scope="widened")
    assert display(sourced(elsewhere, [])).split("\n")[2] == line
    assert display(elsewhere).split("\n")[2] == "→ Motor manual p.41"


def test_a_long_title_leaves_room_for_what_is_told() -> None:
    long = answer(citations=(citation(document="Manual " * 30, page=1234),))
    source = display(sourced(msgspec.structs.replace(long, scope="widened"), [])).split("\n")[2]
    assert source.startswith("Not in this machine's manuals → Manual")
    assert source.endswith("… p.1234")
    assert columns(source) <= 80


def test_empty_lines_are_left_out() -> None:
    assert display(answer(actions=(), citations=())) == (
        "E005 DC bus undervoltage: mains voltage too low."
    )
    assert display(answer(actions=())).count("\n") == 1


def test_source_without_page_or_title() -> None:
    assert display(answer(citations=(citation(page=None),))).endswith("→ Motor manual")
    assert display(answer(citations=(citation(document=""),))).endswith("→ motor.pdf p.41")


def test_a_long_title_leaves_room_for_the_page() -> None:
    source = display(answer(citations=(citation(document="Manual " * 30, page=1234),)))
    assert source.endswith("… p.1234")


def test_cut_at_a_word() -> None:
    assert fit("check the supply voltage", 15) == "check the…"
    assert fit("check the supply", 16) == "check the supply"
    assert fit("x" * 30, 10) == "x" * 9 + "…"
    assert fit("检查电源电压", 8) == "检查电…"
    assert fit("检查 supply voltage", 12) == "检查 supply…"


def test_wide_characters_take_two_columns() -> None:
    assert columns("Ａ：检") == 6
    assert columns("A: é") == 4
    line = display(answer(summary="电" * 70, actions=())).split("\n")[0]
    assert line == "E005 " + "电" * 37


def test_an_accent_stays_with_its_letter() -> None:
    assert "e\u0301" not in fit("ee\u0301eeee", 3)
    assert not fit("abe\u0301ab", 4).endswith("e…")


def test_control_and_formatting_characters_go() -> None:
    assert clean("a\x1b[31m\u202eb\x00\r\nc\u2028d\u200be\ufffe") == "a[31mb c de"


texts = st.text(max_size=200)


@given(
    code=st.text(max_size=100),
    summary=texts,
    actions=st.lists(texts, max_size=6),
    title=texts,
    file=texts,
    page=st.none() | st.integers(min_value=1, max_value=99999),
    lang=st.sampled_from(["en", "zh"]),
)
def test_never_more_than_three_lines_of_eighty(
    *,
    code: str,
    summary: str,
    actions: list[str],
    title: str,
    file: str,
    page: int | None,
    lang: str,
) -> None:
    shown = display(
        answer(
            code=code,
            summary=summary,
            actions=tuple(actions),
            citations=(citation(document=title, file=file, page=page),),
            lang=lang,
        )
    )
    lines = shown.split("\n")
    assert len(lines) <= 3
    for line in lines:
        assert len(line) <= 80
        assert columns(line) <= 80
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in line)
    shown.encode()
    assert page is None or shown.endswith(f" p.{page}")


@given(text=texts.map(clean), limit=st.integers(min_value=2, max_value=80))
def test_what_is_cut_is_the_end(text: str, limit: int) -> None:
    shown = fit(text, limit)
    assert columns(shown) <= limit
    assert shown == text or text.startswith(shown.removesuffix("…"))
    assert (shown == text) == (columns(text) <= limit)


def test_nothing_is_said_twice() -> None:
    words = "Check the supply."
    assert display(answer(summary=words, actions=("1. Check the supply.",), code="")).split(
        "\n"
    ) == [
        words,
        "→ Motor manual p.41",
    ]


def test_a_long_summary_takes_the_line_of_the_actions_where_there_are_none() -> None:
    words = "The rated voltage of the drive is " + "twenty four " * 6 + "volts."
    lines = display(answer(summary=words, actions=(), code="")).split("\n")
    assert " ".join(lines[:2]) == words
    assert lines[2] == "→ Motor manual p.41"


def test_the_mark_of_a_bare_number_is_not_shown() -> None:
    assert display(answer(code="#07", summary="07 Fan fault.")).split("\n")[0] == "07 Fan fault."


def test_a_code_that_is_printed_with_its_letters_is_not_said_twice() -> None:
    said = display(answer(code="40021", summary="F40021 Brake unit: it is worn."))
    assert said.startswith("F40021 Brake unit")
    other = display(answer(code="2", summary="Wait for F40021 and M2."))
    assert other.startswith("2 Wait for F40021")
