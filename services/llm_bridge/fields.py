"""Fields of JSON objects that others wrote; what is missing or of another kind is empty (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def obj(data: Json, key: str) -> Json:
    """Return the object at the key."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def objects(data: Json, key: str) -> Iterator[Json]:
    """Yield the objects of the list at the key."""
    value = data.get(key)
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def integer(data: Json, key: str) -> int:
    """Return the whole number at the key."""
    value = data.get(key)
    return value if isinstance(value, int) else 0
