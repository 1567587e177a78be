"""CSV to elements: read as a sheet of a workbook is, with captions, header and row numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from unstructured.documents.elements import Element, NarrativeText

from services.ingest.partition import encoding, sheets
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected

_SEPARATORS = ";\t,|"
_SAMPLE = 20
_SAMPLE_LENGTH = 64 * 1024
"""Characters within which the sample lies: fewer than a cell may have."""


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a table of separated values; the separator is found by itself.

    Raises:
        Rejected: it is no text, or a field of it is longer than any has.
    """
    text = encoding.decode(path.read_bytes())
    try:
        records = list(_records(text, separator(text)))
    except csv.Error as error:
        raise Rejected("read table", f"it is no table of separated values: {error}") from error
    rows = [
        (number, [cell.strip().replace("\r\n", "\n") for cell in record])
        for number, record in enumerate(records, start=1)
        if any(cell.strip() for cell in record)
    ]
    found: list[Element]
    if len(rows) < 2 or max(len(cells) for _, cells in rows) < 2:
        found = [NarrativeText(text=text.strip())]
    else:
        # The first is the sheet's name, which a file of one table does not have.
        found = list(sheets.elements([sheets.Sheet("", rows)]))[1:]
    progress(1, 1)
    return Document(found)


def separator(text: str) -> str:
    """Return what separates the cells: what the first rows have most often, and equally often."""
    sample = text[:_SAMPLE_LENGTH]

    def merit(mark: str) -> tuple[int, int]:
        records = islice(filter(None, _records(sample, mark)), _SAMPLE)
        counts = [len(record) - 1 for record in records]
        usual = max(set(counts), key=counts.count) if counts else 0
        return (counts.count(usual) if usual else 0, usual)

    return max(_SEPARATORS, key=merit)


def _records(text: str, mark: str) -> Iterator[list[str]]:
    """Yield the records; a quoted cell may have several lines."""
    return csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=False)
