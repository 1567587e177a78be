"""What is wrong with a YAML file and where, in words for the person who wrote it.

Pure: from a text or what was read of it to a sentence; knows no file and no configuration.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import yaml
from msgspec import inspect

Step = str | int
"""A key of a map or an index of a list: several lead to a place in the file."""

_SECRET = {"password", "api_key"}
_LONG = 80  # characters of a value that a message repeats


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader; a value it cannot make sense of is an error with a place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node.

        Raises:
            yaml.YAMLError: the value is not what it looks like, such as the date `2026-13-45`.
        """
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r} is no value of its kind", node.start_mark
            ) from error


def place(name: str, line: int | None, steps: Sequence[Step]) -> str:
    """Return `config.yaml, line 3: broker.url`."""
    key = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")
    return f"{name}{f', line {line}' if line else ''}: {key or 'the file'}"


def not_yaml(error: yaml.YAMLError, text: str, name: str) -> str:
    """Return where and why a text is not YAML."""
    line, why = 1, str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        why = error.problem or error.context or why
    elif isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        why = f"found the control character {chr(error.character)!r}"
    if "'\\t'" in why:
        why += "; indent with spaces, not tabs"
    return f"{name}, line {line}: not YAML: {why}"


def duplicate(root: yaml.Node | None) -> tuple[list[Step], int, int] | None:
    """Return a key that stands twice in one map, and both lines from 1; None where none does.

    PyYAML keeps the last one without a word, so that an edit further up has no effect.
    """
    return next(_duplicates(root, [], set()), None) if root else None


def _duplicates(
    node: yaml.Node, steps: list[Step], seen: set[int]
) -> Iterator[tuple[list[Step], int, int]]:
    if id(node) in seen:  # an alias: the anchor has been looked at, or contains this place
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, [*steps, index], seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            where = [*steps, str(key.value)]
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in lines:
                    yield where, line, lines[key.value]
                lines[key.value] = line
            yield from _duplicates(value, where, seen)


def line_of(node: yaml.Node | None, steps: Sequence[Step]) -> int | None:
    """Return the line, from 1, of the last step that is in the file."""
    line = None if node is None else node.start_mark.line + 1
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            # The last one: what `<<` merges in comes first, and what stands here overrides it.
            pairs = [(k, v) for k, v in node.value if k.value == str(step)]
            pair = pairs[-1] if pairs else None
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def wrong_shape(message: str, data: Any, kind: type[msgspec.Struct]) -> tuple[list[Step], str]:
    """Turn msgspec's message into the place, and what was found and what is allowed there.

    Args:
        message: text of the `msgspec.ValidationError`.
        data: what was read from the file.
        kind: the struct it should have been.
    """
    what, _, path = message.partition(" - at `")
    if path.startswith("key` in `"):
        return _wrong_key(_steps(path.removeprefix("key` in `")), data)
    steps = _steps(path)
    if unknown := re.match(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        keys = allowed_keys(_type(kind, steps))
        near = difflib.get_close_matches(unknown[1], keys, n=1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        return [*steps, unknown[1]], f"found an unknown key; {hint}allowed: {', '.join(keys)}"
    if missing := re.match(r"Object missing required field `(.*)`", what, re.DOTALL):
        steps.append(missing[1])
        return steps, f"found nothing; must be given: {described(_type(kind, steps))}"
    if "..." in steps:
        steps = _into_map(steps, message, data, kind)
    found, wanted = _value(data, steps), _type(kind, steps)
    text = f"found {shown(found, steps)}; allowed: {described(wanted)}"
    if isinstance(wanted, inspect.StrType) and not isinstance(found, str | list | dict | None):
        text += ', in quotes where it looks like something else: "1", "no"'
    if found is None and isinstance(wanted, inspect.StructType | inspect.CollectionType):
        text += "; give what belongs under the key, or remove it"
    return steps, text


def _wrong_key(steps: list[Step], data: Any) -> tuple[list[Step], str]:
    """Explain a key that YAML does not read as text, such as `1:` or `on:`."""
    found = next(key for key in _value(data, steps) if not isinstance(key, str))
    return steps, f'found the key {shown(found)}; allowed: text, in quotes: "1", "on"'


def _steps(path: str) -> list[Step]:
    """Return the steps of msgspec's path; `...` stands for some key of a map."""
    found = re.findall(r"\.([\w-]+)|\[(\d+)\]|\[(\.\.\.)\]", path.rstrip("`"))
    return [int(index) if index else key or some for key, index, some in found]


def _into_map(steps: list[Step], message: str, data: Any, kind: type[msgspec.Struct]) -> list[Step]:
    """Put the key in the place of `...`: msgspec does not tell which value of a map is wrong."""
    at = steps.index("...")
    for key, value in _value(data, steps[:at]).items():
        try:
            msgspec.convert(_replaced(data, steps[:at], {key: value}), kind)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return [*steps[:at], key, *steps[at + 1 :]]
    return steps[:at]


def _replaced(data: Any, steps: Sequence[Step], value: Any) -> Any:
    """Return a copy with another value at a place."""
    if not steps:
        return value
    copy = data.copy()
    copy[steps[0]] = _replaced(data[steps[0]], steps[1:], value)
    return copy


def _value(data: Any, steps: Sequence[Step]) -> Any:
    for step in steps:
        data = data[step]
    return data


def _type(kind: Any, steps: Sequence[Step]) -> inspect.Type:
    """Return msgspec's description of the type at a place."""
    found: inspect.Type = inspect.type_info(kind)
    for step in steps:
        if isinstance(found, inspect.StructType):
            found = next(field.type for field in found.fields if field.name == step)
        elif isinstance(found, inspect.CollectionType):
            found = found.item_type
        elif isinstance(found, inspect.DictType):
            found = found.value_type
    return found


def allowed_keys(kind: inspect.Type) -> list[str]:
    """Return the keys of a section; none for anything else."""
    return [field.name for field in kind.fields] if isinstance(kind, inspect.StructType) else []


def shown(value: Any, steps: Sequence[Step] = ()) -> str:
    """Return what was found as the writer of the file knows it; no secrets."""
    if steps and steps[-1] in _SECRET:
        return "something that is not shown here"
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def described(kind: inspect.Type) -> str:  # noqa: PLR0911  one a kind
    """Return what a type allows, in words."""
    match kind:
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            noun = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            bounds = [(kind.ge, "at least"), (kind.gt, "above"), (kind.le, "at most")]
            return ", ".join([noun, *(f"{w} {b:g}" for b, w in bounds if b is not None)])
        case inspect.LiteralType():
            return ", ".join(str(value) for value in kind.values)
        case inspect.UnionType():
            return " or ".join(described(member) for member in kind.types)
        case inspect.NoneType():
            return "null"
        case inspect.StructType():
            return f"a section with the keys {', '.join(allowed_keys(kind))}"
        case inspect.CollectionType():
            return f"a list, each item {described(kind.item_type)}"
        case inspect.DictType():
            return f"a section of your own keys, each value {described(kind.value_type)}"
    return "text, not empty" if isinstance(kind, inspect.StrType) and kind.min_length else "text"
