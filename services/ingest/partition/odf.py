"""OpenDocument texts, sheets and slides to elements.

unstructured's partitioner for the texts runs them through pandoc, a program of 155 MB, and there
is none for the others.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unstructured.documents.elements import (
    Element,
    ElementMetadata,
    ListItem,
    NarrativeText,
    Table,
    Title,
)

from services.ingest import tables
from services.ingest.partition import archive, markup, sheets
from services.ingest.partition.document import Document
from services.ingest.partition.sheets import Sheet
from services.runtime.errors import Rejected

Progress = Callable[[int, int | None], None]

_LEFT_OUT = {"note", "annotation", "tracked-changes", "forms", "sequence-decls", "script"}
_SPACES = 100
_REPEATED = 200
"""Repetitions of a cell or row that are believed; more is how programs fill up a sheet."""
_MAX_CELLS = 5_000_000
_DEPTH = 40
"""Frames, lists and sections within each other that are looked into."""


def read(path: Path, progress: Progress) -> Document:
    """Read a text, a spreadsheet or a presentation.

    Raises:
        Rejected: it is damaged, encrypted, or unpacks to more than any manual has.
    """
    archive.check(path, "OpenDocument file")
    try:
        with zipfile.ZipFile(path) as parts:
            body, meta = _parsed(parts)
    except (MemoryError, RecursionError, Rejected):
        raise
    except Exception as error:
        raise Rejected(
            "read OpenDocument file",
            f"the document is damaged ({type(error).__name__})",
            "open it in the program it comes from, save it anew and add that",
        ) from error
    title = next((t.strip() for t in markup.texts(meta, "title")), "") if meta is not None else ""
    for kind in ("spreadsheet", "presentation"):
        office = next(markup.walk(body, kind), None)
        if office is not None:
            found, pages = _sheets(office) if kind == "spreadsheet" else _slides(office)
            progress(pages or 1, pages or 1)
            return Document(found, title, pages)
    office = next(markup.walk(body, "text"), body)
    progress(1, 1)
    return Document(list(_flow(office, None, 0)), title)


def _parsed(parts: zipfile.ZipFile) -> tuple[Any, Any]:
    """Return the content and the description of the document; the latter may be missing."""
    manifest = "META-INF/manifest.xml"
    if manifest in parts.NameToInfo and b"encryption-data" in parts.read(manifest):
        raise Rejected(
            "read OpenDocument file",
            "the document is encrypted and needs a password",
            "save a copy without a password and add that",
        )
    body = markup.parse(parts.read("content.xml"))
    return body, markup.parse(parts.read("meta.xml")) if "meta.xml" in parts.NameToInfo else None


def _sheets(office: Any) -> tuple[list[Element], int | None]:
    left = _MAX_CELLS
    found = []
    for table in office:
        if markup.name(table) != "table":
            continue
        sheet = Sheet(markup.attribute(table, "name"), [])
        number = 0
        for row in markup.walk(table, "table-row"):
            repeated = _count(row, "number-rows-repeated")
            cells, spans = _row(row, number + 1)
            left -= sum(map(bool, cells)) * min(repeated, _REPEATED)
            if left < 0:
                raise Rejected("read OpenDocument file", f"it has more than {_MAX_CELLS} cells")
            if cells:
                sheet.merged += spans
                for copy in range(min(repeated, _REPEATED)):
                    sheet.rows.append((number + 1 + copy, list(cells)))
            number += repeated
        found.append(sheet)
    return list(sheets.elements(found)), None


def _row(row: Any, number: int) -> tuple[list[str], list[tuple[int, int, int, int]]]:
    """Return the cells of a row without empty ones at its end, and those that span others."""
    cells: list[str] = []
    spans = []
    for cell in row:
        if markup.name(cell) not in ("table-cell", "covered-table-cell"):
            continue
        text = "\n".join(filter(None, (_text(p) for p in markup.walk(cell, "p"))))
        repeated = _count(cell, "number-columns-repeated")
        rows, columns = _count(cell, "number-rows-spanned"), _count(cell, "number-columns-spanned")
        if text and (rows > 1 or columns > 1):
            first = len(cells)
            spans.append((number, first, number + rows - 1, first + columns - 1))
        cells += [text] * min(repeated, sheets.MAX_COLUMNS + 1 - min(len(cells), 256))
    while cells and not cells[-1]:
        cells.pop()
    return cells, spans


def _slides(office: Any) -> tuple[list[Element], int]:
    found: list[Element] = []
    pages = [page for page in office if markup.name(page) == "page"]
    for number, page in enumerate(pages, start=1):
        for frame in page:
            kind = markup.attribute(frame, "class")
            if kind == "title":
                text = " ".join(filter(None, (_text(p) for p in markup.walk(frame, "p"))))
                if text:
                    found.append(Title(text=text, metadata=_place(number, 0)))
            else:
                found += _flow(frame, number, 0)
    return found, len(pages)


def _flow(parent: Any, page: int | None, depth: int) -> Iterator[Element]:
    """Yield headings, paragraphs, list items and tables in their order."""
    for element in parent:
        match markup.name(element):
            case "h":
                level = _count(element, "outline-level") - 1
                if text := _text(element):
                    yield Title(text=text, metadata=_place(page, min(level, 9)))
            case "p":
                yield from _paragraph(element, page, depth)
            case "list-item":
                yield from _item(element, page, depth)
            case "table":
                yield from _table(element, page)
            case name if name and name not in _LEFT_OUT and depth < _DEPTH:
                yield from _flow(element, page, depth + 1)


def _item(item: Any, page: int | None, depth: int) -> Iterator[Element]:
    """Yield an item, and those of the lists within it."""
    lines = [_text(part) for part in item if markup.name(part) in ("p", "h")]
    if text := "\n".join(filter(None, lines)):
        yield ListItem(text=text, metadata=_place(page))
    for part in item:
        if markup.name(part) == "list" and depth < _DEPTH:
            yield from _flow(part, page, depth + 1)


def _paragraph(paragraph: Any, page: int | None, depth: int) -> Iterator[Element]:
    """Yield a paragraph, and what stands in frames anchored in it."""
    if text := _text(paragraph):
        yield NarrativeText(text=text, metadata=_place(page))
    for box in markup.walk(paragraph, "text-box"):
        if depth < _DEPTH:
            yield from _flow(box, page, depth + 1)


def _table(table: Any, page: int | None) -> Iterator[Element]:
    rows: list[list[tables.GridCell | None]] = []
    heads = 0
    for row in markup.walk(table, "table-row"):
        cells: list[tables.GridCell | None] = []
        for cell in row:
            match markup.name(cell):
                case "table-cell":
                    text = "\n".join(filter(None, (_text(p) for p in markup.walk(cell, "p"))))
                    high, wide = (
                        min(_count(cell, f"number-{what}-spanned"), _REPEATED)
                        for what in ("rows", "columns")
                    )
                    cells.append(tables.GridCell(text, high, wide))
                case "covered-table-cell":
                    cells += [None] * min(_count(cell, "number-columns-repeated"), _REPEATED)
        above = row.getparent()
        heads += above is not None and markup.name(above) == "table-header-rows"
        rows.append(cells)
    width = max((len(row) for row in rows), default=0)
    for row in rows:
        row.extend([None] * (width - len(row)))
    for found in tables.understand(tables.Grid(rows, heads=heads or None)) if width else []:
        metadata = _place(page)
        metadata.text_as_html = tables.to_html(found)
        text = "\n".join(tables.row_text(found.header, row.cells) for row in found.rows)
        yield Table(text=text or " ".join(found.header), metadata=metadata)


def _text(element: Any) -> str:
    """Return the text of a paragraph, in which spaces, tabs and line breaks are elements."""
    parts: list[str] = []
    stack: list[tuple[Any, bool]] = [(element, False)]
    while stack:
        node, tail = stack.pop()
        if tail:
            parts.append(node.tail or "")
            continue
        if node is not element:
            stack.append((node, True))
        match markup.name(node):
            case "s":
                parts.append(" " * min(_count(node, "c"), _SPACES))
            case "tab":
                parts.append("\t")
            case "line-break":
                parts.append("\n")
            case name if not name or name in _LEFT_OUT or name == "text-box":
                continue
        parts.append(node.text or "")
        stack.extend((child, False) for child in reversed(node))
    return "".join(parts).strip()


def _count(element: Any, name: str) -> int:
    text = markup.attribute(element, name)
    return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1


def _place(page: int | None, depth: int | None = None) -> ElementMetadata:
    metadata = ElementMetadata(page_number=page)
    metadata.category_depth = depth
    return metadata
