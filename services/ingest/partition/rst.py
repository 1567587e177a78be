"""reStructuredText as plain lines and tables (pure).

Directives become what a reader sees of them: a note's text after its name, an admonition's title as
a label; comments, targets and what only steers the layout go.
"""

from __future__ import annotations

import csv
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from services.ingest import tables

_BORDER = re.compile(r"[ \t]*=+(?: +=+)+[ \t]*")
_GRID = re.compile(r"[ \t]*\+(?:[-=]{2,}\+)+[ \t]*")
_DIRECTIVE = re.compile(r"([ \t]*)\.\. (\|[^|]+\| )?([A-Za-z][\w:.+-]{0,40})::(?:[ \t]+(.*))?")
_COMMENT = re.compile(r"([ \t]*)\.\.(?:[ \t](?!\[)|$)")
_OPTION = re.compile(r"[ \t]+:([\w-]+):[ \t]*(.*)")
_ROLE = re.compile(r":[A-Za-z][\w:.+-]{0,40}:`([^`<]*?)\s*(?:<[^`>]*>)?`")
_LINK = re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?")
_LIST_ROW = re.compile(r"\*\s+-(?:\s+|$)")
_LIST_CELL = re.compile(r"\s+-(?:\s+|$)")
_GONE = re.compile(
    r"image|include|toctree|contents|raw|meta|index|highlight|role|default-role|tags"
    r"|tabularcolumns|literalinclude|section-numbering|sectnum"
)
"""Directives of which nothing is to be read here."""
_UNTITLED = re.compile(r"figure|code|code-block|sourcecode|math|parsed-literal|only|grid|class")
"""Directives whose argument nobody sees."""
_NOTE = re.compile(r"note|warning|caution|danger|attention|error|hint|important|tip|seealso")
_DEEPEST = 12
"""Directives in each other that are looked into."""
_LONGEST = 5_000
"""Lines of a table at most."""
_MARK = "\ue0f5"
"""Begins the line that stands for a table."""


def rendered(content: str) -> tuple[str, dict[str, tables.Table]]:
    """Return a text's plain lines, and the tables by the lines that stand for them.

    A text without directives and drawn tables comes back as it is, and one of nothing but what no
    reader sees.
    """
    lines = content.replace(_MARK, " ").split("\n")
    if not any(map(_marked, lines)):
        return content, {}
    found: dict[str, tables.Table] = {}
    plain = "\n".join(_plain(lines, found, 0))
    # Where nothing else is in it, what others include is what there is to find.
    return (plain, found) if plain.strip() else (content, {})


def _marked(line: str) -> bool:
    return any(pattern.fullmatch(line) for pattern in (_BORDER, _GRID, _DIRECTIVE))


def _plain(lines: Sequence[str], found: dict[str, tables.Table], depth: int) -> Iterator[str]:
    index = 0
    while index < len(lines):
        line = lines[index]
        end, table = _drawn(lines, index)
        if table:
            yield from _placed(table, found)
            index = end
            continue
        directive = _DIRECTIVE.fullmatch(line) if depth < _DEEPEST else None
        if directive or _COMMENT.match(line):
            end = _block(lines, index)
            if directive:
                yield from _shown(directive, lines[index + 1 : end], found, depth)
            index = end
            continue
        yield _bare(line)
        index += 1


def _bare(text: str) -> str:
    """Return a text with what roles and links show in their place."""
    return _LINK.sub(r"\1", _ROLE.sub(r"\1", text))


def _placed(table: tables.Table, found: dict[str, tables.Table]) -> Iterator[str]:
    mark = f"{_MARK}{len(found)}"
    found[mark] = table
    yield from ("", mark, "")


def _block(lines: Sequence[str], start: int) -> int:
    """Return the line after a directive's or a comment's block: what is indented below it."""
    own = _indent(lines[start])
    end = index = start + 1
    while index < len(lines) and (not lines[index].strip() or _indent(lines[index]) > own):
        index += 1
        if lines[index - 1].strip():
            end = index
    return end


def _indent(line: str) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())


def _shown(
    directive: re.Match[str], body: Sequence[str], found: dict[str, tables.Table], depth: int
) -> Iterator[str]:
    """Yield what a reader sees of a directive."""
    name, title = directive[3].casefold(), " ".join((directive[4] or "").split())
    if directive[2] or _GONE.fullmatch(name):
        return
    options: dict[str, str] = {}
    while body and (option := _OPTION.fullmatch(body[0])):
        options[option[1]] = option[2].strip()
        body = body[1:]
    inner = textwrap.dedent("\n".join(line.expandtabs() for line in body)).split("\n")
    rows = {"list-table": _listed, "csv-table": _separated}.get(name)
    if rows:
        cells = rows(inner, options)
        heads = options.get("header-rows", "")
        table = _table(cells, int(heads) if re.fullmatch("[0-9]", heads) else 0, title)
        if table:
            yield from _placed(table, found)
            return
    yield ""
    if _NOTE.fullmatch(name):
        while inner and not title:
            title, inner = inner[0].strip(), inner[1:]
        yield f"{name.capitalize()}: {_bare(title)}"
    elif title and not _UNTITLED.fullmatch(name):
        yield f"{_bare(title).rstrip(':')}:" if name == "admonition" else _bare(title)
        yield ""
    yield from _plain(inner, found, depth + 1)
    yield ""


def _listed(lines: Sequence[str], _options: dict[str, str]) -> list[list[str]]:
    """Return the rows of a table written as a list of lists."""
    rows: list[list[str]] = []
    for line in lines:
        row, cell = _LIST_ROW.match(line), _LIST_CELL.match(line)
        if row:
            rows.append([line[row.end() :]])
        elif cell and rows and _indent(line) <= 2:
            rows[-1].append(line[cell.end() :])
        elif rows and line.strip():
            rows[-1][-1] += f"\n{line.strip()}"
    return rows


def _separated(lines: Sequence[str], options: dict[str, str]) -> list[list[str]]:
    """Return the rows of a table written as CSV; none where it stands in another file."""
    between = {"tab": "\t", "space": " "}.get(options.get("delim", ","), options.get("delim", ","))

    def read(texts: Iterable[str]) -> list[list[str]]:
        return list(csv.reader(texts, delimiter=between, skipinitialspace=True))

    try:
        rows = read(line for line in lines if line.strip())
        heads = read([options["header"]]) if "header" in options else []
    except (csv.Error, TypeError):
        return []
    if heads:
        options["header-rows"] = "1"
    return heads + rows


def _drawn(lines: Sequence[str], start: int) -> tuple[int, tables.Table | None]:
    """Return a table whose upper border is a line, and the line after it."""
    if _BORDER.fullmatch(lines[start]):
        border, sign = _BORDER, "="
    elif _GRID.fullmatch(lines[start]):
        border, sign = _GRID, "+"
    else:
        return start, None
    borders = [start]
    for index in range(start + 1, min(start + _LONGEST, len(lines))):
        if border.fullmatch(lines[index]):
            borders.append(index)
            below = lines[index + 1] if index + 1 < len(lines) else ""
            if not below.strip():
                break
        elif sign == "+" and not lines[index].lstrip().startswith(("|", "+")):
            return start, None
    else:
        return start, None
    starts = _starts(lines[start], sign)
    if sign == "=":
        parts = [lines[one + 1 : two] for one, two in pairwise(borders)]
        rows = [cells for part in parts for cells in _simple_rows(part, starts)]
        heads = len(_simple_rows(parts[0], starts)) if len(parts) > 1 else 0
    else:
        pairs = list(pairwise(borders))
        rows = [_joined([_cut(line, starts) for line in lines[a + 1 : b]]) for a, b in pairs]
        heads = next((n for n, (_, b) in enumerate(pairs, 1) if "=" in lines[b]), 0)
    return borders[-1] + 1, _table(rows, heads, "")


def _starts(border: str, sign: str) -> list[int]:
    """Return where the columns begin that a border shows."""
    if sign == "=":
        return [match.start() for match in re.finditer(r"=+", border)]
    return [match.start() for match in re.finditer(r"\+", border.rstrip())][:-1]


def _simple_rows(lines: Sequence[str], starts: list[int]) -> list[list[str]]:
    """Return the rows of a simple table: one without a first cell goes on with the one above."""
    rows: list[list[str]] = []
    for line in lines:
        if not line.strip(" -"):
            continue
        cells = _cut(line, starts)
        if cells[0] or not rows:
            rows.append(cells)
        else:
            rows[-1] = _joined([rows[-1], cells])
    return rows


def _joined(lines: list[list[str]]) -> list[str]:
    return ["\n".join(filter(None, column)) for column in zip(*lines, strict=True)]


def _cut(line: str, starts: list[int]) -> list[str]:
    """Return the cells of a line by where its columns begin; ideographs are two places wide."""
    cells = [""] * len(starts)
    place = column = 0
    for letter in line:
        while column + 1 < len(starts) and place >= starts[column + 1]:
            column += 1
        cells[column] += letter
        place += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
    return [cell.strip().strip("|").strip() for cell in cells]


def _table(rows: list[list[str]], heads: int, caption: str) -> tables.Table | None:
    width = max(map(len, rows), default=0)
    if width < 2 or len(rows) <= heads:
        return None
    cells = [[_bare(cell) for cell in row] for row in rows]
    filled = [row + [""] * (width - len(row)) for row in cells]
    header = _joined(filled[:heads]) if heads else []
    return tables.Table(header, [tables.Row(row) for row in filled[heads:]], caption)
