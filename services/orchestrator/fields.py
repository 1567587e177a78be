"""Where in a message things are, and templates made of them (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.runtime.errors import Rejected

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""Control characters, but for tab and line feed."""
MAX_TEXT = 4000
"""Characters of a text that are kept."""

_HOLE = re.compile(r"\{([^{}]*)\}")
_MAX_CODE = 64


def at(fields: Any, path: str) -> Any:
    """Return the value at a dotted path, None where there is none; digits index arrays."""
    if isinstance(fields, Mapping) and (path in fields or "." not in path):
        return fields.get(path)
    for step in path.split("."):
        if isinstance(fields, Mapping):
            fields = fields.get(step)
        elif isinstance(fields, Sequence) and not isinstance(fields, str) and step.isdecimal():
            fields = fields[int(step)] if int(step) < len(fields) else None
        else:
            return None
    return fields


def first(fields: Mapping[str, Any], paths: Sequence[str]) -> Any:
    """Return the first value that says something; true and false are not codes or words."""
    found = (at(fields, path) for path in paths)
    return next(
        (
            v
            for v in found
            if isinstance(v, str | int | float) and not isinstance(v, bool) and v != ""
        ),
        None,
    )


def code_of(value: Any) -> str:
    """Return a value as a code, whatever its length; empty for None."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return CONTROL.sub("", str(value)).strip()


def checked(code: str) -> str:
    """Return a code that is not too long.

    Raises:
        Rejected: it is.
    """
    if len(code) > _MAX_CODE:
        raise Rejected("read fault", f"the code has {len(code)} characters, at most {_MAX_CODE}")
    return code


def text_of(value: Any) -> str:
    """Return a value as text, cut where it is too long; empty for None."""
    return "" if value is None else CONTROL.sub(" ", str(value)).strip()[:MAX_TEXT]


def holes(template: str) -> list[str]:
    """Return what stands in the braces of a template."""
    return [hole.strip() for hole in _HOLE.findall(template)]


def fill(template: str, topic: str, fields: Mapping[str, Any]) -> str:
    """Put topic levels (`{1}` is the first) and values of the payload into a template."""
    levels = topic.split("/")

    def value(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name.isdecimal() and name not in fields:
            return levels[int(name) - 1] if 0 < int(name) <= len(levels) else ""
        found = at(fields, name)
        return "" if found is None else CONTROL.sub(" ", str(found))[:MAX_TEXT]

    return _HOLE.sub(value, template)
