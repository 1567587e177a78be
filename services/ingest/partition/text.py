"""Plain text to elements."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from unstructured.documents.elements import (
    Element,
    ElementMetadata,
    ListItem,
    NarrativeText,
    Table,
    Title,
)

from services.ingest import tables
from services.ingest.partition import encoding, rst
from services.ingest.partition.document import Document

_UNDERLINE = re.compile(r"^([=\-~^\"'*+#_])\1{2,}\s*$")
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+\S.{0,90}$")
_BULLET = re.compile(r"^\s*(?:[-*•+]|\d{1,2}[.)])\s+")


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read plain text or reStructuredText: underlined and numbered lines are headings.

    Raises:
        Rejected: it is no text.
    """
    found = elements(encoding.decode(path.read_bytes()))
    progress(1, 1)
    return Document(found)


def elements(content: str) -> list[Element]:
    """Return the elements of a text."""
    content, drawn = rst.rendered(content.replace("\r\n", "\n"))
    lines = content.split("\n")
    found: list[Element] = []
    block: list[str] = []
    styles: list[str] = []

    def close() -> None:
        if block:
            text = "\n".join(block)
            item = _BULLET.match(text)
            found.append(ListItem(text=text.strip()) if item else NarrativeText(text=text))
            block.clear()

    index = 0
    while index < len(lines):
        line = lines[index].rstrip()
        if line in drawn:
            close()
            found.append(_table(drawn[line]))
            index += 1
            continue
        below = lines[index + 1].rstrip() if index + 1 < len(lines) else ""
        underline = _UNDERLINE.match(below)
        if line and underline and not _UNDERLINE.match(line) and len(below) >= len(line) * 0.6:
            close()
            style = underline[1]
            if style not in styles:
                styles.append(style)
            found.append(_title(line.strip(), styles.index(style)))
            index += 2
            continue
        if _UNDERLINE.match(line) or not line.strip():
            close()
        elif not block and _is_numbered(line, lines, index):
            found.append(_title(line.strip(), line.split()[0].rstrip(".").count(".")))
        else:
            if _BULLET.match(line):
                close()
            block.append(line)
        index += 1
    close()
    return found


def _is_numbered(line: str, lines: list[str], index: int) -> bool:
    """Return whether a numbered line stands alone: between blank lines it heads a section."""
    above = lines[index - 1].strip() if index else ""
    below = lines[index + 1].strip() if index + 1 < len(lines) else ""
    return (
        not above and not below and bool(_NUMBERED.match(line)) and line.strip()[-1] not in ".。;；"
    )


def _table(table: tables.Table) -> Table:
    rows = [tables.row_text(table.header, row.cells) for row in table.rows]
    return Table("\n".join(rows), metadata=ElementMetadata(text_as_html=tables.to_html(table)))


def _title(text: str, depth: int) -> Title:
    return Title(text=text, metadata=ElementMetadata(category_depth=depth))
