"""PDF to elements: text by pdfium, tables by their ruling lines, headings, sections, pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from unstructured.documents.elements import (
    Element,
    ElementMetadata,
    ListItem,
    NarrativeText,
    Table,
    Title,
)

from services.ingest import language, tables
from services.ingest.partition import furniture, headings, layout, paragraphs, ruled
from services.ingest.partition.document import Document
from services.ingest.partition.effort import Effort, needed
from services.ingest.partition.page import Line, Page
from services.ingest.partition.pdfium import Bookmark, Pdf
from services.runtime.errors import Rejected

Progress = Callable[[int, int | None], None]

_NEAR = 6.0
"""Column edges this close are the same column on the next page, points."""


@dataclass(slots=True)
class _PageContent:
    """What one page holds."""

    lines: furniture.PageLines
    tables: list[ruled.RuledTable]
    label: str
    pictures: int
    """Pictures on it."""


@dataclass(slots=True)
class _Sheet:
    """A table, over all the pages it runs."""

    box_page: int
    edges: list[float]
    bottom: float
    """Where it ends on its first page, from the top, points."""
    cells: list[list[ruled.Cell | None]] = field(default_factory=list)
    pages: list[int | None] = field(default_factory=list)


def read(path: Path, progress: Progress, effort: Effort) -> Document:
    """Read a PDF; `effort` limits recognition of the pages that are pictures.

    Raises:
        Rejected: it is encrypted, damaged, empty, or has no text on any page.
        NeedsOcr: its pages are pictures, and nothing here can recognise them.
    """
    return read_pages(Pdf(path, effort), progress, effort)


def read_pages(pdf: Source, progress: Progress, effort: Effort) -> Document:
    """Read pages, wherever they come from, and close their source.

    Raises:
        Rejected: there is no text on any of them.
        NeedsOcr: they are pictures, and nothing here can recognise them.
    """
    try:
        content = []
        for page in pdf.read():
            content.append(_content(page))
            progress(page.number, pdf.pages)
        bookmarks = pdf.bookmarks()
        title = pdf.title
    finally:
        pdf.close()
    if not any(page.lines.lines or page.tables for page in content):
        raise _no_text(content, effort)
    labels = furniture.strip([page.lines for page in content])
    everything = [line for page in content for line in page.lines.lines]
    named, unnamed = headings.by_outline(everything, bookmarks)
    looks = headings.by_looks(everything, named)
    printed = {page.lines.page: labels.get(page.lines.page) or page.label for page in content}
    stream = _with_bookmarks(_stream(content), unnamed)
    depths = {key: level for key, (_, level) in named.items()} | looks
    elements = _elements(stream, depths, everything, printed)
    found = Document(elements, _title(title, everything), len(content), printed)
    found.note = effort.note()
    return found


class Source(Protocol):
    """Where pages come from."""

    pages: int

    @property
    def title(self) -> str:
        """Return the title the file gives itself."""

    def read(self) -> Iterator[Page]:
        """Yield the pages in order."""

    def bookmarks(self) -> list[Bookmark]:
        """Return the outline."""

    def close(self) -> None:
        """Close it."""


def _no_text(content: list[_PageContent], effort: Effort) -> Rejected:
    """Return why there is nothing to read: pictures of pages, or nothing at all."""
    if effort.missed:
        return needed(len(content))
    if effort.read:
        return Rejected(
            "read PDF",
            f"no text on any of its {len(content)} pages: they are pictures, and text recognition "
            "found nothing in them that it could read" + (effort.note() and f"; {effort.note()}"),
            "scan it again, straight and at 200 dots an inch or more",
        )
    return Rejected(
        "read PDF",
        f"no text on any of its {len(content)} pages: they are empty, or the file is damaged",
        "open it in a PDF viewer; if it shows text there, print it to a new PDF and add that",
    )


def _content(page: Page) -> _PageContent:
    found = ruled.find(page)
    used = set().union(*(table.words for table in found)) if found else set()
    rest = [word for word in page.words if id(word) not in used]
    lines = [line for line in layout.lines(rest, page.number) if not furniture.is_leader(line.text)]
    return _PageContent(
        furniture.PageLines(page.number, lines, page.height), found, page.label, page.pictures
    )


def _stream(content: list[_PageContent]) -> list[Line | _Sheet]:
    """Return lines and tables in reading order, tables that run over pages put together."""
    stream: list[Line | _Sheet] = []
    for page in content:
        waiting = sorted(page.tables, key=lambda table: table.box[1])
        for line in page.lines.lines:
            while waiting and waiting[0].box[1] < line.top:
                _place(stream, waiting.pop(0))
            stream.append(line)
        for table in waiting:
            _place(stream, table)
    return stream


def _with_bookmarks(
    stream: list[Line | _Sheet], bookmarks: list[Bookmark]
) -> list[Line | _Sheet | Bookmark]:
    """Return the stream with the bookmarks that no line repeats in their places.

    A chapter's heading may be a picture, or broken into a number and a word.
    """
    result: list[Line | _Sheet | Bookmark] = []
    waiting = sorted(bookmarks, key=lambda mark: (mark.page, mark.top or 0.0))[::-1]
    for item in stream:
        page = item.page if isinstance(item, Line) else item.pages[0] or 1
        while waiting and (waiting[-1].page, waiting[-1].top or 0.0) <= (page, item.bottom):
            result.append(waiting.pop())
        result.append(item)
    return result


def _place(stream: list[Line | _Sheet], table: ruled.RuledTable) -> None:
    last = stream[-1] if stream else None
    if isinstance(last, _Sheet) and _same_columns(last, table):
        _append(last, table)
        last.box_page = table.page
        return
    sheet = _Sheet(table.page, table.edges, table.box[3])
    _append(sheet, table)
    stream.append(sheet)


def _same_columns(sheet: _Sheet, table: ruled.RuledTable) -> bool:
    """Return whether a table at the top of the next page goes on with the one before."""
    if table.page != sheet.box_page + 1 or len(sheet.edges) != len(table.edges):
        return False
    shift = table.edges[0] - sheet.edges[0]
    return all(abs(b - a - shift) <= _NEAR for a, b in zip(sheet.edges, table.edges, strict=True))


def _append(sheet: _Sheet, table: ruled.RuledTable) -> None:
    """Add a page's rows: a repeated header is dropped, a row that the page break cut is joined."""
    rows = table.grid
    head = [cell.text if cell else "" for cell in sheet.cells[0]] if sheet.cells else []
    first = True
    for row in rows:
        texts = [cell.text if cell else "" for cell in row]
        if sheet.cells and first and tables.same_header(head, texts):
            continue
        if sheet.cells and first and any(texts) and not texts[0] and _cut(sheet, row):
            _join(sheet, row)
        elif any(texts) or not sheet.cells:
            if first and sheet.cells and row[0] is not None and not row[0].text:
                row[0].text = _above(sheet)
            sheet.cells.append(row)
            sheet.pages.append(table.page)
            first = False
            continue
        else:
            # An empty row keeps its place: cells of the row above may reach over it.
            sheet.cells.append(row)
            sheet.pages.append(table.page)
            continue
        first = False


def _cut(sheet: _Sheet, row: list[ruled.Cell | None]) -> bool:
    """Return whether a first row without a key is the rest of the row before the break."""
    return row[0] is not None and row[0].rows == 1 and sheet.cells[-1][0] is not None


def _above(sheet: _Sheet) -> str:
    """Return the text of the first column's last cell: it spans the page break."""
    return next((row[0].text for row in reversed(sheet.cells) if row[0] and row[0].text), "")


def _join(sheet: _Sheet, row: list[ruled.Cell | None]) -> None:
    for above, cell in zip(sheet.cells[-1], row, strict=True):
        if above and cell and cell.text:
            above.text = f"{above.text}\n{cell.text}" if above.text else cell.text


def _elements(
    stream: list[Line | _Sheet | Bookmark],
    depths: dict[int, int],
    lines: list[Line],
    printed: dict[int, str],
) -> list[Element]:
    hyphens = paragraphs.Hyphens(lines)
    rights = paragraphs.right_edges(lines)
    elements: list[Element] = []
    text = ""
    first: Line | None = None
    last: Line | None = None

    def close() -> None:
        nonlocal first, last, text
        if first is not None and text:
            kind = ListItem if paragraphs.is_item(text) else NarrativeText
            elements.append(kind(text=text, metadata=_metadata(first.page, printed)))
        first = last = None
        text = ""

    for item in stream:
        if isinstance(item, _Sheet):
            close()
            elements.extend(_table(item, printed))
            continue
        if isinstance(item, Bookmark):
            close()
            elements.append(_heading(item.title, item.page, item.level, printed))
            continue
        depth = depths.get(id(item))
        if depth is not None:
            close()
            elements.append(_heading(item.text, item.page, depth, printed))
        elif last is not None and paragraphs.continues(last, item, rights[last.page]):
            hyphen = last.hyphen or (text[-1:] == "-" and text[-2:-1].isalpha())
            text = hyphens.join(text, item.text) if hyphen else language.join(text, item.text)
            last = item
        else:
            close()
            first = last = item
            text = item.text
    close()
    return elements


def _heading(text: str, page: int, depth: int, printed: dict[int, str]) -> Title:
    metadata = _metadata(page, printed)
    metadata.category_depth = depth
    return Title(text=text, metadata=metadata)


def _table(sheet: _Sheet, printed: dict[int, str]) -> list[Element]:
    cells: list[list[tables.GridCell | None]] = [
        [
            tables.GridCell(cell.text, cell.rows, cell.columns, cell.bold) if cell else None
            for cell in row
        ]
        for row in sheet.cells
    ]
    elements: list[Element] = []
    for table in tables.understand(tables.Grid(cells, sheet.pages)):
        metadata = _metadata(sheet.pages[0] or 1, printed)
        if not table.rows:
            words = " ".join(filter(None, [table.caption, *table.header]))
            if words:
                elements.append(NarrativeText(text=words, metadata=metadata))
            continue
        metadata = _metadata(table.rows[0].page or 1, printed)
        metadata.text_as_html = tables.to_html(table)
        metadata.row_pages = [row.page for row in table.rows]
        metadata.row_groups = [row.group for row in table.rows]
        text = "\n".join(tables.row_text(table.header, row.cells) for row in table.rows)
        elements.append(Table(text=text, metadata=metadata))
    return elements


def _metadata(page: int, printed: dict[int, str]) -> ElementMetadata:
    metadata = ElementMetadata(page_number=page)
    if printed.get(page):
        metadata.page_label = printed[page]
    return metadata


def _title(title: str, lines: list[Line]) -> str:
    """Return the file's own title where its first pages bear it out; templates' titles lie."""
    opening = "".join(line.text for line in lines if line.page <= 3).casefold()
    words = [word for word in re.findall(r"\w+", title.casefold()) if len(word) > 1]
    plain = "".join(opening.split())
    good = len(title) >= 4 and words and all(word in plain for word in words)
    return title if good else ""
