from __future__ import annotations

import contextlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.llm_bridge.json_stream import JsonStream

pytestmark = pytest.mark.unit

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[Any, ...]]:
    """Strings, words and closings of a value in the order they stand."""
    match value:
        case str():
            return [("string", path, value)]
        case dict() | list():
            items = value.items() if isinstance(value, dict) else enumerate(value)
            inner = [leaf for at, each in items for leaf in leaves(each, (*path, at))]
            return [*inner, ("close", path)]
    return [("word", path, json.dumps(value))]


def read(stream: JsonStream, pieces: list[str]) -> list[tuple[Any, ...]]:
    """The same of what the stream told, text joined."""
    out: list[tuple[Any, ...]] = []
    text = ""
    for piece in pieces:
        for event in stream.feed(piece):
            match event.kind:
                case "text":
                    text += event.text
                case "end":
                    out.append(("string", event.path, text))
                    text = ""
                case "word":
                    out.append(("word", event.path, event.text))
                case "close":
                    out.append(("close", event.path))
    assert text == ""
    return out


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


@given(OBJECTS, st.lists(st.integers(0, 400)), st.booleans(), st.sampled_from([None, 0, 2]))
def test_tells_what_json_reads(
    value: dict[str, Any], cuts: list[int], escaped: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)
    stream = JsonStream()
    assert read(stream, pieces_of(text, cuts)) == leaves(value)
    assert stream.complete


@given(OBJECTS, st.data())
def test_a_beginning_is_not_complete(value: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(value)
    length = data.draw(st.integers(0, len(text) - 1))
    stream = JsonStream()
    stream.feed(text[:length])
    assert not stream.complete


@given(st.text(alphabet='{}[]":,\\u0123dD8ea -.tnr\n'))
@example('{"a":"\\ud83d\\ude00\\ud83dx\\ude00"}')
@example('{"a":01}')
@example('{"a":1,}')
@example('{"a":[1,]}')
@example('{"a":[}')
@example('{"a":[1}]')
def test_takes_exactly_what_json_takes(text: str) -> None:
    text = "{" + text
    end = None
    with contextlib.suppress(json.JSONDecodeError):
        _, end = json.JSONDecoder(strict=False).raw_decode(text)
    stream = JsonStream()
    try:
        stream.feed(text)
    except ValueError:
        assert end is None
    else:
        assert stream.complete == (end is not None)


def test_surrogate_pairs_are_joined_and_lone_halves_replaced() -> None:
    stream = JsonStream()
    told = read(stream, list('{"a":"\\ud83d\\ude00 \\ud83d \\ude00 \\ud83d"}'))
    assert told == [("string", ("a",), "😀 \ufffd \ufffd \ufffd"), ("close", ())]


def test_text_around_the_object_is_passed_over() -> None:
    stream = JsonStream()
    told = read(stream, ["Sure!\n```js", 'on\n{"a": 1}\n', "``` }]"])
    assert told == [("word", ("a",), "1"), ("close", ())]


@pytest.mark.parametrize(
    ("text", "where"),
    [('{"a" 1}', "beginning|a"), ('{"a":{"b":tru}}', "a.b"), ('{"a":[1 2]}', "a.0")],
)
def test_an_error_says_where(text: str, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        JsonStream().feed(text)
