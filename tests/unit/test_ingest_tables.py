from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import tables
from services.ingest.tables import Grid, GridCell, Row, Table

pytestmark = pytest.mark.unit


def grid(*rows: str) -> Grid:
    """Cells separated by `|`; `-` is one that another cell reaches over."""
    return Grid(
        [[None if c.strip() == "-" else GridCell(c.strip()) for c in r.split("|")] for r in rows]
    )


def one(drawn: Grid) -> Table:
    (table,) = tables.understand(drawn)
    return table


def test_a_fault_table_has_its_header() -> None:
    table = one(grid("Code|Name|Cause|Remedy", "E005|Undervoltage|mains low|check supply"))
    assert table.header == ["Code", "Name", "Cause", "Remedy"]
    assert tables.row_text(table.header, table.rows[0].cells) == (
        "Code: E005 | Name: Undervoltage | Cause: mains low | Remedy: check supply"
    )


def test_an_explanation_in_brackets_makes_no_name_too_long() -> None:
    (table,) = tables.understand(
        grid(
            "Trip value|Says (what the panel of the machine has shown since it was switched on)",
            "2|drum too hot",
            "3|belt slips",
            "7|door open",
        )
    )
    assert table.header[0] == "Trip value"
    assert [row.cells for row in table.rows] == [
        ["2", "drum too hot"],
        ["3", "belt slips"],
        ["7", "door open"],
    ]


def test_rows_that_are_numbered_stand_below_a_header() -> None:
    table = one(grid("Row|K2 (HEX)|Says", "1|42H|drum runs", "2|44H|drum stops", "3|45H|door"))
    assert table.header == ["Row", "K2 (HEX)", "Says"]
    assert one(grid("Zone 1|K2|x", "1|42H|y", "2|44H|z", "3|45H|u")).header == []
    assert one(grid("Drum|K2|x", "2|42H|y", "1|44H|z", "3|45H|u")).header == []


def test_a_chinese_header_is_known() -> None:
    table = one(grid("故障代码|名称|可能原因|处理方法", "E005|欠压|电源低|检查"))
    assert table.header == ["故障代码", "名称", "可能原因", "处理方法"]


def test_keys_and_values_have_no_header() -> None:
    table = one(grid("Rated voltage|380 V", "Rated current|12 A"))
    assert table.header == []
    assert tables.row_text([], table.rows[0].cells) == "Rated voltage | 380 V"


def test_a_code_over_several_rows_stands_in_each() -> None:
    drawn = grid("Code|Cause", "E01|mains low", "-|resistor open")
    drawn.cells[1][0] = GridCell("E01", rows=2)
    assert [row.cells for row in one(drawn).rows] == [
        ["E01", "mains low"],
        ["E01", "resistor open"],
    ]


def test_a_row_over_the_whole_width_groups_those_below() -> None:
    drawn = grid("Code|Name", "Power unit|-", "E01|low", "Motor|-", "E02|hot")
    for index in (1, 3):
        drawn.cells[index][0] = GridCell(drawn.cells[index][0].text, columns=2)  # type: ignore[union-attr]
    assert [(row.group, row.cells[0]) for row in one(drawn).rows] == [
        ("Power unit", "E01"),
        ("Motor", "E02"),
    ]


def test_a_first_row_over_the_whole_width_is_the_caption() -> None:
    drawn = grid("Table 3: Faults|-", "Code|Name", "E01|low")
    drawn.cells[0][0] = GridCell("Table 3: Faults", columns=2)
    table = one(drawn)
    assert (table.caption, table.header) == ("Table 3: Faults", ["Code", "Name"])


def test_a_header_of_two_rows_is_one() -> None:
    drawn = grid("Parameter|Range|-", "-|Min|Max", "P01|0|50", "P02|1|9")
    drawn.cells[0][0] = GridCell("Parameter", rows=2)
    drawn.cells[0][1] = GridCell("Range", columns=2)
    table = one(drawn)
    assert table.header == ["Parameter", "Range Min", "Range Max"]
    assert [row.cells for row in table.rows] == [["P01", "0", "50"], ["P02", "1", "9"]]


def test_stacked_tables_have_their_own_headers() -> None:
    found = tables.understand(
        grid("Code|Name", "E01|low", "Parameter|Unit", "P01|Hz", "Code|Name", "E02|hot")
    )
    assert [(t.header[0], [r.cells[0] for r in t.rows]) for t in found] == [
        ("Code", ["E01"]),
        ("Parameter", ["P01"]),
        ("Code", ["E02"]),
    ]


def test_a_repeated_header_is_dropped() -> None:
    table = one(grid("Code|Name", "E01|low", "Code|Name", "E02|hot"))
    assert [row.cells[0] for row in table.rows] == ["E01", "E02"]


def test_models_below_a_common_name_are_the_header_and_a_common_value_is_of_each() -> None:
    drawn = grid(
        "Item|Model|-|-", "-|B1A24|B2A24|B2A20", "Current|1 A|2 A|2 A", "Balance|active|-|-"
    )
    drawn.cells[0][0] = GridCell("Item", rows=2)
    drawn.cells[0][1] = GridCell("Model", columns=3)
    drawn.cells[3][1] = GridCell("active", columns=3)
    table = one(drawn)
    assert table.header == ["Item", "Model B1A24", "Model B2A24", "Model B2A20"]
    assert [row.cells for row in table.rows] == [
        ["Current", "1 A", "2 A", "2 A"],
        ["Balance", "active", "active", "active"],
    ]


def test_a_sentence_over_several_columns_is_said_once() -> None:
    drawn = grid("Item|Model|-", "-|A1|A2", "Fuse|x|-", "Fan|1|2")
    drawn.cells[0][0] = GridCell("Item", rows=2)
    drawn.cells[0][1] = GridCell("Model", columns=2)
    drawn.cells[2][1] = GridCell(
        "To be replaced by a trained person, and by nobody else", columns=2
    )
    assert one(drawn).rows[0].cells[2] == ""


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("byte1|byte2|byte3-4|byte5", "head|address|speed|check"),
        ("CAN ID|…|DLC|byte1|byte2…byte7|byte8", "01|…|8|30|value|CRC"),
        ("Bit|7|6|5|4", "Name|T3|T2|T1|T0"),
        ("Start flag|Data ID|Data length|Checksum (1 byte)", "0xA5|0x90|8 bytes|0x11"),
    ],
)
def test_a_row_that_counts_is_a_header(head: str, body: str) -> None:
    table = one(grid(head, body))
    assert table.header == head.split("|")
    assert [row.cells for row in table.rows] == [body.split("|")]


@pytest.mark.parametrize(
    "rows",
    [
        ("PD044|Input 1|02", "PD045|Input 2|03", "PD046|Input 3|10"),
        ("bit0|short circuit", "bit1|overload", "bit2|too hot"),
        ("Supply type|DC", "Output type|relay", "Colour|grey"),
        ("KS-1000|20A", "KS-2000|30A", "KS-3000|30A"),
        ("0xDD|0x03|00|good", "0xDD|0x80|01|bad"),
    ],
)
def test_a_first_row_like_the_others_is_no_header(rows: tuple[str, ...]) -> None:
    table = one(grid(*rows))
    assert table.header == []
    assert [row.cells for row in table.rows] == [row.split("|") for row in rows]


def test_zones_over_the_title_block_of_a_drawing_are_no_header() -> None:
    drawn = grid("1|2|3|4|5|6|7|8", "Setpoint channel|-|-|-|-|-|Diagram|-")
    drawn.cells[1][0] = GridCell("Setpoint channel", columns=6)
    drawn.cells[1][6] = GridCell("Diagram", columns=2)
    assert one(drawn).header == []


def test_two_halves_side_by_side_are_one_table_whatever_their_names() -> None:
    table = one(grid("Model|PD009|Model|PD009", "A1|15.0|A3|17", "A2|14.0|A4|16"))
    assert table.header == ["Model", "PD009"]
    assert [row.cells for row in table.rows] == [
        ["A1", "15.0"],
        ["A2", "14.0"],
        ["A3", "17"],
        ["A4", "16"],
    ]


def test_a_last_column_with_a_name_makes_a_header() -> None:
    table = one(grid("x|Control setting", "A|buzzer on or off", "B|overload bypass"))
    assert table.header == ["x", "Control setting"]


def test_a_row_that_only_cells_from_above_reach_into_says_nothing() -> None:
    drawn = grid("Group|Code|Name", "Drive|E1|low", "-| | ", "-|E2|hot")
    drawn.cells[1][0] = GridCell("Drive", rows=3)
    assert [row.cells for row in one(drawn).rows] == [
        ["Drive", "E1", "low"],
        ["Drive", "E2", "hot"],
    ]


CELL = st.text(alphabet=st.sampled_from("ab<>&\"' 1\n电"), max_size=12)


@given(
    st.integers(2, 5).flatmap(
        lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=2)
    )
)
def test_html_carries_every_cell(rows: list[list[str]]) -> None:
    table = Table(["h"] * len(rows[0]), [Row(row) for row in rows])
    back = tables.from_html(tables.to_html(table))
    assert back.heads == 1
    assert [[cell.text for cell in row if cell] for row in back.cells[1:]] == [
        [cell.strip() for cell in row] for row in rows
    ]


@given(st.text(alphabet=st.sampled_from('<>/tabledhr "=12rowspancl')))
def test_any_markup_is_read(text: str) -> None:
    for table in tables.understand(tables.from_html(f"<table>{text}</table>")):
        for row in table.rows:
            tables.row_text(table.header, row.cells)
