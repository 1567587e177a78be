"""Tables over all the pages they run (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.ingest import header, tables
from services.ingest.partition.ruled import Cell, RuledTable, merged

_NEAR = 6.0
"""Column edges this close are the same column on the next page, points."""
_FOOT = 60.0
"""How far above the lowest a table may end that also goes on overleaf, points."""


@dataclass(slots=True)
class Sheet:
    """A table, over all the pages it runs."""

    page: int
    """The last page it is on so far."""
    edges: list[float]
    """Where the columns begin and the last ends, on its first page."""
    bottom: float
    """Where it ends on its first page, from the top, points."""
    reach: float
    """Where it ends on the last page it is on so far."""
    cells: list[list[Cell | None]] = field(default_factory=list)
    pages: list[int | None] = field(default_factory=list)
    """The page of each row."""

    @classmethod
    def of(cls, table: RuledTable) -> Sheet:
        """Return a table's beginning."""
        sheet = cls(table.page, table.edges, table.box[3], table.box[3])
        sheet.add(table)
        return sheet

    def goes_on(self, table: RuledTable) -> bool:
        """Return whether a table at the top of the next page is the rest of this one."""
        if table.page != self.page + 1 or self._begins_anew(table):
            return False
        return (
            alike(self.edges, table.edges)
            or _lacks_first(self.edges, table.edges)
            or bool(_among(self.edges, table))
        )

    def _begins_anew(self, table: RuledTable) -> bool:
        """Return whether a table has a title of its own over the same header."""
        mine, other = self.cells[:2], table.grid[:2]
        if len(mine) < 2 or len(other) < 2:
            return False
        title = other[0][0]
        if title is None or not title.text or title.columns < len(other[0]):
            return False
        return _texts(mine[1]) == _texts(other[1]) and _texts(mine[0]) != _texts(other[0])

    def add(self, table: RuledTable) -> None:
        """Add a page's rows: a header is not repeated, a row that the page break cut is joined."""
        self.page, self.reach = table.page, table.box[3]
        first = bool(self.cells)
        for row in self._widened(table) if first else table.grid:
            texts = _texts(row)
            if first and self._repeats(row, texts):
                continue
            if first and any(texts) and not texts[0] and self._is_cut(row):
                self._join(row)
                first = False
                continue
            # An empty row keeps its place: cells of the row above may reach over it.
            if first and any(texts):
                first = False
                if row[0] is not None and not row[0].text:
                    row[0].text = self._above()
            self.cells.append(row)
            self.pages.append(table.page)

    def _widened(self, table: RuledTable) -> list[list[Cell | None]]:
        """Return rows with the same columns as before.

        The first may not be drawn anew: its cell goes on. Others come of a table within a cell.
        """
        if not table.grid or len(table.edges) == len(self.edges):
            return table.grid
        if len(table.edges) > len(self.edges):
            return merged(table.grid, _among(self.edges, table))
        first = Cell(self._above(), rows=len(table.grid))
        return [[first if r == 0 else None, *row] for r, row in enumerate(table.grid)]

    def tables(self) -> list[tables.Table]:
        """Return what it says."""
        cells: list[list[tables.GridCell | None]] = [
            [
                tables.GridCell(cell.text, cell.rows, cell.columns, cell.bold) if cell else None
                for cell in row
            ]
            for row in self.cells
        ]
        return tables.understand(tables.Grid(cells, self.pages))

    def _repeats(self, row: list[Cell | None], texts: list[str]) -> bool:
        """Return whether a row is the header once more: no row that happens to recur."""
        head = _texts(self.cells[0])
        if not header.same(head, texts):
            return False
        bold = all(cell.bold for cell in row if cell and cell.text)
        return bold or header.looks_like(head) or self.pages[-1] == self.pages[0]

    def _is_cut(self, row: list[Cell | None]) -> bool:
        """Return whether a first row without a key is the rest of the row before the break."""
        first, second = row[0], row[1]
        if first is None or first.rows > 1:
            return False
        keyless = len(row) > 2 and second is not None and not second.text
        return self.cells[-1][0] is not None or keyless

    def _above(self) -> str:
        """Return the text of the first column's last cell: it spans the page break."""
        return next((row[0].text for row in reversed(self.cells) if row[0] and row[0].text), "")

    def _join(self, row: list[Cell | None]) -> None:
        """Add a row's texts to the cells above, which may span rows."""
        for column, cell in enumerate(row):
            above = next((r[column] for r in reversed(self.cells) if r[column]), None)
            if above and cell and cell.text:
                above.text = f"{above.text}\n{cell.text}" if above.text else cell.text


def _texts(row: list[Cell | None]) -> list[str]:
    return [cell.text if cell else "" for cell in row]


def alike(one: list[float], two: list[float]) -> bool:
    """Return whether the edges of two tables' columns are the same, wherever they stand."""
    if len(one) != len(two):
        return False
    shift = two[0] - one[0]
    return all(abs(b - a - shift) <= _NEAR for a, b in zip(one, two, strict=True))


def _lacks_first(one: list[float], two: list[float]) -> bool:
    """Return whether the edges of the second are those of the first but for its first column."""
    return len(two) == len(one) - 1 >= 3 and all(
        abs(b - a) <= _NEAR for a, b in zip(one[1:], two, strict=True)
    )


def _among(edges: list[float], table: RuledTable) -> list[int]:
    """Return which columns of a table begin at these edges; none if not all, or its rows' do not.

    What is drawn within one of its cells, and touches its lines, makes columns of its own.
    """
    if not 4 <= len(edges) < len(table.edges) or not table.grid:
        return []
    found = [
        next((i for i, edge in enumerate(table.edges) if abs(edge - one) <= _NEAR), None)
        for one in edges
    ]
    kept = [index for index in found if index is not None]
    if len(set(kept)) < len(edges) or kept[0] != 0 or kept[-1] != len(table.edges) - 1:
        return []
    begins = [[c for c, cell in enumerate(row) if cell] for row in table.grid]
    titled = header.looks_like(_texts(table.grid[0]))
    return kept[:-1] if kept[:-1] in begins and not titled else []


def heads(row: RuledTable, table: RuledTable) -> bool:
    """Return whether a row at a page's foot is the header of the table overleaf."""
    names = _texts(row.grid[0])
    if len(row.grid) != 1 or not header.may_be(names) or not alike(row.edges, table.edges):
        return False
    return not header.may_be(_texts(table.grid[0])) or not table.rest


def continued(sheets: list[Sheet], table: RuledTable) -> Sheet | None:
    """Return which of the tables that stand last, nothing between them, goes on in this one.

    More than one may reach the page's foot: side by side, or one in a cell of another.
    """
    foot = max((sheet.reach for sheet in sheets if sheet.page < table.page), default=0.0)
    found = [s for s in sheets if s.goes_on(table) and s.reach > foot - _FOOT]
    return min(found, key=lambda sheet: abs(sheet.edges[-1] - table.edges[-1]), default=None)
