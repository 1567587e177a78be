"""JSON Schema of the messages, each field with the words that stand under it in the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from schemas import docs

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def structs(types: Iterable[Any]) -> list[type[msgspec.Struct]]:
    """Return the structs in these types and in their fields, each once, in order of mention."""
    found: dict[type[msgspec.Struct], None] = {}
    for kind in inspect.multi_type_info(list(types)):
        _collect(kind, found)
    return list(found)


def _collect(kind: inspect.Type, found: dict[type[msgspec.Struct], None]) -> None:
    if isinstance(kind, inspect.StructType):
        if kind.cls in found:
            return
        found[kind.cls] = None
        nested: Iterable[inspect.Type] = [field.type for field in kind.fields]
    elif isinstance(kind, inspect.UnionType):
        nested = kind.types
    elif isinstance(kind, inspect.DictType):
        nested = [kind.key_type, kind.value_type]
    elif isinstance(kind, inspect.TupleType):
        nested = kind.item_types
    elif isinstance(kind, inspect.CollectionType):
        nested = [kind.item_type]
    else:
        nested = []
    for inner in nested:
        _collect(inner, found)


def components(types: Iterable[Any], ref: str) -> dict[str, dict[str, Any]]:
    """Return the schema of every struct in these types by its name.

    Args:
        types: structs, or types made of them.
        ref: how one schema refers to another, `#/$defs/{name}`.

    Raises:
        ValueError: two structs have the same name; on the wire a name means one thing.
    """
    kinds = structs(types)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=ref)
    by_name = {kind.__name__: kind for kind in kinds}
    if len(by_name) != len(kinds) or set(by_name) != set(schemas):
        raise ValueError(f"two structs share a name: {sorted(schemas)}")
    return {name: _described(schemas[name], by_name[name]) for name in sorted(by_name)}


def standalone(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema of a struct with all it refers to, as a document of its own."""
    parts = components([kind], "#/$defs/{name}")
    own = parts.pop(kind.__name__)
    return {"$schema": DIALECT, **own, **({"$defs": parts} if parts else {})}


def _described(schema: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a struct's schema with the words of its fields."""
    words = docs.of_fields(kind)
    fields = msgspec.structs.fields(kind)
    if schema["type"] == "array":
        items = [
            {"title": field.encode_name, **_with(item, words.get(field.name))}
            for field, item in zip(fields, schema["prefixItems"], strict=True)
        ]
        return {**schema, "prefixItems": items}
    names = {field.encode_name: field.name for field in fields}
    properties = {
        key: _with(value, words.get(names.get(key, "")))
        for key, value in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _with(schema: dict[str, Any], words: str | None) -> dict[str, Any]:
    """Return a field's schema with its description; a reference moves inside `allOf`.

    Beside a `$ref` older readers of JSON Schema, AsyncAPI's among them, see nothing else.
    """
    plain = {key: value for key, value in schema.items() if key != "discriminator"}
    described = {"description": words, **plain} if words else plain
    if "$ref" in described and len(described) > 1:
        described["allOf"] = [{"$ref": described.pop("$ref")}]
    return described


def references(data: Any) -> Iterator[str]:
    """Yield every `$ref` in a document."""
    if isinstance(data, dict):
        if isinstance(data.get("$ref"), str):
            yield data["$ref"]
        for value in data.values():
            yield from references(value)
    elif isinstance(data, list):
        for value in data:
            yield from references(value)
