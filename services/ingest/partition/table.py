"""CSV to elements: one table, its first row the header."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from unstructured.documents.elements import Element, ElementMetadata, NarrativeText, Table

from services.ingest import tables
from services.ingest.partition import encoding
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected

_SEPARATORS = ";\t,|"
_SAMPLE = 20


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a table of separated values; the separator is found by itself.

    Raises:
        Rejected: it is no text, or a field of it is longer than any has.
    """
    text = encoding.decode(path.read_bytes())
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=separator(text), strict=False))
    except csv.Error as error:
        raise Rejected("read table", f"it is no table of separated values: {error}") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    width = max((len(row) for row in rows), default=0)
    elements: list[Element]
    if width < 2 or len(rows) < 2:
        elements = [NarrativeText(text=text.strip())]
    else:
        table = tables.Table(
            _padded(rows[0], width), [tables.Row(_padded(row, width)) for row in rows[1:]]
        )
        words = "\n".join(tables.row_text(table.header, row.cells) for row in table.rows)
        metadata = ElementMetadata(text_as_html=tables.to_html(table))
        elements = [Table(text=words, metadata=metadata)]
    progress(1, 1)
    return Document(elements)


def separator(text: str) -> str:
    """Return what separates the cells: what the first lines have most often, and equally often."""
    lines = [line for line in text.splitlines() if line.strip()][:_SAMPLE]

    def merit(mark: str) -> tuple[int, int]:
        counts = [len(row) - 1 for row in csv.reader(lines, delimiter=mark, strict=False)]
        usual = max(set(counts), key=counts.count) if counts else 0
        return (counts.count(usual) if usual else 0, usual)

    return max(_SEPARATORS, key=merit)


def _padded(row: list[str], width: int) -> list[str]:
    return [cell.strip() for cell in row] + [""] * (width - len(row))
