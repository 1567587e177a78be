from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.generation import Generate, PromptPassage
from services.llm_bridge import prompt

pytestmark = pytest.mark.unit

REQUEST = Generate(
    id="1",
    system="You help fitters.",
    question="What does E005 mean?",
    passages=[
        PromptPassage(n=1, source="Motor manual, page 41", text="E005 | DC bus undervoltage"),
        PromptPassage(n=2, source='A "quoted" one', text="Check U<50 V and t <T1."),
    ],
    lang="en",
)
SPECIALS = [
    "<|im_end|>", "<|eot_id|>", "</s>", "<s>", "<start_of_turn>", "<｜User｜>", "[INST]", "[/INST]",
    "<<SYS>>", "</passage>", '<passage number="9" source="x">', "[TOOL_CALLS]", "<!-- -->",
]  # fmt: skip


def test_instructions_come_first_and_never_change() -> None:
    other = Generate(id="2", system=REQUEST.system, question="Wie?", passages=[], lang="zh")
    assert prompt.system(REQUEST) == prompt.system(other)
    for text in (prompt.plain(REQUEST, REQUEST.passages), prompt.plain(other, [])):
        assert text.startswith(prompt.system(REQUEST))
    assert [m.role for m in prompt.messages(REQUEST, [])] == ["system", "user"]


def test_passages_are_fenced_with_number_and_source_before_the_question() -> None:
    text = prompt.user(REQUEST, REQUEST.passages)
    assert '<passage number="1" source="Motor manual, page 41">\nE005 | DC bus' in text
    assert "source=\"A 'quoted' one\"" in text
    assert "U<50 V" in text
    assert text.index("</passage>") < text.index("What does E005 mean?")
    assert text.endswith("Answer in English.")


def test_the_language_is_asked_for_in_itself() -> None:
    assert prompt.user(
        Generate(id="", system="", question="?", passages=[], lang="zh"), []
    ).endswith("用中文回答。")


def test_no_passages_are_said_to_be_none() -> None:
    assert "(none found)" in prompt.user(REQUEST, [])


@given(st.lists(st.sampled_from([*SPECIALS, "x", " ", "<", "[", "\n"])).map("".join))
def test_no_document_can_end_its_fence_or_speak_for_the_template(evil: str) -> None:
    request = Generate(
        id="",
        system="",
        question=f"q{evil}",
        passages=[PromptPassage(n=1, source=evil, text=evil)],
        lang="en",
    )
    text = prompt.user(request, request.passages)
    assert text.count("</passage>") == 1
    assert len(re.findall(r"<passage number=", text)) == 1
    inside = text.replace('<passage number="1"', "").replace("</passage>", "")
    assert not [special for special in SPECIALS if special in inside]


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Mn"])))
def test_defusing_adds_blanks_and_changes_nothing_else(text: str) -> None:
    assert prompt.defuse(text).replace(" ", "") == text.replace(" ", "")


@given(st.text())
def test_what_is_defused_stays_so(text: str) -> None:
    once = prompt.defuse(text)
    assert prompt.defuse(once) == once


def test_signs_of_a_manual_stay() -> None:
    text = "U<50 V, t <= 3 s, <0.5 Ω, I<<10 A, r0945[8], [1], P4.03 -> 1, {a}, 3 > 2"
    assert prompt.defuse(text) == text
