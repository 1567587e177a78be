"""No text of a manual, a machine or a person leaves its fence on the way to the model."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answers import Language
from schemas.generation import Generate, PromptPassage
from services.llm_bridge import prompt
from services.llm_bridge.answer_form import AnswerReader, form_for, parse, render
from services.llm_bridge.errors import BrokenOutput
from tests.support.injections import ATTEMPTS, SPECIALS, parts, words

pytestmark = pytest.mark.unit

attempts = pytest.mark.parametrize("evil", ATTEMPTS.values(), ids=ATTEMPTS)
CLEAN = PromptPassage(n=2, source="FD40, p. 41", text="E005 | undervoltage | check supply")


def request(evil: str, lang: Language = "en") -> Generate:
    """The text everywhere a stranger's text goes."""
    first = PromptPassage(n=1, source=f"{evil}, p. 1", text=evil)
    last = PromptPassage(n=3, source="z", text=f"E005 {evil} check")
    return Generate(id="i", system="Help.", question=evil, passages=[first, CLEAN, last], lang=lang)


def test_there_are_enough_of_them() -> None:
    chinese = [name for name, evil in ATTEMPTS.items() if re.search("[\u4e00-\u9fff]", evil)]
    assert len(ATTEMPTS) >= 50
    assert len(chinese) >= 8


@attempts
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_passages_given_stand_in_their_fences_and_nothing_outside(
    evil: str, lang: Language
) -> None:
    asked = request(evil, lang)
    system, user = prompt.messages(asked, asked.passages)
    assert (system.role, user.role) == ("system", "user")
    assert system.content == prompt.system(request("", lang)), "no stranger's word is in it"
    passages, question = parts(user.content)
    assert [n for n, _, _ in passages] == [1, 2, 3]
    for given_one, (_, source, text) in zip(asked.passages, passages, strict=True):
        assert words(text) == words(given_one.text)
        assert words(source) == words(given_one.source).replace('"', "'")
    assert words(question) == words(evil)
    for mark in ("<passage", "</passage>", "<question>", "</question>"):
        assert user.content.count(mark) == (1 if "question" in mark else 3)
    assert prompt.plain(asked, asked.passages) == (
        f"{system.content}\n\n{user.content}\n\nAnswer:\n"
    )


@attempts
def test_no_token_of_any_template_is_spelled(evil: str) -> None:
    asked = request(evil)
    content = prompt.user(asked, asked.passages)
    assert not [special for special in SPECIALS if special in content]


@pytest.mark.parametrize("special", SPECIALS)
@pytest.mark.parametrize(
    "form", ["{0}", "x{0}y", "{0}{0}", "<{0}", "[{0}", "{0[0]}{0}", "\u200b{0}"]
)
def test_no_token_survives_whatever_stands_around_it(special: str, form: str) -> None:
    hidden = special[0] + "\u200b" + special[1:]
    for text in (form.format(special), form.format(hidden)):
        assert special not in prompt.defuse(text)


pieces = st.sampled_from(
    [*SPECIALS, *ATTEMPTS.values(), "<", "[", "/", "|", ">", '"', "\n", "\u200b"]
)


@given(st.lists(pieces, max_size=8).map("".join))
def test_no_mixture_leaves_the_fences(evil: str) -> None:
    asked = request(evil)
    content = prompt.user(asked, asked.passages)
    passages, question = parts(content)
    assert [n for n, _, _ in passages] == [1, 2, 3]
    assert words(passages[0][2]) == words(evil)
    assert words(question) == words(evil)
    assert not [special for special in SPECIALS if special in content]


@attempts
def test_what_leaves_has_no_characters_nobody_sees(evil: str) -> None:
    content = prompt.user(request(evil), request(evil).passages)
    assert not [c for c in content if unicodedata.category(c) in ("Cf", "Cs")]
    assert not [c for c in content if unicodedata.category(c) == "Cc" and c not in "\n\t"]


@attempts
@pytest.mark.parametrize("where", ["summary", "text"])
def test_in_the_answer_it_is_text_and_nothing_else(evil: str, where: str) -> None:
    """A model that repeats it, in the form, gives one summary and one action."""
    answer = {
        "summary": evil if where == "summary" else "E005",
        "causes": [],
        "actions": [{"text": evil if where == "text" else "check", "passages": [1]}],
    }
    for ascii_only in (True, False):
        read = parse(json.dumps(answer, ensure_ascii=ascii_only), passages=[1, 2])
        assert len(read.actions) == 1
        assert not read.causes
        assert read.actions[0].passages == [1]
        said = read.summary if where == "summary" else read.actions[0].text
        assert words(said) == words(evil)


@attempts
def test_written_as_it_is_it_breaks_the_form_or_is_text(evil: str) -> None:
    """A model that writes it without quoting: refused, or no more than the form has room for."""
    whole = f'{{"summary": "{evil}", "causes": [], "actions": []}}'
    reader = AnswerReader("en", passages=[1, 2])
    try:
        said = reader.feed(whole)
        answer = reader.answer()
    except BrokenOutput:
        return
    assert said == render(answer, "en")
    assert {n for point in answer.actions for n in point.passages} <= {1, 2}


@attempts
def test_the_form_is_the_same_whatever_is_asked(evil: str) -> None:
    asked = request(evil)
    schema = form_for(512, asked.lang).schema([p.n for p in asked.passages])
    assert schema["additionalProperties"] is False
    assert evil not in repr(schema)
    assert schema["properties"]["actions"]["items"]["properties"]["passages"]["items"] == {
        "enum": [1, 2, 3]
    }
