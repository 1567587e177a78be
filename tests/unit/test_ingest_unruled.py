"""Tables and lists without ruling lines, and text that runs another way, drawn here and read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas
from unstructured.documents.elements import Table

from schemas.retrieval import Passage
from services.ingest import chunking
from services.ingest.partition import document, pdf
from services.ingest.partition.effort import Effort
from tests.support.ingest import Drawn, words

pytestmark = pytest.mark.unit


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    return Drawn(tmp_path / "manual.pdf")


def read(path: Path) -> document.Document:
    return pdf.read(path, lambda _done, _total: None, Effort())


def rows(path: Path) -> list[Passage]:
    found = read(path)
    passages = chunking.passages(found.elements, words, labels=found.labels)
    return [passage for passage in passages if passage.kind == "row"]


def columns(drawn: Drawn, lines: Sequence[Sequence[str]], places: Sequence[float]) -> None:
    """Write texts side by side, the first line bold."""
    for number, line in enumerate(lines):
        y = drawn.y
        for text, x in zip(line, places, strict=True):
            drawn.y = y
            if text:
                drawn.line(text, x=x, bold=number == 0)
        drawn.y = y - 13


BITS = [
    ["Bit", "Signal name", "1 signal", "0 signal"],
    ["00", "Ready for switching on", "Yes", "No"],
    ["01", "Speed controller limit reached for", "Yes", "No"],
    ["", "longer than a second", "", ""],
    ["02", "Motor overtemperature", "No", "Yes"],
]


def test_aligned_texts_under_a_bold_header_are_rows(drawn: Drawn) -> None:
    drawn.line("Status word of the drive, as the controller sees it on the bus:")
    columns(drawn, BITS, [72, 110, 330, 420])
    drawn.skip()
    drawn.line("The status word is sent every ten milliseconds by the drive.")
    assert [row.text for row in rows(drawn.save())] == [
        "Bit: 00 | Signal name: Ready for switching on | 1 signal: Yes | 0 signal: No",
        (
            "Bit: 01 | Signal name: Speed controller limit reached for longer than a second"
            " | 1 signal: Yes | 0 signal: No"
        ),
        "Bit: 02 | Signal name: Motor overtemperature | 1 signal: No | 0 signal: Yes",
    ]


def test_an_unruled_table_goes_on_overleaf_under_its_header(drawn: Drawn) -> None:
    columns(drawn, [*BITS[:2], ["01", "Operation enabled", "Yes", "No"]], [72, 110, 330, 420])
    drawn.page()
    for number in range(2, 5):
        y = drawn.y
        for text, x in zip(
            (f"0{number}", f"Fault {number} present", "Yes", "No"), (72, 110, 330, 420), strict=True
        ):
            drawn.y = y
            drawn.line(text, x=x)
    found = rows(drawn.save())
    assert [row.page for row in found] == [1, 1, 2, 2, 2]
    assert found[-1].text == "Bit: 04 | Signal name: Fault 4 present | 1 signal: Yes | 0 signal: No"


def test_values_beside_their_labels_are_no_table(drawn: Drawn) -> None:
    for left, middle, right in (
        ("Level: 1", "Scaling: -", "Type: int"),
        ("Unit: V", "Index: -", "Diagram: 27"),
        ("Group: 3", "Selection: -", "Calculated: -"),
    ):
        y = drawn.y
        for text, x in ((left, 72), (middle, 220), (right, 380)):
            drawn.y = y
            drawn.line(text, x=x)
    assert rows(drawn.save()) == []


def test_three_columns_of_prose_are_no_table(drawn: Drawn) -> None:
    for number in range(8):
        y = drawn.y
        for x in (60, 230, 400):
            drawn.y = y
            drawn.line(f"line {number} of running prose that fills it", x=x)
    assert rows(drawn.save()) == []


@pytest.mark.parametrize("label", ["Bit{}: {}", "bit {} {}", "Bite{} : {}"])
def test_bits_side_by_side_are_units_in_their_order(drawn: Drawn, label: str) -> None:
    names = ["overvoltage", "undervoltage", "overcurrent", "short circuit", "sensor", "memory"]
    drawn.line("Protection status:")
    for number in range(3):
        y = drawn.y
        drawn.line(label.format(number, names[number]))
        drawn.y = y
        drawn.line(label.format(number + 3, names[number + 3]), x=300)
    found = rows(drawn.save())
    assert [row.fields[1].value for row in found] == names
    assert [row.section for row in found] == ["Protection status"] * 6
    assert found[4].text.replace(" ", "") == label.format(4, "sensor").replace(" ", "")


def test_codes_side_by_side_are_units(drawn: Drawn) -> None:
    for number in range(1, 5):
        y = drawn.y
        drawn.line(f"E0{number} fault of the {number}st kind")
        drawn.y = y
        drawn.line(f"E1{number} warning of the {number}st kind", x=300)
    found = rows(drawn.save())
    assert [row.fields[0].value for row in found] == [
        *(f"E0{number}" for number in range(1, 5)),
        *(f"E1{number}" for number in range(1, 5)),
    ]


def test_columns_set_side_by_side_are_stacked(drawn: Drawn) -> None:
    drawn.table(
        [
            ["Code", "Meaning", "Code", "Meaning"],
            ["E01", "overcurrent", "E03", "undervoltage"],
            ["E02", "overvoltage", "E04", "motor too hot"],
        ],
        [72, 130, 280, 340, 520],
        20,
    )
    assert [row.text for row in rows(drawn.save())] == [
        "Code: E01 | Meaning: overcurrent",
        "Code: E02 | Meaning: overvoltage",
        "Code: E03 | Meaning: undervoltage",
        "Code: E04 | Meaning: motor too hot",
    ]


def boxes(canvas: Canvas, texts: Sequence[Sequence[str]], gap: float) -> None:
    """Draw each cell with a box of its own, or with nothing at the table's sides for no gap."""
    for r, line in enumerate(texts):
        for c, text in enumerate(line):
            x, y = 72 + 140 * c, 700 - 24 * r
            canvas.rect(x, y, 140 - gap, 24 - gap)
            canvas.drawString(x + 5, y + 8, text)


def test_cells_with_boxes_of_their_own_are_a_table(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "boxes.pdf"))
    boxes(canvas, [["Code", "Cause", "Remedy"], ["E1", "short", "check"], ["E2", "low", "wait"]], 3)
    canvas.save()
    assert [row.text for row in rows(tmp_path / "boxes.pdf")] == [
        "Code: E1 | Cause: short | Remedy: check",
        "Code: E2 | Cause: low | Remedy: wait",
    ]


def test_a_table_open_at_its_sides_keeps_all_its_columns(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "open.pdf"))
    for r, line in enumerate([["Code", "Cause", "Remedy"], ["E1", "short", "check"]]):
        for c, text in enumerate(line):
            canvas.drawString(77 + 140 * c, 708 - 24 * r, text)
    for y in (724, 700, 676):
        canvas.line(72, y, 492, y)
    for x in (212, 352):
        canvas.line(x, 724, x, 676)
    canvas.save()
    assert [row.text for row in rows(tmp_path / "open.pdf")] == [
        "Code: E1 | Cause: short | Remedy: check"
    ]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_is_printed_turned_is_read_upright(tmp_path: Path, degrees: int) -> None:
    canvas = Canvas(str(tmp_path / "turned.pdf"), pagesize=(600, 600))
    canvas.translate(300, 300)
    canvas.rotate(degrees)
    canvas.translate(-300, -300)
    canvas.drawString(72, 500, "The first line of a page that lies on its side.")
    canvas.drawString(72, 460, "The second line stands below the first.")
    canvas.save()
    assert [element.text for element in read(tmp_path / "turned.pdf").elements] == [
        "The first line of a page that lies on its side.",
        "The second line stands below the first.",
    ]


@pytest.mark.parametrize("degrees", [90, 270])
def test_a_line_up_the_margin_is_one_line_after_the_text(tmp_path: Path, degrees: int) -> None:
    canvas = Canvas(str(tmp_path / "margin.pdf"))
    for number in range(6):
        canvas.drawString(
            72, 700 - 13 * number, f"Line {number} of the page reads from left to right."
        )
    canvas.translate(40, 650)
    canvas.rotate(degrees)
    canvas.drawString(0, 0, "Output frequency in hertz")
    canvas.save()
    assert read(tmp_path / "margin.pdf").elements[-1].text == "Output frequency in hertz"


def test_a_row_below_a_spanning_cell_is_joined_over_the_page_break(drawn: Drawn) -> None:
    edges = [72, 160, 240, 520]
    drawn.table([["Message", "Way", "Note"], ["0x98", "received", "Bit 0: cell high"]], edges, 20)
    drawn.page()
    drawn.table([["", "", "Bit 1: cell low"]], edges, 20)
    found = rows(drawn.save())
    assert [(row.page, row.text) for row in found] == [
        (1, "Message: 0x98 | Way: received | Note: Bit 0: cell high Bit 1: cell low")
    ]


def test_a_caption_over_a_list_is_not_lost_in_the_table(drawn: Drawn) -> None:
    drawn.line("Warning bits:")
    for number in range(3):
        drawn.line(f"bit {number}: warning {number}")
    tables = [e for e in read(drawn.save()).elements if isinstance(e, Table)]
    assert len(tables) == 1
    assert "Warning bits" in (tables[0].metadata.text_as_html or "")


def test_bits_in_three_columns_and_set_wide_are_units(drawn: Drawn) -> None:
    names = [f"protection {number}" for number in range(9)]
    drawn.line("Note 1: protection status:")
    drawn.skip(12)
    for number in range(3):
        y = drawn.y
        for column in range(3):
            drawn.y = y
            bit = number + 3 * column
            drawn.line(f"BIT {bit}  {names[bit]}", x=72 + 170 * column)
        drawn.skip(12)
    found = rows(drawn.save())
    assert [row.fields[1].value for row in found] == names
    assert [row.fields[0].value for row in found] == [f"BIT {number}" for number in range(9)]
