"""PDF to elements: text by pdfium, tables by their ruling lines, headings, sections, pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from services.ingest.partition import (
    aligned,
    contents,
    furniture,
    headings,
    layout,
    listed,
    overleaf,
    paragraphs,
    ruled,
)
from services.ingest.partition.document import Document
from services.ingest.partition.effort import Effort, needed
from services.ingest.partition.overleaf import Sheet
from services.ingest.partition.page import Line, Page
from services.ingest.partition.pdfium import Bookmark, Pdf
from services.runtime.errors import Rejected

Progress = Callable[[int, int | None], None]

_MARGIN = 4
"""Lines of a page's head or foot, at most."""
_FEW = 5
"""Bookmarks that are no outline yet where the file prints a table of contents."""


@dataclass(slots=True)
class _PageContent:
    """What one page holds."""

    lines: furniture.PageLines
    tables: list[ruled.RuledTable]
    ruling: list[ruled.RuledTable]
    """What its ruling lines make, whether it is a table or not."""
    label: str
    pictures: int
    """Pictures on it."""


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
        content: list[_PageContent] = []
        above: Page | None = None
        for page in pdf.read():
            ruling = ruled.find(page)
            if above and _begins_at_the_foot(content[-1], page, ruling):
                before = content[-2].tables if len(content) > 1 else []
                content[-1] = _content(above, content[-1].ruling, before, foot=True)
            content.append(_content(page, ruling, content[-1].tables if content else []))
            above = page
            progress(page.number, pdf.pages)
        bookmarks = pdf.bookmarks()
        title = pdf.title
    finally:
        pdf.close()
    if not any(page.lines.lines or page.tables for page in content):
        raise _no_text(content, effort)
    labels = furniture.strip([page.lines for page in content])
    entries = contents.take([page.lines for page in content])
    everything = [line for page in content for line in page.lines.lines]
    printed_outline = [] if len(bookmarks) >= _FEW else contents.outline(entries, everything)
    outlined = len(bookmarks) >= len(printed_outline)
    if not outlined:
        bookmarks = printed_outline
    found = headings.find(everything, bookmarks, every=outlined)
    printed = {page.lines.page: labels.get(page.lines.page) or page.label for page in content}
    stream = _with_bookmarks(_stream(content), found.lost)
    elements = _elements(stream, found, everything, printed)
    read = Document(elements, _title(title, everything), len(content), printed)
    read.note = effort.note()
    return read


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
    if effort.over or effort.late:
        return Rejected(
            "read PDF",
            f"no text on any of its {len(content)} pages: they are pictures; {effort.note()}",
            "split the document, or raise what is named",
        )
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


def _begins_at_the_foot(above: _PageContent, page: Page, ruling: list[ruled.RuledTable]) -> bool:
    """Return whether the lowest row of a page, no table by itself, heads the next page's first."""
    if not above.ruling or not ruling:
        return False
    last = max(above.ruling, key=lambda table: table.box[1])
    first = min(ruling, key=lambda table: table.box[1])
    if not last.rest or last in above.tables or not overleaf.heads(last, first):
        return False
    below = [line for line in above.lines.lines if line.top > last.box[1]]
    before = layout.rows([word for word in page.words if word.bottom < first.box[1]], page.number)
    return len(below) <= _MARGIN and len(before) <= _MARGIN


def _content(
    page: Page,
    ruling: list[ruled.RuledTable],
    before: list[ruled.RuledTable],
    *,
    foot: bool = False,
) -> _PageContent:
    """Return what a page holds.

    Args:
        page: The page.
        ruling: What its ruling lines make.
        before: The tables of the page before it.
        foot: Whether the lowest row begins a table that is overleaf.
    """
    lowest = max(ruling, key=lambda table: table.box[1], default=None)
    found = [
        table
        for table in ruling
        if not table.rest
        or (foot and table is lowest)
        or any(overleaf.alike(one.edges, table.edges) for one in before[-1:])
    ]
    used = set().union(*(table.words for table in found)) if found else set()
    rest = [word for word in page.words if id(word) not in used]
    lines = layout.rows(rest, page.number)
    for unruled in (listed.find, aligned.find):
        more = unruled(page, lines)
        if more:
            found += more
            used = set().union(*(table.words for table in more))
            lines = layout.rows(
                [w for line in lines for w in line.words if id(w) not in used], page.number
            )
    lines = layout.in_order(lines)
    return _PageContent(
        furniture.PageLines(page.number, lines, page.height),
        found,
        ruling,
        page.label,
        page.pictures,
    )


def _stream(content: list[_PageContent]) -> list[Line | Sheet]:
    """Return lines and tables in reading order, tables that run over pages put together."""
    stream: list[Line | Sheet] = []
    for page in content:
        waiting = sorted(page.tables, key=lambda table: table.box[1])
        for line in page.lines.lines:
            while waiting and waiting[0].box[1] < line.top:
                _place(stream, waiting.pop(0))
            stream.append(line)
        for table in waiting:
            _place(stream, table)
    return stream


def _place(stream: list[Line | Sheet], table: ruled.RuledTable) -> None:
    last: list[Sheet] = []
    for item in reversed(stream):
        if not isinstance(item, Sheet):
            break
        last.append(item)
    sheet = overleaf.continued(last, table)
    if sheet:
        sheet.add(table)
    else:
        stream.append(Sheet.of(table))


def _with_bookmarks(
    stream: list[Line | Sheet], bookmarks: list[Bookmark]
) -> list[Line | Sheet | Bookmark]:
    """Return the stream with the bookmarks that no line repeats in their places.

    A chapter's heading may be a picture, or broken into a number and a word.
    """
    result: list[Line | Sheet | Bookmark] = []
    waiting = sorted(bookmarks, key=lambda mark: (mark.page, mark.top or 0.0))[::-1]
    for item in stream:
        page = item.page if isinstance(item, Line) else item.pages[0] or 1
        while waiting and (waiting[-1].page, waiting[-1].top or 0.0) <= (page, item.bottom):
            result.append(waiting.pop())
        result.append(item)
    return result


def _elements(
    stream: list[Line | Sheet | Bookmark],
    found: headings.Headings,
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
        if isinstance(item, Sheet):
            close()
            elements.extend(_table(item, printed))
            continue
        if isinstance(item, Bookmark):
            close()
            elements.append(_heading(item.title, item.page, item.level, printed))
            continue
        depth = found.depths.get(id(item))
        if depth is not None:
            close()
            title = found.titles.get(id(item), item.text)
            elements.append(_heading(title, item.page, depth, printed))
        elif id(item) in found.rests:
            if isinstance(elements[-1], Title):
                elements[-1].text = language.join(elements[-1].text, found.rests[id(item)])
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
    return Title(text=" ".join(text.split()), metadata=metadata)


def _table(sheet: Sheet, printed: dict[int, str]) -> list[Element]:
    elements: list[Element] = []
    for table in sheet.tables():
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
