"""Sheets of a workbook to elements: every row with its sheet, its header and its number (pure)."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from unstructured.documents.elements import (
    Element,
    ElementMetadata,
    NarrativeText,
    Table,
    Title,
)

from services.ingest import header, tables

MAX_COLUMNS = 256
"""Columns beyond which a sheet is data, not a list."""
_LOOKED_AT = 12
"""Rows of a block among which its header is looked for."""
_TOGETHER = 250
"""Rows that one element holds."""
_LONG = 60
"""Characters up to which a cell may name a column."""
_NUMERIC = re.compile(r"[-+]?[\d.,:/%\s]+")


@dataclass(slots=True)
class Sheet:
    """What a sheet shows."""

    name: str
    rows: list[tuple[int, list[str]]]
    """Number, as the program shows it, and cells of the rows that are not empty."""
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Cells that are one: first row, first column, last row, last column; columns from 0."""
    hidden: bool = False


def elements(sheets: list[Sheet]) -> Iterator[Element]:
    """Yield headings, tables and texts of a workbook."""
    for sheet in sheets:
        if not sheet.rows:
            continue
        name = f"{sheet.name} (hidden)" if sheet.hidden else sheet.name
        yield Title(text=name.strip() or "Sheet", metadata=ElementMetadata(category_depth=0))
        _spread(sheet)
        header: list[str] = []
        for block in _blocks(sheet.rows):
            for part in _beside(block):
                header = yield from _block(part, header)


def _spread(sheet: Sheet) -> None:
    """Write what merged cells show into all the rows they cover, and over the columns of a head."""
    rows = dict(sheet.rows)
    for top, left, bottom, right in sheet.merged:
        if bottom - top > 2000 or right >= MAX_COLUMNS or top not in rows:
            continue
        first = rows[top]
        value = first[left] if left < len(first) else ""
        if not value:
            continue
        for number in range(top, bottom + 1):
            row = rows.get(number)
            if row is None:
                continue
            last = right if bottom == top and len(value) <= _LONG else left
            row.extend([""] * (last + 1 - len(row)))
            for column in range(left, last + 1):
                row[column] = row[column] or value


def _blocks(rows: list[tuple[int, list[str]]]) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield the rows in groups that empty rows separate."""
    block: list[tuple[int, list[str]]] = []
    for number, cells in rows:
        if block and number > block[-1][0] + 1:
            yield block
            block = []
        block.append((number, cells))
    if block:
        yield block


def _beside(block: list[tuple[int, list[str]]]) -> list[list[tuple[int, list[str]]]]:
    """Return the tables of a block that stand side by side, an empty column between them."""
    width = max(len(cells) for _, cells in block)
    used = [False] * width
    for _, cells in block:
        for column, cell in enumerate(cells):
            used[column] = used[column] or bool(cell)
    spans: list[tuple[int, int]] = []
    for column, filled in enumerate(used):
        if filled and (column == 0 or not used[column - 1]):
            spans.append((column, column + 1))
        elif filled:
            spans[-1] = (spans[-1][0], column + 1)
    if len(spans) < 2 or any(end - start < 2 for start, end in spans) or len(block) < 2:
        return [block]
    parts = []
    for start, end in spans:
        part = [(number, cells[start:end]) for number, cells in block]
        parts.append([(number, cells) for number, cells in part if any(cells)])
    return parts


def _block(
    block: list[tuple[int, list[str]]], before: list[str]
) -> Generator[Element, None, list[str]]:
    """Yield what a block holds; return its header: that of the block above where it has none."""
    start = 0
    lines: list[str] = []
    # A single cell over a table is its caption.
    while start < len(block) and sum(map(bool, block[start][1])) == 1:
        lines.append(next(filter(None, block[start][1])))
        start += 1
    rest = block[start:]
    if not rest:
        yield NarrativeText(text="\n".join(lines))
        return before
    if lines and len(lines[0]) <= 2 * _LONG and len(lines) <= 3:
        yield Title(text=" ".join(lines), metadata=ElementMetadata(category_depth=1))
    elif lines:
        yield NarrativeText(text="\n".join(lines))
    width = min(max(len(cells) for _, cells in rest), MAX_COLUMNS)
    rows = [(number, _padded(cells, width)) for number, cells in rest]
    head = _header([cells for _, cells in rows[:_LOOKED_AT]])
    if head is None:
        header = before if len(before) == width else [""] * width
    else:
        for number, cells in rows[:head]:
            yield _table([], [(number, cells)])
        header = rows[head][1]
        rows = rows[head + 1 :]
    for first in range(0, len(rows), _TOGETHER):
        yield _table(header, rows[first : first + _TOGETHER])
    return header


def _header(rows: list[list[str]]) -> int | None:
    """Return which row names the columns, None where none does."""
    for index, cells in enumerate(rows):
        if header.looks_like(cells):
            return index
    width = len(rows[0])
    for index, cells in enumerate(rows[:4]):
        filled = [cell for cell in cells if cell]
        if (
            len(rows) > index + 1
            and len(filled) >= max(2, 0.6 * width)
            and len(set(filled)) == len(filled)
            and max(map(len, filled)) <= _LONG
            and not any(_NUMERIC.fullmatch(cell) for cell in filled)
        ):
            return index
    return None


def _table(header: list[str], rows: list[tuple[int, list[str]]]) -> Table:
    table = tables.Table(header, [tables.Row(cells) for _, cells in rows])
    metadata = ElementMetadata(text_as_html=tables.to_html(table))
    metadata.row_groups = [f"row {number}" for number, _ in rows]
    text = "\n".join(tables.row_text(header, cells) for _, cells in rows)
    return Table(text=text, metadata=metadata)


def _padded(cells: list[str], width: int) -> list[str]:
    return cells[:width] + [""] * (width - len(cells))
