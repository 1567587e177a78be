"""Ruled tables: from ruling lines and words to cells (pure; grid geometry by pdfplumber)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from pdfplumber.table import (
    cells_to_tables,
    edges_to_intersections,
    intersections_to_cells,
)

from services.ingest import language
from services.ingest.partition import edges, layout, parallel
from services.ingest.partition.page import Line, Page, Word

_PADDING = 5.4
"""What text processors leave free at a cell's sides, points."""

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Cell:
    """One cell, over as many rows and columns as it spans."""

    text: str
    """Its words; lines that were wrapped are joined, others stand on lines of their own."""
    rows: int = 1
    columns: int = 1
    bold: bool = False


@dataclass(slots=True)
class RuledTable:
    """A table of one page."""

    page: int
    """Physical page, from 1."""
    box: Box
    """x0, top, x1, bottom; points."""
    edges: list[float]
    """Where the columns begin and the last ends."""
    grid: list[list[Cell | None]]
    """Rows of cells; None where a cell of an earlier row or column reaches over."""
    words: set[int] = field(default_factory=set)
    """Ids of the words that stand in it."""
    rest: bool = False
    """Whether it holds so little that it is one only as the rest of the page's before."""


def find(page: Page) -> list[RuledTable]:
    """Return the tables of a page, and frames that may be the rest of one."""
    lines, join = edges.find(page)
    if not lines:
        return []
    cells = intersections_to_cells(edges_to_intersections(lines, join, join))
    tables = [_table(page, group) for group in cells_to_tables(cells)]
    return [table for table in tables if table]


def _table(page: Page, boxes: list[Box]) -> RuledTable | None:
    xs = sorted({round(v, 1) for box in boxes for v in (box[0], box[2])})
    ys = sorted({round(v, 1) for box in boxes for v in (box[1], box[3])})
    if len(xs) < 3:
        return None
    outer = (xs[0], ys[0], xs[-1], ys[-1])
    near = [w for w in page.words if outer[1] - 2 <= w.middle <= outer[3] + 2]
    grid: list[list[Cell | None]] = [[None] * (len(xs) - 1) for _ in range(len(ys) - 1)]
    used: set[int] = set()
    held: dict[tuple[int, int], list[Word]] = {}
    biggest = 0
    for box in boxes:
        inside = [
            w for w in near if box[0] <= (w.x0 + w.x1) / 2 < box[2] and box[1] <= w.middle < box[3]
        ]
        used.update(id(w) for w in inside)
        biggest = max(biggest, len(inside))
        row, column = ys.index(round(box[1], 1)), xs.index(round(box[0], 1))
        held[row, column] = inside
        grid[row][column] = Cell(
            _cell_text(inside, page.number, (box[0], box[2])),
            rows=ys.index(round(box[3], 1)) - row,
            columns=xs.index(round(box[2], 1)) - column,
            bold=bool(inside) and all(w.bold for w in inside),
        )
    filled = [cell for row in grid for cell in row if cell and cell.text]
    if not filled:
        return None
    widest = max(sum(1 for cell in row if cell and cell.text) for row in grid)
    framed = len(used) > 60 and biggest > 0.8 * len(used)
    rest = len(ys) < 3 or len(filled) < 3 or framed or widest < 2
    kept = _parted(grid)
    columns = [*(xs[column] for column in kept), xs[-1]]
    grid = _parallel(grid, held, page.number)
    return RuledTable(page.number, outer, columns, merged(grid, kept), used, rest)


def _parallel(
    grid: list[list[Cell | None]], held: dict[tuple[int, int], list[Word]], page: int
) -> list[list[Cell | None]]:
    """Return the rows, those that hold several side by side line by line taken apart."""
    result: list[list[Cell | None]] = []
    for r, row in enumerate(grid):
        result.append(row)
        words = {c: held[r, c] for c, cell in enumerate(row) if cell and cell.text}
        if not words or not parallel.may_be(words[min(words)]):
            continue
        if any(cell and cell.text and cell.rows > 1 for cell in row):
            continue
        lines = parallel.rows(words, page)
        if not lines:
            continue
        for above, others in enumerate(grid[: r + 1]):
            for cell in others:
                if cell and above + cell.rows > r and not (above == r and cell.text):
                    cell.rows += len(lines) - 1
        result[-1:] = [
            [_of_line(cell, line.get(c, ""), first=line is lines[0]) for c, cell in enumerate(row)]
            for line in lines
        ]
    return result


def _of_line(cell: Cell | None, text: str, *, first: bool) -> Cell | None:
    """Return the part of a cell in one of its lines: an empty cell spans them all."""
    if cell and cell.text:
        return Cell(text, 1, cell.columns, cell.bold)
    return cell if first else None


def _parted(grid: list[list[Cell | None]]) -> list[int]:
    """Return the columns that begin in more rows than the first.

    Shading that is a little narrower than a header's cell parts it where no column begins.
    """
    width = len(grid[0])
    if len(grid) < 3:
        return list(range(width))
    covered: dict[tuple[int, int], tuple[int, int]] = {}
    for r, row in enumerate(grid):
        for c, cell in enumerate(row):
            for down in range(cell.rows if cell else 0):
                for right in range(cell.columns if cell else 0):
                    covered[r + down, c + right] = (r, c)
    return [0] + [
        column
        for column in range(1, width)
        if any(
            covered.get((r, column), (r, column)) != covered.get((r, column - 1))
            for r in range(1, len(grid))
        )
    ]


def merged(grid: list[list[Cell | None]], kept: list[int]) -> list[list[Cell | None]]:
    """Return the rows with only these columns, the cells of the others added to those before."""
    width = len(grid[0])
    if len(kept) == width:
        return grid
    bounds = [*kept, width]
    result: list[list[Cell | None]] = []
    over: list[tuple[int, Cell | None]] = [(0, None)] * width
    for r, row in enumerate(grid):
        cells: list[Cell | None] = []
        for start, end in pairwise(bounds):
            parts = [cell for cell in row[start:end] if cell]
            if not parts:
                cells.append(None)
                continue
            reach = start + sum(cell.columns for cell in parts)
            # What stands beside a row and reaches over the next ones is said in each of them.
            beside = [cell for last, cell in over[start + 1 : end] if cell and r < last]
            words = [cell for cell in [*parts, *beside] if cell.text]
            cells.append(
                Cell(
                    " ".join(cell.text for cell in words),
                    parts[0].rows,
                    max(1, sum(1 for column in kept if start <= column < reach)),
                    bool(words) and all(cell.bold for cell in words),
                )
            )
        for column, cell in enumerate(row):
            if cell and cell.rows > 1:
                over[column] = (r + cell.rows, cell)
        result.append(cells)
    return result


def _cell_text(words: list[Word], page: int, sides: tuple[float, float]) -> str:
    """Return the text of a cell: a line that reaches the right edge goes on in the next."""
    if not words:
        return ""
    rows = sorted(layout.lines(words, page), key=lambda line: line.top + line.bottom)
    text = rows[0].text
    for above, line in pairwise(rows):
        if above.hyphen:
            text = text.removesuffix("-") + line.text
        elif _cut(above, line, sides[1] - sides[0]):
            text += line.text
        elif sides[1] - above.x1 < max(2.5 * above.size, _first_word(line) + 0.5 * line.size):
            text = language.join(text, line.text)
        else:
            text += "\n" + line.text
    return text


def _cut(above: Line, line: Line, width: float) -> bool:
    """Return whether a word too long for its cell goes on: `0X100` and `2` are `0X1002`."""
    if len(above.words) > 1 or len(line.words) > 1 or len(line.text) > 3:
        return False
    if not (above.text[-1].isalnum() and line.text[0].isalnum() and above.text.isascii()):
        return False
    letter = (above.x1 - above.x0) / len(above.text)
    return width - 2 * _PADDING - (above.x1 - above.x0) < 1.2 * letter


def _first_word(line: Line) -> float:
    """Return the width of what would have had to fit on the line above."""
    word = line.words[0]
    if language.is_cjk(word.text[0]):
        return word.size
    return word.x1 - word.x0
