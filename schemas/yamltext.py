"""YAML out of plain data, enough for our documents and readable by every YAML parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_$][\w$/.-]*(?: [\w$/.-]+)*", re.ASCII)
# What YAML 1.1 takes for something other than text, any case.
_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


def dump(data: Any) -> str:
    """Return data made of dict, list, str, int, finite float, bool and None as YAML.

    Raises:
        TypeError: something else is in it.
        ValueError: a number is not finite.
    """
    return "".join(f"{line}\n" for line in _lines(data))


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _entry(f"{_scalar(key)}:", value, inline="")
    elif isinstance(data, list) and data:
        for value in data:
            yield from _entry("-", value, inline="  ")
    else:
        yield _scalar(data)


def _entry(head: str, value: Any, inline: str) -> Iterator[str]:
    """Yield `head value`; what is nested goes below, or beside the dash of a list."""
    if not isinstance(value, dict | list) or not value:
        yield f"{head} {_scalar(value)}"
    elif inline:
        for number, line in enumerate(_lines(value)):
            yield f"{inline}{line}" if number else f"{head} {line}"
    else:
        yield head
        yield from (f"  {line}" for line in _lines(value))


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else _quoted(value)
    if isinstance(value, float):
        # YAML 1.1 wants a dot in a number with an exponent.
        return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value, allow_nan=False))
    if value is None or isinstance(value, bool | int | dict | list):
        return json.dumps(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
