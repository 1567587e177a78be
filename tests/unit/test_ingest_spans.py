"""Cells that reach over rows and columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pptx
import pytest
from pptx.util import Inches

from schemas.retrieval import Passage
from services.ingest import chunking, partition, tables
from tests.support.ingest import words

pytestmark = pytest.mark.unit

ROWSPAN = (
    '<table><tr><th>Code<th>Cause<th>Remedy<tr><td rowspan="2">HQ01<td>Voltage low<td>Check mains'
    "<tr><td>Fuse blown<td>Replace fuse F2</table>"
)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a file's tables, values by their header."""
    document = partition.read(path, path.name, lambda _done, _total: None)
    found: list[Passage] = list(chunking.passages(document.elements, words))
    return [{one.name: one.value for one in p.fields} for p in found if p.kind == "row"]


def web(tmp_path: Path, body: str, name: str = "a.html") -> Path:
    """A web page."""
    path = tmp_path / name
    path.write_text(f"<html><body><h1>Faults</h1>{body}</body></html>", encoding="utf-8")
    return path


EXPECTED = [
    {"Code": "HQ01", "Cause": "Voltage low", "Remedy": "Check mains"},
    {"Code": "HQ01", "Cause": "Fuse blown", "Remedy": "Replace fuse F2"},
]


def test_a_cell_over_two_rows_of_a_web_page_stands_in_both(tmp_path: Path) -> None:
    assert rows_of(web(tmp_path, ROWSPAN)) == EXPECTED


def test_markdown_with_a_table_in_html_too(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(f"# Faults\n\n{ROWSPAN}\n", encoding="utf-8")
    assert rows_of(path) == EXPECTED


@pytest.mark.parametrize("end", ["<br>", "<BR/>", '<br clear="all" />', "</br>"])
def test_the_lines_of_a_cell_stay_apart(tmp_path: Path, end: str) -> None:
    cells = {"Code": "E1", "Cause": "fan stuck\nfuse blown", "Remedy": "wait"}
    table = (
        "<table><tr><th>Code</th><th>Cause</th><th>Remedy</th></tr>"
        f"<tr><td>E1</td><td>fan stuck{end}fuse blown</td><td>wait</td></tr></table>"
    )
    assert rows_of(web(tmp_path, f"<p>one{end}two</p><p>{end}</p>{table}")) == [cells]
    path = tmp_path / "a.md"
    row = f"| E1 | fan stuck{end}fuse blown | wait |"
    path.write_text(f"# Faults\n\n| Code | Cause | Remedy |\n|--|--|--|\n{row}\n", encoding="utf-8")
    assert rows_of(path) == [cells]


def test_no_mark_of_a_line_is_left(tmp_path: Path) -> None:
    page = web(tmp_path, "<p>one<br>two</p><p><br></p><ul><li>a<br>b</li></ul>")
    document = partition.read(page, page.name, lambda _done, _total: None)
    texts = [element.text for element in document.elements]
    assert all(text.strip() and text.isascii() for text in texts)


def test_a_cell_over_two_columns_leaves_the_next_its_name(tmp_path: Path) -> None:
    page = web(
        tmp_path,
        "<table><tr><th>Code</th><th>Cause</th><th>Remedy</th></tr>"
        "<tr><td>E1</td><td colspan=2>see below</td></tr>"
        "<tr><td colspan='2'>E2, any</td><td>wait</td></tr></table>",
    )
    assert rows_of(page) == [
        {"Code": "E1", "Cause": "see below"},
        {"Code": "E2, any", "Remedy": "wait"},
    ]


def test_no_mark_is_left_in_any_text(tmp_path: Path) -> None:
    path = web(tmp_path, f"<p>Text.</p>{ROWSPAN}<table><tr><td colspan=2>alone</table>")
    document = partition.read(path, path.name, lambda _done, _total: None)
    texts = "".join(e.text + (e.metadata.text_as_html or "") for e in document.elements)
    assert not any("\ue000" <= character <= "\uf8ff" for character in texts)


def test_merged_cells_of_a_slide_stand_in_all_their_rows(tmp_path: Path) -> None:
    made: Any = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[5])
    slide.shapes.title.text = "Faults"
    cells = [["Code", "Cause", "Remedy"], ["HQ01", "Voltage low", "Check mains"],
             ["", "Fuse blown", "Replace fuse F2"]]  # fmt: skip
    inch = Inches(1)
    table = slide.shapes.add_table(3, 3, inch, inch, inch, inch).table
    for r, row in enumerate(cells):
        for c, text in enumerate(row):
            table.cell(r, c).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    path = tmp_path / "a.pptx"
    made.save(path)
    assert rows_of(path) == EXPECTED


def test_spans_without_end_fill_no_memory() -> None:
    cell = '<td rowspan="65534" colspan="1000">x</td>'
    grid = tables.from_html(f"<table>{f'<tr>{cell * 20}</tr>' * 2000}</table>")
    assert len(grid.cells) == 2000
    assert max(map(len, grid.cells)) <= tables.MAX_WIDTH + 400
    spanned = [c for row in grid.cells for c in row if c and (c.rows > 1 or c.columns > 1)]
    assert sum(c.rows * c.columns for c in spanned) <= tables.MAX_SPANNED


def test_a_long_cell_is_not_repeated_in_each_row_it_reaches_over() -> None:
    long = "word " * 2000
    page = f'<table><tr><td rowspan="200">{long}</td><td>1</td></tr>' + "<tr><td>2</td></tr>" * 199
    (table,) = tables.understand(tables.from_html(page + "</table>"))
    assert sum(row.cells[0] == long.strip() for row in table.rows) == 1


def test_text_below_many_boxes_is_read_and_what_follows_it(tmp_path: Path) -> None:
    deep = "<div class=a>" * 200_000 + "E01: the <b>mains</b> is low." + "</div>" * 200_000
    path = web(tmp_path, f"<p>Before it.</p>{deep}<p>After it all.</p>{ROWSPAN}")
    document = partition.read(path, path.name, lambda _done, _total: None)
    assert [element.text.strip() for element in document.elements][1:4] == [
        "Before it.",
        "E01: the mains is low.",
        "After it all.",
    ]
    assert rows_of(path) == EXPECTED
