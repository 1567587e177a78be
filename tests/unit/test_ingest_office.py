"""Office formats, books and mail: the same list comes out of each, with its place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import Passage
from services.ingest import chunking, partition
from services.ingest.partition import archive, markup, rtf, sheets, shown
from services.ingest.partition.sheets import Sheet
from services.runtime.errors import Rejected
from tests.support import formats
from tests.support.ingest import words

pytestmark = pytest.mark.unit

ROWS = [
    "Code: E001 | Cause: Mains low | Remedy: Check the supply",
    "Code: E002 | Cause: Brake hot | Remedy: Wait, then reset",
    "Code: E003 | Cause: 过温 | Remedy: 检查风扇",
]


def passages_of(path: Path) -> list[Passage]:
    found = partition.read(path, path.name, lambda _done, _total: None)
    return list(chunking.passages(found.elements, words, labels=found.labels))


@pytest.mark.parametrize("name", [n for n in formats.MAKERS if n not in ("a.eml", "a.msg")])
def test_every_format_gives_the_rows_with_their_header(tmp_path: Path, name: str) -> None:
    found = passages_of(formats.MAKERS[name](tmp_path / name))
    rows = [p for p in found if p.kind == "row"]
    assert [p.text for p in rows][:3] == ROWS
    assert [[f.name for f in p.fields] for p in rows[:3]] == [["Code", "Cause", "Remedy"]] * 3


def test_a_workbook_shows_sheet_caption_row_and_values_as_excel_does(tmp_path: Path) -> None:
    assert [(p.section, p.text) for p in passages_of(formats.xlsx(tmp_path / "a.xlsx"))][2:] == [
        ("Alarms > Alarm list of FD40 > row 5", ROWS[2]),
        ("Alarms > Alarm list of FD40 > row 8", "Part: Fan | Spare: P-007 | Since: 2024-03-05"),
        ("Alarms > Alarm list of FD40 > row 9", "Part: Fan | Spare: P-008 | Since: 2024-03-06"),
        ("Old (hidden) > row 2", "Note: Limit | Value: 12.5%"),
    ]


def test_an_old_workbook_has_rows_and_numbers(tmp_path: Path) -> None:
    found = passages_of(formats.xls(tmp_path / "a.xls"))
    assert [(p.section, p.text) for p in found][-1] == (
        "Alarms > row 5",
        "Code: E004 | Cause: 24 | Remedy: x",
    )


def test_slides_are_pages_and_keep_their_notes(tmp_path: Path) -> None:
    found = passages_of(formats.pptx_file(tmp_path / "a.pptx"))
    assert [(p.page, p.section) for p in found] == [(1, "Before you start")] + [(2, "Alarms")] * 3
    assert found[0].text == "Before you start\nSwitch the drive off.\nShow where the switch is."


def test_opendocument_slides_are_pages(tmp_path: Path) -> None:
    found = passages_of(formats.odp(tmp_path / "a.odp"))
    assert [(p.page, p.section) for p in found] == [(1, "Before you start")] + [(2, "Alarms")] * 3


@pytest.mark.parametrize("name", ["a.odt", "a.rtf"])
def test_texts_have_sections(tmp_path: Path, name: str) -> None:
    path = formats.MAKERS[name](tmp_path / name)
    assert partition.read(path, name, lambda _d, _t: None).title == "FD40"
    first, row, *_ = passages_of(path)
    assert first.section == "Faults"
    assert first.text.startswith("Faults\nRead this first")
    assert row.section == "Faults > Table of faults"
    assert "Page of FD40" not in "".join(p.text for p in passages_of(path))


def test_rtf_in_code_pages(tmp_path: Path) -> None:
    (first, *_) = passages_of(formats.rtf(tmp_path / "a.rtf"))
    assert "café, 安全." in first.text


def test_a_book_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    path = formats.epub(tmp_path / "a.epub")
    assert partition.read(path, "a.epub", lambda _d, _t: None).title == "FD40"
    assert [p.section for p in passages_of(path)] == ["Faults", *["Table of faults"] * 3]


@pytest.mark.parametrize("name", ["a.eml", "a.msg"])
def test_messages(tmp_path: Path, name: str) -> None:
    path = formats.MAKERS[name](tmp_path / name)
    found = passages_of(path)
    assert found[0].section.startswith("E005 on line 3")
    text = "\n".join(p.text for p in found)
    assert "The fan of the drive was blocked." in text
    if name == "a.eml":
        assert "From: Wang Lei <wang@example.org>" in text
        assert "Attachments, which are not read: fan.pdf" in text


def test_a_hundred_thousand_rows_keep_their_numbers() -> None:
    rows = [(1, ["Code", "Cause"]), *((n, [f"E{n}", "low"]) for n in range(2, 100_002))]
    found = list(sheets.elements([Sheet("Alarms", rows)]))
    assert max(len(e.metadata.row_groups) for e in found[1:]) <= 250
    last = list(chunking.passages([found[0], found[-1]], words))[-1]
    assert (last.section, last.text) == ("Alarms > row 100001", "Code: E100001 | Cause: low")


def table_texts(rows: list[tuple[int, list[str]]]) -> list[str]:
    found = list(sheets.elements([Sheet("S", rows)]))
    return [p.text for p in chunking.passages(found, words) if p.kind == "row"]


def test_tables_beside_and_below_each_other() -> None:
    rows = [
        (1, ["Code", "Cause", "", "Part", "Spare"]),
        (2, ["E1", "low", "", "Fan", "7"]),
        (4, ["Name", "Value"]),
        (5, ["Limit", "5"]),
        (7, ["Rest", "6"]),
    ]
    assert table_texts(rows) == [
        "Code: E1 | Cause: low",
        "Part: Fan | Spare: 7",
        "Name: Limit | Value: 5",
        # Without a header of its own: an empty row in a long list is no new table.
        "Name: Rest | Value: 6",
    ]


def test_a_sheet_without_header_shows_its_cells() -> None:
    assert table_texts([(1, ["Width", "5", "mm"]), (2, ["Height", "7", "mm"])]) == [
        "Width | 5 | mm",
        "Height | 7 | mm",
    ]


def test_a_formula_counts_with_its_last_value(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["Code", "Cause"])
    sheet.append(["E1", "=1+1"])
    book.save(tmp_path / "a.xlsx")
    # Never calculated by a spreadsheet program: there is no value.
    assert [p.text for p in passages_of(tmp_path / "a.xlsx")] == ["Code: E1"]


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (7, '"E"000', "E007"),
        (5, "0000", "0005"),
        (1234.5, "#,##0.00", "1,234.50"),
        (0.125, "0.0%", "12.5%"),
        (-3, "0;(0)", "(3)"),
        (400, '0" V"', "400 V"),
        (12, "[$€-407]#,##0.00", "€12.00"),
        (2.0, "General", "2"),
        (0.1 + 0.2, "General", "0.3"),
        (True, "General", "TRUE"),
        ("x", "0.00", "x"),
        (None, "0", ""),
        (dt.datetime(2024, 3, 5, 14, 7), "yyyy-mm-dd hh:mm", "2024-03-05 14:07"),  # noqa: DTZ001
        (dt.datetime(2024, 3, 5, 14, 7), "d/m/yy h:mm AM/PM", "5/3/24 2:07 PM"),  # noqa: DTZ001
        (dt.date(2024, 3, 5), "mm-dd-yy", "2024-03-05"),
        (dt.time(4, 7, 9), "hh:mm:ss", "04:07:09"),
        (dt.timedelta(hours=30, minutes=5), "[h]:mm", "30:05:00"),
        (float("nan"), "0", "nan"),
    ],
)
def test_values_are_shown_as_the_sheet_shows_them(value: Any, code: str, text: str) -> None:
    assert shown.text(value, code) == text


@given(
    st.one_of(st.floats(), st.integers(-(10**30), 10**30), st.datetimes(), st.times()),
    st.text(alphabet='0#?.,%;E+-"\\[]$@ ymdhs/apAPM_*x', max_size=20),
)
def test_no_number_format_breaks_a_value(value: Any, code: str) -> None:
    assert isinstance(shown.text(value, code), str)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_rtf_reader(data: bytes) -> None:
    rtf._Reader().run(b"{\\rtf1 " + data)


def test_xml_with_entities_is_refused() -> None:
    with pytest.raises(Rejected, match="entities of its own"):
        markup.parse(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')


def test_an_archive_of_too_many_parts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = formats.odt(tmp_path / "a.odt")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(Rejected, match="it has 3 parts"):
        passages_of(path)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MAX_TOTAL", 10)
    with pytest.raises(Rejected, match="it unpacks to"):
        passages_of(path)
