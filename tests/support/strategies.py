"""Hypothesis strategies and wrong places, both derived from a type as msgspec describes it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

_INT64 = st.integers(-(2**63), 2**63 - 1)  # MessagePack has no more


def structs_of(package: ModuleType) -> list[type[msgspec.Struct]]:
    """Return every struct defined in a package, in the order of its modules."""
    found: dict[type[msgspec.Struct], None] = {}
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == info.name
            if own and issubclass(value, msgspec.Struct):
                found[value] = None
    return list(found)


def instances(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for valid values of a type."""
    return _strategy(inspect.type_info(kind))


def _strategy(kind: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: C901, PLR0911, PLR0912  one a kind
    match kind:
        case inspect.Metadata():
            return _strategy(kind.type)
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            if kind.ge is None and kind.le is None:
                return _INT64
            return st.integers(kind.ge, kind.le)
        case inspect.FloatType():
            return st.floats(kind.ge, kind.le, allow_nan=False, allow_infinity=False)
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern)
        case inspect.StrType():
            # One half of a surrogate pair has no UTF-8.
            characters = st.characters(exclude_categories=["Cs"])
            return st.text(characters, min_size=kind.min_length or 0, max_size=kind.max_length)
        case inspect.BytesType():
            return st.binary()
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.UnionType():
            return st.one_of([_strategy(member) for member in kind.types])
        case inspect.ListType():
            return st.lists(_strategy(kind.item_type), max_size=3)
        case inspect.VarTupleType():
            return st.lists(_strategy(kind.item_type), max_size=3).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_strategy(kind.key_type), _strategy(kind.value_type), max_size=3)
        case inspect.StructType():
            fields = {field.name: _strategy(field.type) for field in kind.fields}
            return st.builds(kind.cls, **fields)
    raise TypeError(f"no values are known for {kind}")


def full(kind: inspect.Type) -> Any:  # noqa: C901, PLR0911, PLR0912  one a kind
    """Return plain data that is valid, with one item in every list and map."""
    match kind:
        case inspect.Metadata():
            return full(kind.type)
        case inspect.NoneType():
            return None
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return kind.ge or 1
        case inspect.FloatType():
            return 0.5
        case inspect.StrType():
            return "x" * (kind.min_length or 1)
        case inspect.BytesType():
            return b"x"
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.UnionType():
            return full(next(t for t in kind.types if not isinstance(t, inspect.NoneType)))
        case inspect.CollectionType():
            return [full(kind.item_type)]
        case inspect.DictType():
            return {full(kind.key_type): full(kind.value_type)}
        case inspect.StructType():
            values = {field.encode_name: full(field.type) for field in kind.fields}
            if kind.array_like:
                return list(values.values())
            return values if kind.tag is None else {str(kind.tag_field): kind.tag, **values}
    raise TypeError(f"no example is known for {kind}")


Place = tuple[tuple[str | int, ...], str, Any]
"""Steps to a value, the same as msgspec writes it, and a value of a type that is wrong there."""


def wrong_places(
    kind: inspect.Type, steps: tuple[str | int, ...] = (), path: str = "$"
) -> Iterator[Place]:
    """Yield each place in `full(kind)`, down to the innermost."""
    if steps:
        yield steps, path, _misfit(kind)
    match kind:
        case inspect.Metadata():
            yield from wrong_places(kind.type, steps, path)
        case inspect.UnionType():
            inner = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
            yield from (place for place in wrong_places(inner, steps, path) if place[0] != steps)
        case inspect.CollectionType():
            yield from wrong_places(kind.item_type, (*steps, 0), f"{path}[0]")
        case inspect.DictType():
            key = full(kind.key_type)
            yield from wrong_places(kind.value_type, (*steps, key), f"{path}[...]")
        case inspect.StructType():
            for number, field in enumerate(kind.fields):
                step: str | int = number if kind.array_like else field.encode_name
                name = f"[{number}]" if kind.array_like else f".{field.encode_name}"
                yield from wrong_places(field.type, (*steps, step), path + name)


def _misfit(kind: inspect.Type) -> Any:
    """Return a value whose type is wrong."""
    taken = {
        type(member) for member in (kind.types if isinstance(kind, inspect.UnionType) else [kind])
    }
    if not taken & {inspect.IntType, inspect.FloatType, inspect.BoolType}:
        return 7
    if not taken & {inspect.StrType, inspect.LiteralType}:
        return "seven"
    return {"seven": [7]}


def replaced(data: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy of plain data with another value at a place."""
    if not steps:
        return value
    copy = data.copy()
    copy[steps[0]] = replaced(data[steps[0]], steps[1:], value)
    return copy
