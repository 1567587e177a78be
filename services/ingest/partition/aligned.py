"""Unruled tables: rows of short texts over white corridors that run down the page (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from services.ingest import language
from services.ingest.partition import layout
from services.ingest.partition.page import Line, Page, Rule, Word
from services.ingest.partition.ruled import Cell, RuledTable

_GAP = 0.75
"""Line heights between two cells of a row, at least."""
_CORRIDOR = 0.6
"""Line heights a corridor between two columns is wide, at least."""
_ROWS = 3
"""Rows with most of their cells that make a table, its header among them."""
_AT_THE_FOOT = 4
"""Lines of a page below a table that goes on overleaf, at most: then a header and a row will do."""
_COLUMNS = 3
_ALIGNED = 3.0
"""Cells that begin, end or are centred this close stand under one another, points."""
_CLOSE = 0.7
"""Line heights between a row and what was wrapped below it, at most."""
_LOOSE = 2.2
"""Line heights between two rows, at most, where no ruling line is between."""
_PROSE = 24
"""Letters of a cell from which on it may be a line of running text."""

Gap = tuple[float, float]


@dataclass(slots=True)
class _Row:
    """A line of a page in pieces."""

    line: Line
    pieces: list[list[Word]]


def find(page: Page, lines: list[Line]) -> list[RuledTable]:
    """Return the unruled tables among the lines of a page that are in no ruled table."""
    rows = [_Row(line, layout.segments(line, _GAP)) for line in lines if not line.sideways]
    bars = [rule for rule in page.rules if rule.horizontal and rule.x1 - rule.x0 > 60]
    tables = []
    index = 0
    while index < len(rows):
        end, gaps = _grow(rows, index, bars)
        fewest = _ROWS if len(rows) - end > _AT_THE_FOOT else 2
        table = _table(page, rows[index:end], gaps, bars) if end - index >= fewest else None
        if table:
            tables.append(table)
            index = end
        else:
            index += 1
    return tables


def _grow(rows: list[_Row], start: int, bars: list[Rule]) -> tuple[int, list[Gap]]:
    """Return where a table that begins at a row ends, and the corridors between its columns."""
    gaps = _gaps(rows[start])
    if len(gaps) < _COLUMNS - 1:
        return start, []
    end = start + 1
    while end < len(rows):
        above, row = rows[end - 1], rows[end]
        size = row.line.size
        apart = row.line.top - above.line.bottom
        if apart > _LOOSE * size and not _between(above, row, bars):
            break
        left = [gap for old in gaps if (gap := _free(old, row.line)) and _wide(gap, size)]
        lost = len(left) < len(gaps)
        if len(left) < _COLUMNS - 1 or (lost and len(row.pieces) < _COLUMNS):
            break
        if len(row.pieces) == 1 and not (apart < _CLOSE * size and _under(row, rows[start:end])):
            break
        gaps = left
        end += 1
    return end, gaps


def _gaps(row: _Row) -> list[Gap]:
    return [(one[-1].x1, two[0].x0) for one, two in pairwise(row.pieces)]


def _wide(gap: Gap, size: float) -> bool:
    return gap[1] - gap[0] >= _CORRIDOR * size


def _free(gap: Gap, line: Line) -> Gap | None:
    """Return the widest part of a corridor that no word of a line stands in."""
    left, right = gap
    edges = [left]
    for word in line.words:
        if word.x1 > left and word.x0 < right:
            edges += [word.x0, max(word.x1, edges[-1])]
    edges.append(right)
    parts = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    return max(parts, key=lambda part: part[1] - part[0], default=None)


def _between(above: _Row, row: _Row, bars: list[Rule]) -> bool:
    """Return whether a ruling line, and not too much white, is between two rows."""
    top, bottom = above.line.bottom - 2, row.line.top + 2
    if bottom - top > 5 * row.line.size:
        return False
    return any(top <= bar.top <= bottom and bar.x0 < row.line.x1 for bar in bars)


def _under(row: _Row, rows: list[_Row]) -> bool:
    """Return whether a lone text stands under the beginning of a cell."""
    x0 = row.line.x0
    return any(
        abs(piece[0].x0 - x0) <= _ALIGNED
        for other in rows
        if len(other.pieces) >= _COLUMNS
        for piece in other.pieces
    )


def _table(page: Page, rows: list[_Row], gaps: list[Gap], bars: list[Rule]) -> RuledTable | None:
    cells = [_cells(row.line, gaps) for row in rows]
    cells = _without_label(cells)
    if len(cells[0]) < _COLUMNS or not _convincing(cells):
        return None
    words = [word for row in cells for cell in row for word in cell]
    box = (
        min(w.x0 for w in words),
        min(w.top for w in words),
        max(w.x1 for w in words),
        max(w.bottom for w in words),
    )
    if _is_drawing(page, box):
        return None
    starts = [min(row[c][0].x0 for row in cells if row[c]) for c in range(len(cells[0]))]
    grid = _grid(cells, [bar.top for bar in bars if _crosses(bar, box)])
    return RuledTable(page.number, box, [*starts, page.width], grid, {id(word) for word in words})


def _cells(line: Line, gaps: list[Gap]) -> list[list[Word]]:
    """Return the words of a line column by column."""
    walls = [(a + b) / 2 for a, b in gaps]
    cells: list[list[Word]] = [[] for _ in range(len(gaps) + 1)]
    for word in line.words:
        cells[sum(1 for wall in walls if word.x0 > wall)].append(word)
    return cells


def _without_label(cells: list[list[list[Word]]]) -> list[list[list[Word]]]:
    """Return the rows without a first column that only names the table: `Bit field:`."""
    used = sum(1 for row in cells if row[0])
    if used and cells[0][0] and used < 0.3 * len(cells) and cells[0][0][-1].text[-1] in ":：":
        return [row[1:] for row in cells]
    return cells


def _convincing(cells: list[list[list[Word]]]) -> bool:
    """Return whether texts in rows are a table: full, aligned, short and not `label: value`."""
    columns = list(zip(*cells, strict=True))
    full = [row for row in cells if sum(map(bool, row)) >= max(2, 0.6 * len(columns))]
    headed = _bold(cells[0]) and not _bold(cells[1])
    if len(full) < (2 if headed else _ROWS) or len(full) < 0.4 * len(cells):
        return False
    if any(sum(1 for row in full if row[c]) < 0.4 * len(full) for c in range(len(columns))):
        return False
    if sum(map(_lined_up, columns)) < len(columns) - 1:
        return False
    if sum(map(_is_prose, columns)) >= 2:
        return False
    return not any(_is_pairs(row) for row in cells)


def _is_pairs(row: list[list[Word]]) -> bool:
    """Return whether a row is a form, `label: value` beside `label: value`, and no table."""
    texts = [_text(cell) for cell in row if cell]
    pairs = sum(1 for text in texts if re.search(r"\w\s?[:：]", text))
    return pairs >= max(2, 0.6 * len(texts))


def _bold(row: list[list[Word]]) -> bool:
    return all(word.bold for cell in row for word in cell)


def _lined_up(column: tuple[list[Word], ...]) -> bool:
    """Return whether most cells of a column begin, end or have their middle at one place."""
    filled = [cell for cell in column if cell]
    for places in (
        [cell[0].x0 for cell in filled],
        [cell[-1].x1 for cell in filled],
        [(cell[0].x0 + cell[-1].x1) / 2 for cell in filled],
    ):
        middle = median(places)
        if sum(abs(place - middle) <= _ALIGNED for place in places) >= 0.6 * len(places):
            return True
    return False


def _is_prose(column: tuple[list[Word], ...]) -> bool:
    """Return whether a column's cells are lines of running text: long, and all but equally so."""
    filled = [cell for cell in column if cell]
    width = max(cell[-1].x1 for cell in filled) - min(cell[0].x0 for cell in filled)
    long = [cell for cell in filled if layout.weight(cell) >= _PROSE]
    wide = [cell for cell in long if cell[-1].x1 - cell[0].x0 > 0.8 * width]
    return len(wide) > 0.5 * len(filled)


def _is_drawing(page: Page, box: tuple[float, float, float, float]) -> bool:
    """Return whether upright lines are among the words: they are labels in a drawing."""
    inside = [
        rule
        for rule in page.rules
        if not rule.horizontal
        and box[0] + 2 < rule.x0 < box[2] - 2
        and rule.top < box[3]
        and rule.bottom > box[1]
    ]
    return len(inside) >= 2


def _crosses(bar: Rule, box: tuple[float, float, float, float]) -> bool:
    width = box[2] - box[0]
    return box[1] < bar.top < box[3] and min(bar.x1, box[2]) - max(bar.x0, box[0]) > 0.6 * width


def _grid(cells: list[list[list[Word]]], bars: list[float]) -> list[list[Cell | None]]:
    """Return the rows, what was wrapped joined."""
    begins = _begins(cells, bars)
    grid: list[list[Cell | None]] = []
    for row, new in zip(cells, begins, strict=True):
        if new:
            grid.append([_cell(cell) for cell in row])
            continue
        for place, cell in enumerate(row):
            old = grid[-1][place]
            if cell and old:
                text = language.join(old.text, _text(cell))
                grid[-1][place] = Cell(text, bold=old.bold or not old.text)
    return grid


def _begins(cells: list[list[list[Word]]], bars: list[float]) -> list[bool]:
    """Return which lines begin a row.

    Ruling lines tell where they part the rows, else white that is wider between rows than
    within them, else a line with a single text is the rest of the row above.
    """
    edges = [
        (min(w.top for c in row for w in c), max(w.bottom for c in row for w in c)) for row in cells
    ]
    whites = [below[0] - above[1] for above, below in pairwise(edges)]
    size = median(word.size for row in cells for cell in row for word in cell)
    if len(bars) > 0.3 * len(cells):
        return [True] + [
            any(above[1] - 3 <= bar <= below[0] + 3 for bar in bars)
            for above, below in pairwise(edges)
        ]
    wide = _wide_white(cells, whites, size)
    if wide is not None:
        return [True] + [white > wide for white in whites]
    return [True] + [
        white > _CLOSE * size or sum(map(bool, row)) > 1 or _bold(row) != _bold(above)
        for white, (above, row) in zip(whites, pairwise(cells), strict=True)
    ]


def _wide_white(cells: list[list[list[Word]]], whites: list[float], size: float) -> float | None:
    """Return the white above which a row begins; None where it is the same everywhere.

    Lines that stand closer are wrapped ones only if most of them leave a column empty.
    """
    ordered = sorted(whites)
    jump, wide = max(((b - a, (a + b) / 2) for a, b in pairwise(ordered)), default=(0.0, 0.0))
    if jump < 0.25 * size:
        return None
    close = [row for row, white in zip(cells[1:], whites, strict=True) if white <= wide]
    gaps = sum(1 for row in close if not all(row))
    return wide if gaps >= 0.6 * len(close) else None


def _cell(words: list[Word]) -> Cell:
    return Cell(_text(words), bold=bool(words) and all(word.bold for word in words))


def _text(words: list[Word]) -> str:
    return Line(words, 0).text if words else ""
