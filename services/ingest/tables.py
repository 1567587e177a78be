"""Tables as header and rows, whatever they were read from (pure)."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from services.ingest import header

_BIT = re.compile(r"(?i)(?:bite?s?|位)\s?\d{1,2}\b[^|]{0,12}")
_SHORT = 40
"""Characters of a value that may stand in several columns, at most."""
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>""")
"""A tag: whether it closes, its name, its attributes. What comes here was written by us or by
unstructured: there are no comments and no scripts in it."""
_SPAN = re.compile(r"""(?i)\b(rowspan|colspan)\s*=\s*["']?\s*(\d+)""")
MAX_SPANNED = 200_000
"""Places in a table that cells reach over at most: a hostile one must not fill the memory."""
MAX_WIDTH = 1000
"""Columns beyond which no cell reaches over others."""
MAX_REPEATED = 4000
"""Characters of a cell that are repeated in each row it reaches over."""


@dataclass(slots=True)
class Row:
    """One row of the body."""

    cells: list[str]
    """Texts, one a column; what spans several rows or columns stands in each of them."""
    page: int | None = None
    """Physical page it begins on; None where unknown."""
    group: str = ""
    """The row over the whole width above it, empty without one."""


@dataclass(slots=True)
class Table:
    """A table's content."""

    header: list[str]
    """Column names; empty when the table has none."""
    rows: list[Row]
    caption: str = ""
    """A first row over the whole width, empty without one."""


@dataclass(slots=True)
class GridCell:
    """A cell with the rows and columns it spans."""

    text: str
    rows: int = 1
    columns: int = 1
    bold: bool = False


@dataclass(slots=True)
class Grid:
    """A table as drawn."""

    cells: list[list[GridCell | None]]
    """Rows of equal length; None where another cell reaches over."""
    pages: list[int | None] = field(default_factory=list)
    """Page of each row; empty where unknown."""
    heads: int | None = None
    """Rows the source itself marks as header, None where it does not say."""
    caption: str = ""
    """Its title, empty without one."""


def understand(grid: Grid) -> list[Table]:
    """Return header and rows of a drawn table.

    Several when a row further down names the columns anew, as where protocols stack the tables
    of their commands.
    """
    filled = _fill(grid.cells)
    pages = grid.pages or [None] * len(filled)
    start = 0
    caption = grid.caption
    while start < len(filled) - 1 and (
        _spans_all(grid.cells[start], filled[start]) or (start == 0 and _is_title(grid.cells))
    ):
        caption = " ".join(filter(None, (caption, _flat(filled[start][0]))))
        start += 1
    heads = grid.heads - start if grid.heads is not None else 0
    if heads <= 0:
        heads = header.depth(grid.cells[start:], filled[start:])
    head = filled[start : start + heads]
    body = _fill(grid.cells, groups=head[0] if heads > 1 else [])
    found = [Table(_merged(head), [], caption)]
    group = ""
    for index in range(start + heads, len(filled)):
        cells = filled[index]
        last = index + 1 == len(filled)
        own = any(cell and cell.text.strip() for cell in grid.cells[index])
        if not own or (heads > 1 and cells in head):
            continue
        if _spans_all(grid.cells[index], cells):
            stacked = index > 0 and _spans_all(grid.cells[index - 1], filled[index - 1])
            group = " > ".join(filter(None, (group if stacked else "", _flat(cells[0]))))
            if not last and not _spans_all(grid.cells[index + 1], filled[index + 1]):
                continue
        elif not last and grid.heads is None and header.looks_like(cells):
            if not header.same(found[-1].header, cells):
                found.append(Table(_merged([cells]), [], caption))
            continue
        found[-1].rows.append(Row(body[index], pages[index], group))
    return [_stacked(table) for table in found if table.rows or len(found) == 1]


def _stacked(table: Table) -> Table:
    """Return a table that is set in several columns side by side, to save paper, as one."""
    names = [header.key(name) for name in table.header]
    times = header.times(names)
    if not times:
        return table
    width = len(names) // times
    rows = [
        Row(row.cells[start : start + width], row.page, row.group)
        for start in range(0, len(names), width)
        for row in table.rows
        if any(row.cells[start : start + width])
    ]
    rows.sort(key=lambda row: row.page or 0)
    return Table(table.header[:width], rows, table.caption)


def from_html(text: str) -> Grid:
    """Return the first table of an HTML text; nested ones become text of their cell."""
    cells = _Cells()
    end = 0
    for tag in _TAG.finditer(text):
        if end < tag.start():
            cells.data(html.unescape(text[end : tag.start()]))
        if tag[1]:
            cells.close(tag[2].lower())
        else:
            cells.open(tag[2].lower(), tag[3])
        end = tag.end()
    cells.data(html.unescape(text[end:]))
    return cells.grid()


def to_html(table: Table) -> str:
    """Return a table as HTML, its header in `<thead>`."""

    def row(cells: list[str], tag: str) -> str:
        inner = "".join(f"<{tag}>{_escaped(cell)}</{tag}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    caption = f"<caption>{_escaped(table.caption)}</caption>" if table.caption else ""
    head = f"<thead>{row(table.header, 'th')}</thead>" if table.header else ""
    body = "".join(row(item.cells, "td") for item in table.rows)
    return f"<table>{caption}{head}<tbody>{body}</tbody></table>"


def row_text(header: list[str], cells: list[str]) -> str:
    """Return a row as `header: cell | header: cell`, empty cells left out.

    A bit and its meaning that stand under no header stay as they are printed: `bit3: overvoltage`.
    """
    if is_bit(header, cells):
        return _flat(" ".join(cells))
    parts = []
    for index, cell in enumerate(cells):
        value = _flat(cell)
        name = _flat(header[index]) if index < len(header) else ""
        if value:
            parts.append(f"{name}: {value}" if name and name != value else value)
    return " | ".join(parts)


def is_bit(header: list[str], cells: list[str]) -> bool:
    """Return whether a row without a header is a bit and its meaning."""
    return not header and len(cells) == 2 and bool(_BIT.fullmatch(cells[0]))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br/>")


def _flat(text: str) -> str:
    return " ".join(text.split())


def _fill(
    cells: list[list[GridCell | None]], *, groups: list[str] | None = None
) -> list[list[str]]:
    """Return the texts with each spanning cell's text in all the rows and columns it covers.

    Args:
        cells: The grid.
        groups: The name over each column, where columns share one: a short text then stands in
            those of its columns that have one name, any other in the first of its columns alone.
    """
    width = max((len(row) for row in cells), default=0)
    texts = [[""] * width for _ in cells]
    for r, row in enumerate(cells):
        for c, cell in enumerate(row):
            if cell is None:
                continue
            text = cell.text.strip()
            over = [
                column
                for column in range(c, min(c + cell.columns, width))
                if groups is None
                or column == c
                or (groups and groups[c] == groups[column] != "" and len(text) <= _SHORT)
            ]
            reach = cell.rows if len(text) <= MAX_REPEATED else 1
            for down in range(r, min(r + reach, len(cells))):
                for right in over:
                    texts[down][right] = text
    return texts


def _spans_all(row: list[GridCell | None], cells: list[str]) -> bool:
    first = row[0] if row else None
    return bool(first and first.columns == len(cells) > 1 and first.text.strip())


def _is_title(cells: list[list[GridCell | None]]) -> bool:
    """Return whether the first row is a single text over most of the columns, nothing beside it."""
    first, *others = cells[0]
    if first is None or not first.text.strip() or any(cell and cell.text for cell in others):
        return False
    below = [cell for cell in cells[1] if cell]
    return max(2, 0.6 * len(cells[0])) <= first.columns and len(below) > 2 and first.rows == 1


def _merged(rows: list[list[str]]) -> list[str]:
    """Return column names out of one or more header rows."""
    if not rows:
        return []
    names = []
    for column in zip(*rows, strict=True):
        parts: list[str] = []
        for text in map(_flat, column):
            if text and text not in parts:
                parts.append(text)
        names.append(" ".join(parts))
    return names


class _Cells:
    """Cells of the outermost table."""

    def __init__(self) -> None:
        self._rows: list[list[tuple[list[str], int, int, bool]]] = []
        self._depth = 0
        self._cell: list[str] | None = None
        self._heads = 0
        self._in_head = False
        self._caption: list[str] | None = None
        self._title = ""

    def open(self, tag: str, attributes: str) -> None:
        """Open rows and cells."""
        if tag == "table":
            self._depth += 1
        if self._depth != 1:
            return
        if tag == "thead":
            self._in_head = True
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            if not self._rows:
                self._rows.append([])
            spans = {name.lower(): number for name, number in _SPAN.findall(attributes)}
            self._cell = []
            self._rows[-1].append(
                (
                    self._cell,
                    _span(spans.get("rowspan")),
                    _span(spans.get("colspan")),
                    tag == "th",
                )
            )
            if self._in_head:
                self._heads = len(self._rows)
        elif tag == "caption":
            self._caption = []
        elif tag == "br" and self._cell is not None:
            self._cell.append("\n")

    def close(self, tag: str) -> None:
        """Close cells and tables."""
        if tag == "table":
            self._depth -= 1
        elif self._depth == 1 and tag in ("td", "th"):
            self._cell = None
        elif self._depth == 1 and tag == "thead":
            self._in_head = False
        elif tag == "caption" and self._caption is not None:
            self._title = _flat("".join(self._caption))
            self._caption = None

    def data(self, data: str) -> None:
        """Collect a cell's text."""
        if self._cell is not None:
            self._cell.append(data)
        elif self._caption is not None:
            self._caption.append(data)

    def grid(self) -> Grid:
        """Return the cells in their places."""
        taken: set[tuple[int, int]] = set()
        placed: list[list[GridCell | None]] = []
        width = 0
        for r, row in enumerate(self._rows):
            line: dict[int, GridCell] = {}
            column = 0
            for parts, down, across, bold in row:
                while (r, column) in taken:
                    column += 1
                rows, columns = min(down, len(self._rows) - r), across
                if len(taken) + rows * columns > MAX_SPANNED or column + columns > MAX_WIDTH:
                    rows = columns = 1
                line[column] = GridCell("".join(parts).strip(), rows, columns, bold)
                if rows > 1 or columns > 1:
                    taken.update((r + i, column + j) for i in range(rows) for j in range(columns))
                column += columns
            width = max(width, column)
            placed.append([line.get(c) for c in range(column)])
        for line_cells in placed:
            line_cells.extend([None] * (width - len(line_cells)))
        return Grid(placed, heads=self._heads or None, caption=self._title)


def _span(text: str | None) -> int:
    """Return a span, at most 200: a hostile one must not fill the memory."""
    return min(max(int(text), 1), 200) if text and text.isdecimal() else 1
