"""The PDF reader on PDFs drawn here: what is on the page is what comes out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from unstructured.documents.elements import Element, ListItem, NarrativeText, Table, Title

from schemas.retrieval import Passage
from services.ingest import chunking
from services.ingest.partition import characters, document, pdf
from services.ingest.partition.effort import Effort
from services.runtime.errors import Rejected
from tests.support.ingest import Drawn, words

pytestmark = pytest.mark.unit


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    return Drawn(tmp_path / "manual.pdf")


def read(drawn: Drawn) -> document.Document:
    return pdf.read(drawn.save(), lambda _done, _total: None, Effort())


def passages_of(read_document: document.Document) -> list[Passage]:
    return list(chunking.passages(read_document.elements, words, labels=read_document.labels))


def texts(elements: list[Element], kind: type[Element]) -> list[str]:
    return [e.text for e in elements if isinstance(e, kind)]


def test_wrapped_lines_are_one_paragraph(drawn: Drawn) -> None:
    drawn.line("The frequency inverter must be disconnected from the mains before work is be-")
    drawn.line("gun on it; wait ten minutes, until the capacitors of the DC link are discharged,")
    drawn.line("and measure.")
    drawn.skip()
    drawn.line("Then begin. The work is begun by two people who know what they do and why")
    assert texts(read(drawn).elements, NarrativeText) == [
        (
            "The frequency inverter must be disconnected from the mains before work is begun on it;"
            " wait ten minutes, until the capacitors of the DC link are discharged, and measure."
        ),
        "Then begin. The work is begun by two people who know what they do and why",
    ]


def test_a_hyphen_of_the_words_own_stays(drawn: Drawn) -> None:
    drawn.line(
        "Use the closed-loop control only where an encoder is on the motor, else the closed-"
    )
    drawn.line("loop control cannot work.")
    (text,) = texts(read(drawn).elements, NarrativeText)
    assert text.endswith("else the closed-loop control cannot work.")


def test_items_stand_alone(drawn: Drawn) -> None:
    drawn.line("- check the mains")
    drawn.line("- check the fuses")
    assert texts(read(drawn).elements, ListItem) == ["- check the mains", "- check the fuses"]


def test_bookmarks_make_headings_and_the_section_path(drawn: Drawn) -> None:
    for title, level in (("Faults", 0), ("Undervoltage", 1), ("Overvoltage", 1)):
        drawn.bookmark(title, level)
        drawn.line(title)
        drawn.line(f"What to know of {title.lower()}, in a sentence.")
    found = read(drawn)
    assert [
        (e.text, e.metadata.category_depth) for e in found.elements if isinstance(e, Title)
    ] == [
        ("Faults", 0),
        ("Undervoltage", 1),
        ("Overvoltage", 1),
    ]
    assert [p.section for p in passages_of(found)] == [
        "Faults",
        "Faults > Undervoltage",
        "Faults > Overvoltage",
    ]


def test_a_bookmark_whose_heading_is_broken_up_counts_all_the_same(drawn: Drawn) -> None:
    drawn.bookmark("1 Safety", 0)
    drawn.line("1", size=30)
    drawn.line("Only trained people may do this work here.")
    drawn.page()
    drawn.bookmark("1.1 Tools", 1)
    drawn.line("1.1 Tools")
    drawn.line("Use insulated tools for this work only.")
    assert [p.section for p in passages_of(read(drawn))][-1] == "1 Safety > 1.1 Tools"


def test_without_bookmarks_size_and_number_make_headings(drawn: Drawn) -> None:
    drawn.line("1 Safety", size=16, bold=True)
    drawn.line("Only trained people may do this work here.")
    drawn.line("1.1 Before you start", bold=True)
    drawn.line("Switch off and wait for ten minutes then.")
    drawn.line("Note:", bold=True)
    found = read(drawn)
    assert [
        (e.text, e.metadata.category_depth) for e in found.elements if isinstance(e, Title)
    ] == [
        ("1 Safety", 0),
        ("1.1 Before you start", 1),
    ]


def test_running_heads_go_and_numbers_become_labels(drawn: Drawn) -> None:
    for number in range(1, 6):
        drawn.at(72, 800, "Frequency inverter FD40")
        drawn.at(72, 30, f"Edition 03/2024      3-{number + 10}")
        drawn.line(f"E00{number} is on this page.")
        drawn.line("The same line is on every page but further down.", x=72 + number)
        drawn.page()
    found = read(drawn)
    everything = " ".join(e.text for e in found.elements)
    assert "FD40" not in everything
    assert "Edition" not in everything
    assert [f"E00{n}" in everything for n in range(1, 6)] == [True] * 5
    assert found.labels == {n: f"3-{n + 10}" for n in range(1, 6)}
    assert found.pages == 5


def test_codes_at_the_tops_of_pages_are_no_running_heads(drawn: Drawn) -> None:
    for number in range(1, 5):
        drawn.line(f"E00{number} Undervoltage")
        drawn.line("Cause: mains low")
        drawn.line("Remedy: check it")
        drawn.page()
    entries = [p for p in passages_of(read(drawn)) if p.kind == "entry"]
    assert [(p.page, p.fields[0].value) for p in entries] == [(n, f"E00{n}") for n in range(1, 5)]


def test_a_ruled_table_becomes_rows_with_its_header(drawn: Drawn) -> None:
    drawn.line("Fault codes", size=16, bold=True)
    drawn.table(
        [
            ["Code", "Name", "Cause", "Remedy"],
            ["E001", "Overcurrent", "short circuit", "check motor"],
            ["E002", "Overvoltage", "ramp too\nshort", "longer ramp"],
        ],
        [72, 120, 200, 330, 520],
        32,
    )
    rows = passages_of(read(drawn))
    assert [(p.kind, p.section, p.text) for p in rows] == [
        (
            "row",
            "Fault codes",
            "Code: E001 | Name: Overcurrent | Cause: short circuit | Remedy: check motor",
        ),
        (
            "row",
            "Fault codes",
            "Code: E002 | Name: Overvoltage | Cause: ramp too short | Remedy: longer ramp",
        ),
    ]


EDGES = [72, 130, 330, 520]


@pytest.mark.parametrize("repeated", [False, True])
def test_a_table_over_a_page_break_keeps_its_header(drawn: Drawn, repeated: bool) -> None:
    head = ["Code", "Cause", "Remedy"]
    drawn.table([head, ["E001", "short circuit", "check motor"]], EDGES, 20)
    drawn.page()
    rest = [["E002", "ramp too short", "longer ramp"], ["E003", "mains low", "check mains"]]
    drawn.table([head, *rest] if repeated else rest, EDGES, 20)
    found = [(p.page, p.text) for p in passages_of(read(drawn))]
    assert found == [
        (1, "Code: E001 | Cause: short circuit | Remedy: check motor"),
        (2, "Code: E002 | Cause: ramp too short | Remedy: longer ramp"),
        (2, "Code: E003 | Cause: mains low | Remedy: check mains"),
    ]


def test_a_row_cut_by_the_page_break_is_joined(drawn: Drawn) -> None:
    head = ["Code", "Cause", "Remedy"]
    drawn.table([head, ["E001", "short circuit in", "check the motor and"]], EDGES, 20)
    drawn.page()
    drawn.table([["", "the motor cable", "its cable"], ["E002", "low", "check"]], EDGES, 20)
    found = [(p.page, p.text) for p in passages_of(read(drawn))]
    assert found == [
        (
            1,
            (
                "Code: E001 | Cause: short circuit in the motor cable "
                "| Remedy: check the motor and its cable"
            ),
        ),
        (2, "Code: E002 | Cause: low | Remedy: check"),
    ]


def test_another_table_on_the_next_page_is_its_own(drawn: Drawn) -> None:
    drawn.table([["Code", "Cause", "Remedy"], ["E001", "short", "check"]], EDGES, 20)
    drawn.page()
    drawn.table([["Parameter", "Unit", "Range"], ["P001", "Hz", "0 to 50"]], EDGES, 20)
    assert [p.text for p in passages_of(read(drawn))] == [
        "Code: E001 | Cause: short | Remedy: check",
        "Parameter: P001 | Unit: Hz | Range: 0 to 50",
    ]


def test_a_frame_around_text_is_no_table(drawn: Drawn) -> None:
    drawn.table([["Danger of death by electric shock: switch off first."]], [72, 500], 30)
    assert texts(read(drawn).elements, Table) == []
    assert "Danger" in passages_of(pdf.read(drawn.path, lambda _d, _t: None, Effort()))[0].text


def test_an_entry_over_a_page_break_is_one_passage(drawn: Drawn) -> None:
    drawn.line("F07011 Motor overtemperature", size=12, bold=True)
    drawn.line("Reaction: OFF2")
    drawn.line("Cause:    The motor is overloaded.")
    drawn.page()
    drawn.line("Remedy:   - reduce the load")
    drawn.line("- check the fan")
    drawn.line("F07012 Motor model too hot", size=12, bold=True)
    drawn.line("Cause:    The model says so.")
    drawn.line("Remedy:   - wait")
    first, second = [p for p in passages_of(read(drawn)) if p.kind == "entry"]
    assert (first.page, second.page) == (1, 2)
    assert [(f.name, f.value) for f in first.fields] == [
        ("Code", "F07011"),
        ("Title", "Motor overtemperature"),
        ("Reaction", "OFF2"),
        ("Cause", "The motor is overloaded."),
        ("Remedy", "- reduce the load\n- check the fan"),
    ]


def test_two_columns_are_read_one_after_the_other(drawn: Drawn) -> None:
    left = [f"left column line {n} speaks of the motor" for n in range(14)]
    right = [f"right column line {n} is on the inverter" for n in range(14)]
    for one, two in zip(left, right, strict=True):
        y = drawn.y
        drawn.line(one)
        drawn.y = y
        drawn.line(two, x=320)
    text = " ".join(e.text for e in read(drawn).elements)
    places = [text.index(line) for line in left + right]
    assert all(a < b for a, b in pairwise(places))


def test_entries_of_a_table_of_contents_are_left_out(drawn: Drawn) -> None:
    drawn.line("Contents", size=14)
    drawn.line("6 Operation ........................................ 30")
    drawn.line("7 Fault codes ........................................ 41")
    drawn.line("8 Disposal ........................................ 60")
    drawn.page()
    drawn.line("Real text stands here.")
    assert [e.text for e in read(drawn).elements] == ["Real text stands here."]


def test_the_files_title_counts_where_its_pages_bear_it_out(drawn: Drawn) -> None:
    drawn.title("Kelvarn FD40: User manual")
    drawn.line("Kelvarn FD40", size=20)
    drawn.line("User manual")
    assert read(drawn).title == "Kelvarn FD40: User manual"


def test_a_templates_title_does_not(drawn: Drawn) -> None:
    drawn.title("Technical file template")
    drawn.line("Kelvarn FD40 user manual")
    assert read(drawn).title == ""


def test_empty_pages_have_no_text(drawn: Drawn) -> None:
    drawn.page()
    drawn.page()
    with pytest.raises(Rejected, match="no text on any of its 2 pages"):
        read(drawn)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ﬁlter ﬂow", "filter flow"),
        ("Ｅ００５，检查", "E005，检查"),
        ("soft\u00adhyphen", "softhyphen"),
        ("m² ±5 °C", "m² ±5 °C"),
        ("⾼压", "高压"),
        ("\uf0b7 item", "• item"),
        ("a\x00b\u200b", "ab"),
    ],
)
def test_look_alikes_become_plain(raw: str, expected: str) -> None:
    assert characters.clean(raw) == expected
