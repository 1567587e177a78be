"""Headings by numbers, by a printed table of contents, and by their looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from unstructured.documents.elements import Title

from services.ingest.partition import document, numbering, pdf
from services.ingest.partition.effort import Effort
from services.ingest.splitting import WordCount
from tests.support.ingest import Drawn

pytestmark = pytest.mark.unit


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    return Drawn(tmp_path / "manual.pdf")


def read(drawn: Drawn) -> document.Document:
    return pdf.read(drawn.save(), lambda _done, _total: None, Effort())


def titles(found: document.Document) -> list[tuple[str, int | None]]:
    return [(e.text, e.metadata.category_depth) for e in found.elements if isinstance(e, Title)]


@pytest.mark.parametrize(
    ("text", "key", "rest"),
    [
        ("1 Safety", "decimal1", "Safety"),
        ("1. Safety", "decimal1", "Safety"),
        ("3.1基本信息", "decimal2", "基本信息"),
        ("4.1.10 故障反馈帧", "decimal3", "故障反馈帧"),
        ("A.2 Cables", "decimal2", "Cables"),
        ("IV. Wiring", "roman1", "Wiring"),
        ("Ⅱ. Safety", "roman1", "Safety"),
        ("三、命令解释", "zh1", "命令解释"),
        ("第二章 安装", "part1", "安装"),
        ("第2节 接线", "section1", "接线"),
        ("a) Cells count", "item1", "Cells count"),
        ("Part2. Wire", "part1", "Wire"),
    ],
)
def test_numbers_of_headings(text: str, key: str, rest: str) -> None:
    number = numbering.parse(text)
    assert number is not None
    assert (number.key, number.rest) == (key, rest)


@pytest.mark.parametrize(
    "text", ["2个字节共有16个bite", "24V supply", "1.5 kW", "Safety", "12", "3.3V"]
)
def test_quantities_are_no_numbers_of_headings(text: str) -> None:
    assert numbering.parse(text) is None


def test_a_count_that_begins_anew_is_below_its_chapters() -> None:
    texts = ["I. Introduction", "1. Delivery", "2. Plate", "II. Safety", "1. Before", "2. During"]
    numbers = [number for text in texts if (number := numbering.parse(text))]
    depths = numbering.Depths(numbers)
    assert [depths.of(number) for number in numbers] == [0, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("dots", [True, False])
def test_a_printed_table_of_contents_is_the_outline(drawn: Drawn, dots: bool) -> None:
    entries = [("1 Safety", 2), ("1.1 Before work", 2), ("2 Wiring", 3), ("3 Faults", 4)]
    drawn.line("Contents", size=14)
    for title, page in entries:
        y = drawn.y
        drawn.line(f"{title} {'.' * 60} {page}" if dots else title)
        if not dots:
            drawn.y = y
            drawn.line(str(page), x=500)
    for page in (2, 3, 4):
        drawn.page()
        for title, where in entries:
            if where == page:
                drawn.line(title)
                drawn.line(f"What is to be said of {title.split(' ', 1)[1].lower()} is said here.")
                drawn.skip()
    found = read(drawn)
    assert titles(found) == [
        ("1 Safety", 0),
        ("1.1 Before work", 1),
        ("2 Wiring", 0),
        ("3 Faults", 0),
    ]
    assert not any("..." in e.text for e in found.elements)


def test_dotted_lines_of_a_data_sheet_are_kept(drawn: Drawn) -> None:
    drawn.line("The drive has these data:")
    for name, value in (("Rated voltage", "400 V"), ("Rated current", "12 A"), ("Weight", "3 kg")):
        drawn.line(f"{name} .............................. {value}")
    text = " ".join(e.text for e in read(drawn).elements)
    assert "400 V" in text
    assert "3 kg" in text


def test_a_heading_over_two_lines_is_one(drawn: Drawn) -> None:
    drawn.line("3 How to use the adjusting tool (the code at", size=18, bold=True)
    drawn.line("the end of this leaflet leads to it)", size=18, bold=True)
    for number in range(6):
        drawn.line(f"Sentence {number} of the running text stands below it in its usual size.")
    assert titles(read(drawn)) == [
        ("3 How to use the adjusting tool (the code at the end of this leaflet leads to it)", 0)
    ]


def test_a_label_with_words_after_it_is_no_heading(drawn: Drawn) -> None:
    drawn.line("Query the working mode", size=14, bold=True)
    drawn.line("Response: the drive sends its mode", size=14, bold=True)
    for number in range(6):
        drawn.line(f"Sentence {number} of the running text stands below it in its usual size.")
    assert [title for title, _ in titles(read(drawn))] == ["Query the working mode"]


def test_words_are_counted_once_and_add_up() -> None:
    asked: list[str] = []

    def count(word: str) -> int:
        asked.append(word)
        return len(word)

    counter = WordCount(count)
    assert counter("check the fan  check\nthe fan") == 2 * len("checkthefan")
    assert asked == ["check", "the", "fan"]
