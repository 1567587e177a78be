"""What a passage becomes in the corpus: which codes it defines, leads with or mentions."""

from __future__ import annotations

import msgspec
import pytest

from schemas.retrieval import DocumentRef, Field, Passage
from services.retriever.records import (
    DEFINES,
    LEADS,
    MENTIONS,
    as_printed,
    passage_codes,
    passage_of,
    prepare,
    text_to_embed,
)

pytestmark = pytest.mark.unit

DOCUMENT = DocumentRef(doc_id="d", revision=1, title="AX5 drive", file="ax5_manual.pdf")


def row(*fields: tuple[str, str], kind: str = "row") -> Passage:
    text = " | ".join(f"{name}: {value}" for name, value in fields)
    return Passage(ordinal=0, kind=kind, text=text, fields=[Field(n, v) for n, v in fields])  # type: ignore[arg-type]


def test_the_first_cell_of_a_row_is_what_it_defines() -> None:
    found = passage_codes(row(("Code", "E005"), ("Cause", "as E007 but shorter")))
    assert found == {"E005": DEFINES, "E007": MENTIONS}


def test_the_code_may_stand_in_a_later_column() -> None:
    found = passage_codes(row(("Name", "Undervoltage"), ("Display", "E.LU"), ("Remedy", "wait")))
    assert found["ELU"] == DEFINES


@pytest.mark.parametrize("header", ["Code", "Alarm", "故障代码", "No."])
def test_a_bare_number_is_a_code_where_the_header_says_so(header: str) -> None:
    assert passage_codes(row((header, "18"), ("Fault", "limit switch")))["#18"] == DEFINES


def test_a_bits_number_is_no_fault_wherever_its_table_was_torn() -> None:
    """A table that goes on has its first row for a header: `07 | Fault` names no list of faults."""
    bit = row(("07", "15"), ("Fault", "Start count. bit 3"), ("Yes", "ON"))
    status = msgspec.structs.replace(bit, section="2 Parameters > r1250 Restart status")
    named = row(("No.", "15"), ("Signal", "Fault active"))
    of_word = msgspec.structs.replace(named, section="2 Parameters > r2170.0...15 Fault word")
    for passage in (bit, status, of_word):
        assert passage_codes(passage).get("#15", MENTIONS) == MENTIONS
    listed = msgspec.structs.replace(bit, section="7 Faults")
    assert passage_codes(listed)["#15"] == DEFINES


def test_a_bare_number_under_code_in_a_table_of_something_else_is_weaker() -> None:
    assert passage_codes(row(("Code", "18"), ("Setting", "baud rate"))) == {"#18": MENTIONS}


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("$-Code", "$18"),
        ("Pr.", "PR18"),
        ("Pr. No.", "PR18"),
        ("Parameter number", "PAR18"),
        ("参数号", "PAR18"),
    ],
)
def test_a_header_tells_the_mark_of_bare_numbers(header: str, code: str) -> None:
    found = passage_codes(row((header, "18"), ("Meaning", "step pulse")))
    assert (found[code], found["#18"]) == (DEFINES, MENTIONS)


def test_a_number_under_another_header_has_no_mark() -> None:
    assert set(passage_codes(row(("Code", "18"), ("Factory setting", "7")))) == {"#18"}


def test_a_heading_that_is_a_setting_leads_with_it() -> None:
    passage = Passage(ordinal=0, text="$H - Run homing cycle", section="Commands > $H - Run homing")
    assert passage_codes(passage)["$H"] == LEADS
    priced = Passage(ordinal=0, text="it costs US$130 or 4,000 $")
    assert "$130" not in passage_codes(priced)


@pytest.mark.parametrize(
    ("canonical", "cell", "text", "printed"),
    [
        ("EOC1", "E.OC1", "", "E.OC1"),
        ("P0.17", "P0-17, P0-18", "", "P0-17"),
        ("P1120", "", "set p1120 first", "p1120"),
        ("ERR18", "", "shows Err18", "Err18"),
        ("F9", "other", "nothing", "F9"),
    ],
)
def test_a_code_is_told_as_it_is_printed(
    canonical: str, cell: str, text: str, printed: str
) -> None:
    fields = [Field("Code", cell)] if cell else []
    passage = Passage(ordinal=0, text=text or cell, fields=fields)
    assert as_printed(canonical, passage) == printed


def test_the_code_column_goes_before_the_running_number() -> None:
    found = passage_codes(row(("序号", "22"), ("故障名称", "短路"), ("故障代码", "ERR23")))
    assert found["ERR23"] == DEFINES
    assert "#22" not in found


def test_a_bare_number_is_none_under_another_header() -> None:
    assert passage_codes(row(("Quantity", "18"), ("Part", "screw"))) == {}


def test_several_codes_in_a_cell_are_all_defined() -> None:
    found = passage_codes(row(("Fault code", "E01, E02"), ("Cause", "overcurrent")))
    assert (found["E01"], found["E02"]) == (DEFINES, DEFINES)


def test_an_entry_defines_the_code_of_its_heading() -> None:
    entry = Passage(ordinal=0, kind="entry", text="F30002 DC link overvoltage\nSee also F30003")
    assert passage_codes(entry) == {"F30002": DEFINES, "F30003": MENTIONS}


def test_the_rest_of_a_long_entry_does_not_define_its_code() -> None:
    text = "F30002 DC link overvoltage (continued)\nRe value 2: wait"
    fields = [Field("Title", "F30002 DC link overvoltage (continued)")]
    rest = Passage(ordinal=1, kind="entry", text=text, fields=fields)
    assert passage_codes(rest) == {"F30002": LEADS}


def test_a_code_that_begins_a_line_of_text_leads_it() -> None:
    text = Passage(ordinal=0, text="The list:\nE005 undervoltage\nE006 see E007")
    assert passage_codes(text) == {"E005": LEADS, "E006": LEADS, "E007": MENTIONS}


def test_the_section_a_passage_stands_in_counts_as_lead() -> None:
    text = Passage(ordinal=0, section="7 Faults > E005 Undervoltage", text="Check the mains.")
    assert passage_codes(text) == {"E005": LEADS}


def test_a_record_keeps_the_passage_and_its_words() -> None:
    passage = row(("Code", "E005"), ("Cause", "mains low"))
    (record,) = prepare(DOCUMENT, [passage])
    assert passage_of(record.content) == passage
    assert {"ax5", "driv", "manual"} <= set(record.head.split())
    assert {"e005", "e5", "main", "low"} <= set(record.body.split())
    assert record.codes == (("E005", "E5", DEFINES),)


def test_the_model_reads_title_section_and_text() -> None:
    passage = Passage(ordinal=0, section="7 Faults", text="Check the mains.")
    assert text_to_embed("AX5", passage) == "AX5\n7 Faults\nCheck the mains."
    assert text_to_embed("", Passage(ordinal=0, text="x")) == "x"


@pytest.mark.parametrize(
    ("header", "others"),
    [
        ("No.", (("Parameter", "delay"), ("Ternary default", "30"))),
        ("Bit No.", (("Control word, faults/alarms", "reserved"),)),
        ("No.", (("Fault phenomenon", "it hums"), ("Remedy", "tighten"))),
        ("序号", (("故障现象", "不转"), ("解决方法", "检查"))),
    ],
)
def test_a_rows_running_number_is_only_mentioned(
    header: str, others: tuple[tuple[str, str], ...]
) -> None:
    assert passage_codes(row((header, "18"), *others)).get("#18", MENTIONS) == MENTIONS


def test_a_heading_leads_with_its_number_but_not_with_that_of_a_word_in_it() -> None:
    fault = Passage(ordinal=0, text="it is hot", section="Faults > Fault 18 overheating")
    assert passage_codes(fault)["#18"] == LEADS
    word = Passage(ordinal=0, text="bits", section="Status > Status word of alarm 18")
    assert passage_codes(word)["#18"] == MENTIONS


def test_a_command_with_a_cell_of_its_own_is_what_its_row_is_about() -> None:
    found = passage_codes(
        row(("Message", "MOS status"), ("Data ID", "0x93"), ("Note", "at 0x01 ..."))
    )
    assert found["0X93"] == LEADS
    assert found["0X01"] == MENTIONS


def test_a_code_is_printed_without_the_marks_of_markdown() -> None:
    assert as_printed("E33", row(("Message", "**E33**"), ("Title", "overspeed"))) == "E33"


@pytest.mark.parametrize("header", ["Min", "From", "Factory setting", "Bit", "默认值"])
def test_a_number_under_a_header_of_values_is_no_fault(header: str) -> None:
    passage = row((header, "30"), ("Meaning", "Fault buffer"))
    assert passage_codes(passage) == {}


def test_a_row_of_numbers_alone_defines_none() -> None:
    passage = row(("", "1"), ("", "2"), ("", "3"))
    passage = msgspec.structs.replace(passage, section="Faults")
    assert passage_codes(passage) == {}


def test_a_number_leads_a_line_with_its_title_not_a_box_of_a_diagram() -> None:
    drawn = Passage(ordinal=0, kind="text", text="Buffer\nFault 2 r2133[1]\nFault 3\n(oldest)")
    assert passage_codes(drawn)["#2"] == passage_codes(drawn)["#3"] == MENTIONS
    told = Passage(ordinal=0, kind="text", text="List\nFault 2: Oil level\n故障 3 油位低")
    assert passage_codes(told)["#2"] == passage_codes(told)["#3"] == LEADS
