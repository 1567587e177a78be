from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answers import Language
from schemas.generation import Point
from services.llm_bridge.answer_form import (
    AnswerReader,
    Form,
    ModelAnswer,
    form_for,
    parse,
    render,
)
from services.llm_bridge.errors import BrokenOutput

pytestmark = pytest.mark.unit

NUMBERS = (1, 2, 3, 7)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
POINTS = st.lists(
    st.fixed_dictionaries({"text": TEXT, "passages": st.lists(st.integers(-1, 9), max_size=4)}),
    max_size=4,
)
ANSWERS = st.fixed_dictionaries({"summary": TEXT, "causes": POINTS, "actions": POINTS})
LANGS: st.SearchStrategy[Language] = st.sampled_from(["en", "zh"])

EXAMPLE = {
    "summary": "The DC bus voltage is too low.",
    "causes": [
        {"text": "Mains voltage too low", "passages": [1]},
        {"text": "Brake resistor open", "passages": []},
    ],
    "actions": [{"text": "Measure the supply at L1, L2, L3", "passages": [1, 3]}],
}


def blank(text: str) -> bool:
    return all(sign.isspace() or sign < " " or sign == "\x7f" for sign in text)


def deltas(text: str, cuts: list[int], lang: Language = "en") -> tuple[str, AnswerReader]:
    reader = AnswerReader(lang, passages=NUMBERS)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [reader.feed(text[a:b]) for a, b in pairwise(places)]
    return "".join(pieces), reader


def test_the_stream_reads_like_an_answer() -> None:
    text, reader = deltas(json.dumps(EXAMPLE), list(range(500)))
    assert text == (
        "The DC bus voltage is too low.\n\n"
        "Causes:\n- Mains voltage too low [1]\n- Brake resistor open\n\n"
        "Actions:\n- Measure the supply at L1, L2, L3 [1][3]"
    )
    assert reader.answer().actions == [
        Point(text="Measure the supply at L1, L2, L3", passages=[1, 3])
    ]
    assert deltas(json.dumps(EXAMPLE), [], "zh")[0].count("可能原因:\n- ") == 1


@given(ANSWERS, st.lists(st.integers(0, 900)), LANGS, st.booleans(), st.sampled_from([None, 1]))
def test_any_split_reads_as_the_whole(
    answer: dict[str, Any], cuts: list[int], lang: Language, escaped: bool, indent: int | None
) -> None:
    text = json.dumps(answer, ensure_ascii=escaped, indent=indent)
    streamed, reader = deltas(text, cuts, lang)
    assert reader.complete
    try:
        whole = parse(text, passages=NUMBERS)
    except BrokenOutput:
        assert blank(answer["summary"])
        return
    assert reader.answer() == whole
    assert streamed == deltas(text, [], lang)[0]
    ordered = {name: answer[name] for name in ("summary", "causes", "actions")}
    assert deltas(json.dumps(ordered), cuts, lang)[0] == render(whole, lang)


@given(ANSWERS)
def test_what_is_read_is_what_was_written(answer: dict[str, Any]) -> None:
    answer["summary"] += "x"
    read = parse(json.dumps(answer), passages=NUMBERS)
    for name, points in (("causes", read.causes), ("actions", read.actions)):
        said = [
            p
            for p in answer[name]
            if "".join(p["text"].split()).strip("".join(map(chr, range(32))) + "\x7f")
        ]
        assert len(points) == len(said)
        for point, written in zip(points, said, strict=True):
            assert set(point.passages) == {n for n in written["passages"] if n in NUMBERS}
            assert len(set(point.passages)) == len(point.passages)


@given(st.permutations(["summary", "causes", "actions"]), st.lists(st.integers(0, 900)))
def test_another_order_loses_nothing(order: list[str], cuts: list[int]) -> None:
    text, reader = deltas(json.dumps({name: EXAMPLE[name] for name in order}), cuts)
    assert reader.answer() == parse(json.dumps(EXAMPLE), passages=NUMBERS)
    for part in ("too low.", "- Mains voltage too low [1]\n", "Actions:\n- Measure"):
        assert part in text


@given(st.text())
def test_any_text_is_an_answer_or_broken(text: str) -> None:
    try:
        answer = parse(text, passages=NUMBERS)
    except BrokenOutput:
        return
    assert answer.summary


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot answer.",
        '{"summary":"x"',
        '{"summary":"","causes":[],"actions":[]}',
        '{"causes":[],"actions":[]}',
        '{"summary":"x","causes":"none","actions":[]}',
        '{"summary":"x","causes":[}',
        "[1,2]",
    ],
)
def test_broken_answers_are_retryable(text: str) -> None:
    with pytest.raises(BrokenOutput, match="form asked for") as caught:
        parse(text, passages=NUMBERS)
    assert caught.value.kind == "retryable"


def test_an_answer_cut_by_the_limit_keeps_its_whole_points() -> None:
    text = json.dumps(EXAMPLE)
    for length in range(len(text)):
        reader = AnswerReader("en", passages=NUMBERS)
        reader.feed(text[:length])
        with pytest.raises(BrokenOutput):
            reader.answer()
        if length <= text.index('", "causes"'):
            with pytest.raises(BrokenOutput, match="no room left"):
                reader.answer(cut=True)
        else:
            answer = reader.answer(cut=True)
            assert answer.summary == EXAMPLE["summary"]
            assert len(answer.causes) == text[:length].count("]}", 0, text.index('"actions"'))


def test_points_as_plain_strings_are_points_that_rest_on_nothing() -> None:
    answer = parse('{"summary":"s","causes":["a","b"],"actions":[]}', passages=NUMBERS)
    assert answer.causes == [Point(text="a"), Point(text="b")]


@given(st.integers(16, 8192), LANGS, st.sets(st.integers(1, 30), max_size=20))
def test_the_schema_is_one_and_takes_what_fits(
    max_tokens: int, lang: Language, numbers: set[int]
) -> None:
    form = form_for(max_tokens, lang)
    schema = form.schema(numbers)
    jsonschema.Draft202012Validator.check_schema(schema)
    refs = sorted(numbers)[: form.refs]
    point = {"text": "x" * form.point, "passages": refs}
    full = {
        "summary": "x" * form.summary,
        "causes": [point] * form.causes,
        "actions": [point] * form.actions,
    }
    jsonschema.validate(full, schema)
    read = parse(json.dumps(full), passages=numbers)
    assert read == ModelAnswer(
        summary=full["summary"],
        causes=[Point(text=point["text"], passages=refs)] * form.causes,
        actions=[Point(text=point["text"], passages=refs)] * form.actions,
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**full, "actions": [point] * (form.actions + 1)}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**full, "summary": "x" * (form.summary + 1)}, schema)
    wrong = {"text": "x", "passages": [max(numbers, default=0) + 1]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**full, "actions": [wrong]}, schema)


@given(st.integers(16, 4000), LANGS)
def test_more_tokens_never_make_a_smaller_answer(max_tokens: int, lang: Language) -> None:
    small, large = form_for(max_tokens, lang), form_for(max_tokens * 2, lang)

    def length(form: Form) -> int:
        return form.summary + form.point * (form.causes + form.actions)

    assert length(small) <= length(large)
