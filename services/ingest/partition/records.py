"""JSON to elements: a list of alike objects is a table, one row an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unstructured.documents.elements import (
    Element,
    ElementMetadata,
    NarrativeText,
    Table,
    Title,
)

from services.ingest import tables
from services.ingest.partition import encoding
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected

MAX_COLUMNS = 60
"""Keys of a list's objects beyond which they are not alike."""
_DEPTH = 8


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a JSON file.

    Raises:
        Rejected: it is no JSON.
    """
    try:
        data = json.loads(encoding.decode(path.read_bytes()))
    except ValueError as error:
        raise Rejected("read JSON", f"the file is no JSON: {error}") from error
    progress(1, 1)
    return Document(list(_elements(data, "", 0)))


def _elements(data: Any, name: str, depth: int) -> Iterator[Element]:
    """Yield headings for keys, tables for lists of objects, lines for the rest."""
    if name:
        yield Title(text=name, metadata=ElementMetadata(category_depth=depth))
    if isinstance(data, list) and data and all(isinstance(item, dict) for item in data):
        yield from _table(data)
        return
    lines: list[str] = []
    below: list[tuple[str, Any]] = []
    items = data.items() if isinstance(data, dict) else enumerate(_listed(data), start=1)
    for key, value in items:
        if depth < _DEPTH and isinstance(value, dict | list) and not _plain(value):
            below.append((str(key), value))
        else:
            label = f"{key}: " if isinstance(data, dict) else ""
            lines.append(f"{label}{_text(value)}")
    if lines:
        yield NarrativeText(text="\n".join(lines))
    for key, value in below:
        yield from _elements(value, key, depth + 1 if name else depth)


def _table(data: list[dict[str, Any]]) -> Iterator[Element]:
    flat = [dict(_flat(item)) for item in data]
    header = list(dict.fromkeys(key for item in flat for key in item))
    if len(header) > MAX_COLUMNS or len(header) < 2:
        lines = [" | ".join(f"{key}: {value}" for key, value in item.items()) for item in flat]
        yield NarrativeText(text="\n".join(lines))
        return
    rows = [tables.Row([item.get(key, "") for key in header]) for item in flat]
    text = "\n".join(tables.row_text(header, row.cells) for row in rows)
    metadata = ElementMetadata(text_as_html=tables.to_html(tables.Table(header, rows)))
    yield Table(text=text, metadata=metadata)


def _flat(item: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in item.items():
        name = f"{prefix} {key}".strip()
        if isinstance(value, dict) and value:
            yield from _flat(value, name)
        else:
            yield name, _text(value)


def _plain(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)


def _listed(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and _plain(value):
        return "\n".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
