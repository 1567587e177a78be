"""Ruled tables as manuals draw them: shaded cells, page breaks, rows without rules; read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from services.ingest import chunking
from services.ingest.partition import parallel, pdf
from services.ingest.partition.effort import Effort
from services.ingest.partition.page import Word
from tests.support.ingest import words

pytestmark = pytest.mark.unit

HIGH = 20.0
TOP = 740.0


@pytest.fixture
def canvas(tmp_path: Path) -> Canvas:
    return Canvas(str(tmp_path / "manual.pdf"), pagesize=(595, 842), invariant=1)


def rows(canvas: Canvas) -> list[tuple[int | None, str]]:
    """Save; page and text of each row."""
    canvas.save()
    found = pdf.read(Path(canvas._filename), lambda _done, _total: None, Effort())
    passages = chunking.passages(found.elements, words, labels=found.labels)
    return [(passage.page, passage.text) for passage in passages if passage.kind == "row"]


def table(
    canvas: Canvas,
    texts: Sequence[Sequence[str | None]],
    edges: Sequence[float],
    top: float = TOP,
    *,
    opened: bool = False,
) -> float:
    """Draw a table, return where it ends; None is a cell that the one before it reaches over."""
    for r, line in enumerate(texts):
        y = top - r * HIGH
        for c, text in enumerate(line):
            if text is None:
                continue
            canvas.line(edges[c], y, edges[c], y - HIGH)
            canvas.drawString(edges[c] + 4, y - 14, text)
        canvas.line(edges[-1], y, edges[-1], y - HIGH)
        if r or not opened:
            canvas.line(edges[0], y, edges[-1], y)
    bottom = top - len(texts) * HIGH
    canvas.line(edges[0], bottom, edges[-1], bottom)
    return bottom


FAULTS = [["E1", "short", "check"], ["E2", "low", "wait"], ["E3", "hot", "cool"]]
HEAD = ["Code", "Cause", "Remedy"]
EDGES = [72, 160, 320, 500]


def named(page: int, lines: Sequence[Sequence[str]]) -> list[tuple[int | None, str]]:
    return [(page, f"Code: {a} | Cause: {b} | Remedy: {c}") for a, b, c in lines]


def test_shading_behind_the_lines_of_a_text_parts_no_cell(canvas: Canvas) -> None:
    edges = [72.0, 160.0, 320.0]
    for r in range(3):
        for c in range(2):
            left, bottom, width = edges[c], 700 - 36 * r, edges[c + 1] - edges[c]
            canvas.setFillGray(0.85)
            canvas.rect(left, bottom, width, 36, stroke=0, fill=1)
            lines = (f"{'overcharge' if c == 0 else 'adjustable'}{r}", f"second {c}{r}")
            for index, text in enumerate(lines):
                canvas.setFillGray(0.85)
                canvas.rect(left + 5, bottom + 19 - 15 * index, width - 10, 15, stroke=0, fill=1)
                canvas.setFillGray(0)
                canvas.drawString(left + 8, bottom + 23 - 15 * index, text)
    for y in (736, 700, 664, 628):
        canvas.line(72, y, 320, y)
    for x in edges:
        canvas.line(x, 736, x, 628)
    assert [text for _, text in rows(canvas)] == [
        f"overcharge{r} second 0{r} | adjustable{r} second 1{r}" for r in range(3)
    ]


def test_a_header_alone_at_the_foot_of_a_page_heads_the_table_overleaf(canvas: Canvas) -> None:
    canvas.drawString(72, 150, "The faults are listed in a table.")
    table(canvas, [HEAD], EDGES, 120)
    canvas.showPage()
    table(canvas, FAULTS, EDGES)
    assert rows(canvas) == named(2, FAULTS)


def test_values_alone_at_the_foot_of_a_page_head_nothing(canvas: Canvas) -> None:
    canvas.drawString(72, 150, "The frame that is sent:")
    table(canvas, [["0xDD", "0x5A", "0x00"]], EDGES, 120)
    canvas.showPage()
    table(canvas, FAULTS, EDGES)
    assert rows(canvas) == [(2, " | ".join(line)) for line in FAULTS]


def test_tables_side_by_side_go_on_overleaf_each_under_its_header(canvas: Canvas) -> None:
    left, right = [60, 120, 280], [310, 370, 530]
    table(canvas, [["Bit", "Meaning"], ["1", "hot"]], left, 120)
    table(canvas, [["Code", "Remedy"], ["E1", "cool"]], right, 120)
    canvas.showPage()
    table(canvas, [["2", "low"], ["3", "high"]], left)
    table(canvas, [["E2", "charge"], ["E3", "drain"]], right)
    assert sorted(rows(canvas)) == [
        (1, "Bit: 1 | Meaning: hot"),
        (1, "Code: E1 | Remedy: cool"),
        (2, "Bit: 2 | Meaning: low"),
        (2, "Bit: 3 | Meaning: high"),
        (2, "Code: E2 | Remedy: charge"),
        (2, "Code: E3 | Remedy: drain"),
    ]


def test_a_row_that_the_page_break_left_open_above_is_in_the_table(canvas: Canvas) -> None:
    table(canvas, [HEAD, FAULTS[0]], EDGES, 140)
    canvas.showPage()
    table(canvas, FAULTS[1:], EDGES, 770, opened=True)
    assert rows(canvas) == named(1, FAULTS[:1]) + named(2, FAULTS[1:])


def test_a_first_column_that_is_not_drawn_anew_goes_on(canvas: Canvas) -> None:
    edges = [20, *EDGES]
    table(canvas, [["Group", *HEAD], ["Drive", *FAULTS[0]]], edges, 120)
    canvas.showPage()
    table(canvas, FAULTS[1:], EDGES)
    assert rows(canvas)[1:] == [(2, f"Group: Drive | {text}") for _, text in named(2, FAULTS[1:])]


def test_a_table_in_a_cell_does_not_end_the_one_it_is_in(canvas: Canvas) -> None:
    edges = [72, 140, 260, 320, 400, 500]
    wide = ["E9", "many", "see", None, None]
    table(canvas, [["Code", "Cause", "Remedy", None, None], wide], edges, 120)
    canvas.showPage()
    table(canvas, [["E10", "some", "x", "A", "1"], ["E11", "few", "none", None, None]], edges)
    assert rows(canvas) == [
        (1, "Code: E9 | Cause: many | Remedy: see"),
        (2, "Code: E10 | Cause: some | Remedy: x A 1"),
        (2, "Code: E11 | Cause: few | Remedy: none"),
    ]


def test_a_table_with_a_title_of_its_own_is_another(canvas: Canvas) -> None:
    table(canvas, [["Request", None, None], HEAD, FAULTS[0]], EDGES, 140)
    canvas.showPage()
    table(canvas, [["Response", None, None], HEAD, FAULTS[1]], EDGES)
    assert rows(canvas) == named(1, FAULTS[:1]) + named(2, FAULTS[1:2])


def test_parameters_side_by_side_in_one_drawn_row_are_rows_of_their_own(canvas: Canvas) -> None:
    bottom = table(canvas, [["Code", "Function", "Default"]], EDGES)
    for index in range(4):
        y = bottom - 14 - 15 * index
        for x, text in zip(
            EDGES, (f"PD10{index}", f"Frequency {index}", f"{index}5.00"), strict=False
        ):
            canvas.drawString(x + 4, y, text)
    for edge in EDGES:
        canvas.line(edge, bottom, edge, bottom - 66)
    canvas.line(EDGES[0], bottom - 66, EDGES[-1], bottom - 66)
    assert [text for _, text in rows(canvas)] == [
        f"Code: PD10{n} | Function: Frequency {n} | Default: {n}5.00" for n in range(4)
    ]


def word(text: str, x: float, y: float) -> Word:
    return Word(text, x, y, x + 5 * len(text), y + 10, 10, bold=False)


def test_lines_that_stand_on_other_levels_are_one_row() -> None:
    keys = [word(f"PD10{n}", 0, 20 * n) for n in range(3)]
    beside = [word(f"wrapped{n}", 100, 12 * n) for n in range(5)]
    assert parallel.rows({0: keys, 1: beside}, 1) == []


def test_texts_that_are_no_keys_are_one_row() -> None:
    left = [word(text, 0, 20 * n) for n, text in enumerate(("Check", "the", "supply"))]
    right = [word(text, 100, 20 * n) for n, text in enumerate(("and", "then", "reset"))]
    assert parallel.rows({0: left, 1: right}, 1) == []


@given(st.sets(st.integers(1, 9999), min_size=3, max_size=12), st.data())
def test_rows_taken_apart_hold_every_text_once(numbers: set[int], data: st.DataObject) -> None:
    order = sorted(numbers)
    beside = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    cells = {
        0: [word(f"P{number}", 0, 20 * n) for n, number in enumerate(order)],
        1: [word(f"name{number}", 100, 20 * n) for n, number in enumerate(order)],
        2: [word(f"value{order[n]}", 300, 20 * n) for n, there in enumerate(beside) if there],
    }
    found = parallel.rows({c: held for c, held in cells.items() if held}, 1)
    assert [row[0] for row in found] == [f"P{number}" for number in order]
    assert [row[1] for row in found] == [f"name{number}" for number in order]
    assert [row.get(2) for row in found] == [
        f"value{number}" if there else None for number, there in zip(order, beside, strict=True)
    ]


def test_shading_behind_a_few_words_parts_no_column(canvas: Canvas) -> None:
    canvas.setFillGray(0.9)
    canvas.rect(360, TOP - HIGH + 1, 60, HIGH - 2, stroke=0, fill=1)
    canvas.rect(330, TOP - 3 * HIGH + 1, 90, HIGH - 2, stroke=0, fill=1)
    canvas.setFillGray(0)
    table(canvas, [HEAD, *FAULTS], EDGES)
    assert rows(canvas) == named(1, FAULTS)


def test_shading_in_pieces_parts_no_cell(canvas: Canvas) -> None:
    # As word processors write a shaded cell with two lines in its middle: a strip over its whole
    # width, slivers beside each line's box, and a strip below.
    edges = [72.0, 160.0, 320.0]
    for row, (name, cause) in enumerate([("drum jam", "dirt below"), ("belt slip", "worn belt")]):
        for column, text in enumerate((name, cause)):
            left, right = edges[column] + 0.5, edges[column + 1] - 0.5
            bottom = 700 - 50 * row
            canvas.setFillGray(0.9 if row else 0.8)
            canvas.rect(left, bottom + 39, right - left, 10.5, stroke=0, fill=1)
            canvas.rect(left, bottom + 15, 1.1, 24, stroke=0, fill=1)
            canvas.rect(right - 5.4, bottom + 15, 5.4, 24, stroke=0, fill=1)
            canvas.rect(left, bottom + 0.5, right - left, 14.5, stroke=0, fill=1)
            for line in range(2):
                canvas.rect(
                    left + 1.1, bottom + 27 - 12 * line, right - left - 6.5, 12, stroke=0, fill=1
                )
            canvas.setFillGray(0)
            for line, word in enumerate(text.split()):
                canvas.drawString(left + 5, bottom + 30 - 12 * line, word)
    for y in (750, 700, 650):
        canvas.line(72, y, 320, y)
    for x in edges:
        canvas.line(x, 750, x, 650)
    assert [text for _, text in rows(canvas)] == ["drum jam | dirt below", "belt slip | worn belt"]


def test_rows_between_shaded_ones_are_rows_too(canvas: Canvas) -> None:
    lines = [HEAD, *FAULTS, ["E4", "wet", "dry"], ["E5", "loud", "oil"], ["E6", "dim", "lamp"]]
    for number, line in enumerate(lines):
        bottom = TOP - HIGH * (number + 1)
        for column, text in enumerate(line):
            if number % 2 == 0:
                canvas.setFillGray(0.7 if number == 0 else 0.9)
                width = EDGES[column + 1] - EDGES[column]
                canvas.rect(EDGES[column], bottom, width, HIGH, stroke=0, fill=1)
            canvas.setFillGray(0)
            canvas.drawString(EDGES[column] + 5, bottom + 6, text)
    canvas.drawString(72, TOP - HIGH * (len(lines) + 2), "Ask the service for the others.")
    assert rows(canvas) == named(1, lines[1:])
