from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unstructured.documents.elements import (
    Element,
    ElementMetadata,
    ListItem,
    NarrativeText,
    Table,
    Title,
)

from schemas.retrieval import Field, Passage
from services.ingest import chunking, frames, tables
from services.ingest.chunking import Sizes, passages
from tests.support.ingest import words

pytestmark = pytest.mark.unit


def title(text: str, depth: int = 0, page: int | None = None) -> Title:
    return Title(text=text, metadata=ElementMetadata(category_depth=depth, page_number=page))


def text(content: str, page: int | None = None) -> NarrativeText:
    return NarrativeText(text=content, metadata=ElementMetadata(page_number=page))


def table(header: list[str], *rows: list[str], pages: list[int] | None = None) -> Table:
    made = tables.Table(header, [tables.Row(row) for row in rows])
    metadata = ElementMetadata(text_as_html=tables.to_html(made))
    if pages:
        metadata.page_number = pages[0]
        metadata.row_pages = pages
    return Table(text="\n".join(" ".join(row) for row in rows), metadata=metadata)


def made(*elements: Element, tokens: int = 512, overlap: int = 64) -> list[Passage]:
    return list(passages(elements, words, Sizes(tokens, overlap)))


def test_sections_have_their_path() -> None:
    found = made(
        title("7 Faults"),
        title("7.1 Reset", 1),
        text("Press STOP."),
        title("8 Care"),
        text("Clean."),
    )
    assert [(p.section, p.text) for p in found] == [
        ("7 Faults > 7.1 Reset", "7 Faults\n7.1 Reset\nPress STOP."),
        ("8 Care", "8 Care\nClean."),
    ]


def test_each_row_is_a_passage_with_its_own_page() -> None:
    found = made(
        title("Codes", page=4),
        table(["Code", "Cause"], ["E1", "low"], ["E2", "high"], pages=[4, 5]),
    )
    assert [(p.kind, p.page, p.section, p.text) for p in found] == [
        ("row", 4, "Codes", "Code: E1 | Cause: low"),
        ("row", 5, "Codes", "Code: E2 | Cause: high"),
    ]
    assert found[0].fields == [Field("Code", "E1"), Field("Cause", "low")]


def test_an_entry_is_one_passage_on_the_page_it_begins() -> None:
    found = made(
        title("Faults", page=1),
        title("E1 Low", 1, 1),
        text("Cause: mains", 1),
        text("Remedy: check", 2),
        title("E2 High", 1, 2),
        text("Cause: mains", 2),
        text("Remedy: wait", 2),
    )
    entries = [p for p in found if p.kind == "entry"]
    assert [(p.page, p.section, p.text) for p in entries] == [
        (1, "Faults", "E1 Low\nCause: mains\nRemedy: check"),
        (2, "Faults", "E2 High\nCause: mains\nRemedy: wait"),
    ]
    assert entries[0].fields[:2] == [Field("Code", "E1"), Field("Title", "Low")]


def test_an_entry_in_the_lines_of_one_element() -> None:
    found = made(text("E1 Low\nCause: mains\nRemedy: check\nE2 High\nCause: x\nRemedy: wait"))
    assert [(p.kind, p.text) for p in found] == [
        ("entry", "E1 Low\nCause: mains\nRemedy: check"),
        ("entry", "E2 High\nCause: x\nRemedy: wait"),
    ]


def test_a_heading_alone_is_not_lost() -> None:
    assert [p.text for p in made(text("Hello."), title("The end"))] == ["Hello.", "The end"]


def test_a_row_that_is_too_long_goes_on_as_text() -> None:
    long = " ".join(["word"] * (chunking.MAX_ROW_TOKENS + 50))
    found = made(table(["Code", "Cause"], ["E1", long], ["E2", "low"]))
    assert [p.kind for p in found] == ["row", "text", "row"]
    assert found[0].fields[0] == Field("Code", "E1")
    assert sum(p.text.count("word") for p in found) == chunking.MAX_ROW_TOKENS + 50


def test_an_entry_that_is_too_long_goes_on_with_its_code_and_title() -> None:
    steps = [text(f"{n}: " + "word " * 100, page=4 + n // 20) for n in range(40)]
    found = made(title("E1 (N) Low", page=4), text("Cause: low", page=4), *steps)
    assert [(passage.kind, passage.page) for passage in found] == [("entry", 4)] + [
        ("entry", passage.page) for passage in found[1:]
    ]
    assert found[0].text.startswith("E1 (N) Low\nCause: low\n0: word")
    assert len(found) == 2
    assert found[1].page == 5
    assert found[1].text.startswith("E1 (N) Low (continued)\n2")
    assert found[1].fields[0].value == "E1 (N) Low (continued)"
    assert all(words(passage.text) <= 2048 for passage in found)


def test_parameters_in_the_lines_of_one_element() -> None:
    first, second = made(
        text(
            "P0-17 加速时间1\n设定范围：0.0~6500.0s 出厂值：10.0s\n说明：升速时间\n"
            "P0-18 减速时间1\n设定范围：0.0~6500.0s 出厂值：20.0s"
        )
    )
    assert [field.value for field in first.fields][:4] == [
        "P0-17", "加速时间1", "0.0~6500.0s", "10.0s",
    ]  # fmt: skip
    assert (second.kind, second.fields[3].value) == ("entry", "20.0s")


def test_rows_that_head_parameters_are_entries() -> None:
    found = made(
        title("Functions", depth=0),
        table(
            [], ["PD177", "Fault Record 1", "Default：-"], ["PD178", "Fault Record 2", "Default：-"]
        ),
        text("It shows the last faults."),
    )
    assert [(p.kind, p.section) for p in found] == [("entry", "Functions")] * 2
    assert [p.fields[0].value for p in found] == ["PD177", "PD178"]
    assert all("It shows the last faults." in p.text for p in found)


def test_tables_within_an_entry_stand_below_its_heading() -> None:
    _, row = made(
        title("r0052 Status word 1"),
        text("Access level: 2 Data type: Unsigned16"),
        table(["Bit", "Signal name"], ["00", "Ready"]),
        text("Note: none"),
    )
    assert row.section == "r0052 Status word 1"


def test_printed_page_numbers_come_along() -> None:
    (found,) = passages([text("Hello.", 7)], words, labels={7: "3-7"})
    assert (found.page, found.page_label) == (7, "3-7")


WORDS = st.text(alphabet=st.sampled_from("abc .直流母线\n"), min_size=1, max_size=80)
PIECES = st.one_of(
    st.builds(lambda t, d: ("title", t, d), WORDS, st.integers(0, 3)),
    st.builds(lambda t: ("text", t, 0), WORDS),
    st.builds(lambda t: ("item", t, 0), WORDS),
    st.builds(lambda t, u: ("table", f"{t}|{u}", 0), WORDS, WORDS),
    st.sampled_from([("title", "E1 Low", 1), ("text", "Cause: x", 0), ("text", "Remedy: y", 0)]),
)


def built(pieces: list[tuple[str, str, int]], turns: list[bool]) -> list[Element]:
    page = 1
    elements: list[Element] = []
    for (kind, content, depth), turn in zip(pieces, turns, strict=False):
        page += turn
        match kind:
            case "title":
                elements.append(title(content, depth, page))
            case "table":
                elements.append(table(["h", "k"], content.split("|"), pages=[page]))
            case "item":
                elements.append(ListItem(text=content, metadata=ElementMetadata(page_number=page)))
            case _:
                elements.append(text(content, page))
    return elements


@settings(deadline=None, max_examples=60)
@given(st.lists(PIECES, max_size=25), st.lists(st.booleans(), min_size=25), st.integers(8, 60))
def test_what_goes_in_comes_out(
    pieces: list[tuple[str, str, int]], turns: list[bool], tokens: int
) -> None:
    elements = built(pieces, turns)
    found = made(*elements, tokens=tokens, overlap=tokens // 8)
    assert [p.ordinal for p in found] == list(range(len(found)))
    pages = [p.page for p in found if p.page is not None]
    assert pages == sorted(pages)
    kept = " ".join(f"{p.text} {p.section}" for p in found).replace("|", " ")
    squeezed = "".join(kept.split())
    for element in elements:
        for word in element.text.split():
            assert word.strip(":|") in squeezed
    for passage in found:
        assert passage.text.strip()
        if passage.kind == "text":
            assert words(passage.text) <= tokens


@pytest.mark.parametrize(
    "cell", ["low " * 750_000, "x" * 3_000_000, "x" + " " * 3_000_000 + "y"], ids=len
)
def test_a_cell_without_end_makes_no_passage_without_end(cell: str) -> None:
    found = made(table(["Code", "Cause"], ["E1", cell]))
    assert max(map(frames.size, found)) <= 70_000
    assert found[0].fields[0] == Field("Code", "E1")
    letters = sum(len("".join(passage.text.split())) for passage in found)
    assert letters >= len("".join(cell.split()))


def test_an_entry_and_a_heading_without_end_make_no_passage_without_end() -> None:
    long = "x" * 1_000_000
    found = made(
        title(long), table(["A", "B"], ["1", "2"]), title("E1 Low"), text(f"Cause: {long}")
    )
    assert max(map(frames.size, found)) <= 70_000
    parts = [passage for passage in found if passage.kind == "entry"]
    assert all(part.text.startswith("E1 Low (continued)\n") for part in parts[1:])
    assert sum(passage.text.count("x") for passage in found) >= 2_000_000


def test_a_page_number_too_high_does_not_spoil_the_later_ones() -> None:
    found = made(
        table(["Code", "Cause"], ["E1", "low"], ["E2", "high"], pages=[3, 99]),
        title("8 Care", page=4),
        text("Clean.", page=4),
    )
    assert [passage.page for passage in found] == [3, 99, 4]
