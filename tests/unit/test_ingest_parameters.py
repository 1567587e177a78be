"""Parameters of drives: a code and a name, range, unit and default, then a description."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import faults, parameters
from services.ingest.units import Block, Entry

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        ("PD013 Parameter Reset", "PD013", "Parameter Reset"),
        ("PD014Accel. Time 1 **", "PD014", "Accel. Time 1"),
        ("*PD156 Proportional Constant (P) **", "PD156", "Proportional Constant (P)"),
        ("P0-17 加速时间1", "P0-17", "加速时间1"),
        ("P0-08预置频率", "P0-08", "预置频率"),
        ("P1.02 Acceleration time", "P1.02", "Acceleration time"),
        ("Pr.7 Acceleration time", "Pr.7", "Acceleration time"),
        ("Pr. 7 Acceleration time", "Pr. 7", "Acceleration time"),
        ("b3-05 Speed search delay", "b3-05", "Speed search delay"),
        ("F0.01: Control mode", "F0.01", "Control mode"),
        ("0x6040 Controlword", "0x6040", "Controlword"),
        ("n1.02 Start frequency", "n1.02", "Start frequency"),
        ("r0945[0...63] Fault code / Fault code", "r0945", "Fault code / Fault code"),
        ("r0722.0...12 CO/BO: Status", "r0722", "CO/BO: Status"),
        ("H07_12 Torque limit", "H07_12", "Torque limit"),
        ("3-41 Ramp 1 Ramp Up Time", "3-41", "Ramp 1 Ramp Up Time"),
        ("PD011 Lower Limit ** Set Range：0.00—400.00 Unit：0.01 Hz", "PD011", "Lower Limit"),
    ],
)
def test_headings(text: str, code: str, name: str) -> None:
    head = parameters.heading(text)
    assert head is not None
    assert (head.code, head.name) == (code, name)


@pytest.mark.parametrize(
    "text",
    [
        "PD057 PD059",
        "PD001=1 for external control",
        "PD065 is set to 2.",
        "Page 12 of 30",
        "Note1 See below",
        "12 A",
        "7.2 Codes",
        "Overview",
        "",
    ],
)
def test_other_texts_are_none(text: str) -> None:
    assert parameters.heading(text) is None


@pytest.mark.parametrize(
    ("text", "parts", "rest"),
    [
        (
            "Set Range：00—10 Unit：1 Factory Setting：00",
            [("Set Range", "00—10"), ("Unit", "1"), ("Factory Setting", "00")],
            "",
        ),
        (
            "Set Range：0—1 Unit：1 Factory Setting：0 0：STOP invalid. 1：STOP valid.",
            [("Set Range", "0—1"), ("Unit", "1"), ("Factory Setting", "0")],
            "0：STOP invalid. 1：STOP valid.",
        ),
        (
            "Range: 0.1 - 10.0 Hz Default: 0.5 Starting frequency is the frequency at start.",
            [("Range", "0.1 - 10.0 Hz"), ("Default", "0.5")],
            "Starting frequency is the frequency at start.",
        ),
        (
            "设定范围：0~1 单位：1 出厂值：0",
            [("设定范围", "0~1"), ("单位", "1"), ("出厂值", "0")],
            "",
        ),
        ("【缺省】0.5s", [("缺省", "0.5s")], ""),
        ("- Range (Hz): 0 - 10", [("Range", "0 - 10")], ""),
        (
            "Access level: 3 Calculated: - Data type: FloatingPoint32",
            [("Access level", "3"), ("Calculated", "-"), ("Data type", "FloatingPoint32")],
            "",
        ),
    ],
)
def test_lines_of_parts(text: str, parts: list[tuple[str, str]], rest: str) -> None:
    line = parameters.settings(text)
    assert line is not None
    assert (line.parts, line.rest) == (parts, rest)


def found(*texts: str) -> list[Entry]:
    """The entries among blocks; `# ` marks a heading, `|` a table."""
    return list(
        faults.find(
            [Block(t.lstrip("#| "), t.startswith("#"), 2, t.startswith("|")) for t in texts]
        )
    )


LINE = "Set Range：0—10 Unit：1 Factory Setting：00"


def test_each_parameter_is_an_entry_apart_from_its_neighbours() -> None:
    first, reserved, last = found(
        "PD011 Frequency Lower Limit ** Set Range：0.00—400.00 Unit：0.01 Hz Factory Setting：0.00",
        "It must be less than the upper limit.",
        "PD012 Reserved",
        "PD013 Parameter Reset",
        LINE,
        "08 restores the factory setting.",
        "0: none",
        "IX. Wiring",
        "Plug",
    )
    assert first.fields == [
        ("Code", "PD011"),
        ("Name", "Frequency Lower Limit"),
        ("Set Range", "0.00—400.00"),
        ("Unit", "0.01 Hz"),
        ("Factory Setting", "0.00"),
        ("Description", "It must be less than the upper limit."),
    ]
    assert reserved.text == "PD012 Reserved"
    assert last.text == (
        "PD013 Parameter Reset\nSet Range: 0—10\nUnit: 1\nFactory Setting: 00\n"
        "Description: 08 restores the factory setting.\n0: none"
    )


def test_headings_may_be_headings_and_parts_in_columns() -> None:
    first, second = found(
        "# p1120[0...n] Ramp-up time / RFG t_ramp-up",
        "CU240B-2 Access level: 1 Calculated: - Data type: FloatingPoint32",
        "CU240E-2 Can be changed: C(1), U, T Scaling: - Dyn. index: DDS, p0180",
        "Min Max Factory setting",
        "0.000 [s] 999999.000 [s] 10.000 [s]",
        "Description: Sets the ramp-up time.",
        "Note: Only with p1082.",
        "# r0945 Fault code",
        "Access level: 3 Calculated: - Data type: Unsigned16",
    )
    fields = dict(first.fields)
    assert first.printed == "p1120[0...n] Ramp-up time / RFG t_ramp-up"
    assert (fields["Code"], fields["Min"], fields["Max"], fields["Factory setting"]) == (
        "p1120",
        "0.000 [s]",
        "999999.000 [s]",
        "10.000 [s]",
    )
    assert (fields["Description"], fields["Note"]) == (
        "Sets the ramp-up time.",
        "Only with p1082.",
    )
    assert second.fields[0] == ("Code", "r0945")


def test_a_table_of_one_row_with_the_description_in_its_first_column() -> None:
    (entry,) = found(
        "# r0002 Drive display", "Access level: 2 Data type: Integer16",
        "| Min: 0 Description: Tells the state. | Max: 250 | Factory setting: -",
    )  # fmt: skip
    assert entry.fields[4:] == [
        ("Min", "0"),
        ("Max", "250"),
        ("Factory setting", "-"),
        ("Description", "Tells the state."),
    ]


def test_chinese_parameters() -> None:
    first, second = found(
        "P0-17 加速时间1", "设定范围：0.0s~6500.0s 出厂值：10.0s", "从零到最大频率所需时间。",
        "P0-18 减速时间1", "设定范围：0.0s~6500.0s 出厂值：20.0s",
    )  # fmt: skip
    assert first.fields == [
        ("Code", "P0-17"),
        ("Name", "加速时间1"),
        ("设定范围", "0.0s~6500.0s"),
        ("出厂值", "10.0s"),
        ("Description", "从零到最大频率所需时间。"),
    ]
    assert ("出厂值", "20.0s") in second.fields


def test_what_is_said_of_several_together_is_said_of_each() -> None:
    entries = found(
        "PD014 Accel. Time 1", LINE, "PD015 Decel. Time 1", LINE, "Ramp-up time means …",
        "PD056 Skip Frequency 1", "PD057 Skip Frequency 2", LINE, "They avoid resonance.",
        "PD101 Timer 1 Factory Setting 10.0**", "PD102 Timer 2 Factory Setting 5.0",
        "Set Range：0.0—6500.0S Unit：0.1S", "Running times.",
    )  # fmt: skip
    fields = {entry.heads[0][1]: dict(entry.fields) for entry in entries}
    assert list(fields) == ["PD014", "PD015", "PD056", "PD057", "PD101", "PD102"]
    assert fields["PD014"]["Description"] == "Ramp-up time means …"
    assert fields["PD056"]["Set Range"] == "0—10"
    assert fields["PD056"]["Description"] == "They avoid resonance."
    assert (fields["PD101"]["Factory Setting"], fields["PD102"]["Factory Setting"]) == (
        "10.0**",
        "5.0",
    )
    assert fields["PD101"]["Set Range"] == "0.0—6500.0S"


def test_a_description_is_no_neighbours_where_their_lines_differ() -> None:
    first, second = found(
        "PD073 Lower Analog Frequency", "Set Range：0.00—400.00 Hz Unit：0.01 Hz",
        "PD075 Bias Direction", "Set Range：0—1 Unit：1", "0：Positive", "1：Negative",
    )  # fmt: skip
    assert "Description" not in dict(first.fields)
    assert dict(second.fields)["Description"] == "0：Positive\n1：Negative"


def test_a_long_description_of_several_is_one_entry_of_all() -> None:
    (entry,) = found(
        "PD044 Input 1 Factory Setting：02", "PD045 Input 2 Factory Setting：03",
        "Set Range：00—32 Unit：1", "00: none " * 500,
    )  # fmt: skip
    assert entry.heads == [("Code", "PD044, PD045"), ("Name", "Input 1 / Input 2")]
    assert "\nPD045: Input 2; Factory Setting: 03; Set Range: 00—32; Unit: 1\n" in entry.text


def test_labels_of_diagrams_are_no_parameters() -> None:
    (entry,) = found(
        "PD059 Skip Range", LINE, "F", "PD058", "PD057 PD059", "t1 Select Ramp Time 4",
        "They are set for avoiding resonance.",
    )  # fmt: skip
    assert entry.end == 7


def test_a_bold_step_of_a_list_does_not_end_a_parameter() -> None:
    (entry,) = found(
        "PD081 Auto PLC", LINE, "1. Stop.", "Words.", "2. Cycle.", "#3. Stop later", "More."
    )
    assert entry.end == 7


def test_a_parameter_in_bold_below_one_with_a_heading_is_apart_a_model_is_not() -> None:
    first, second = found(
        "# p0804 Data transfer",
        "CU240B-2_DP",
        "CU240E-2_DP Access level: 3 Calculated: - Data type: Integer16",
        "Description: Sets the number.",
        "b3-05 Speed search delay Setting range: 0.0 to 20.0 s Default: 0.2 s",
        "Delays the start.",
    )
    assert (first.heads[0][1], second.heads[0][1]) == ("p0804", "b3-05")
    assert dict(first.fields)["Description"] == "Sets the number."
    assert "CU240E-2_DP\nAccess level: 3\n" in first.text


def test_faults_after_parameters_are_faults() -> None:
    first, second = found("P1 Speed", LINE, "E01 Overcurrent", "Cause: short", "Remedy: check")
    assert (first.parameter, second.parameter) == (True, False)
    assert second.heads == [("Code", "E01"), ("Title", "Overcurrent")]


TEXTS = st.sampled_from(
    ["PD1 Low", "# PD2 High", LINE, "Range: 1 Default: 2 and more words than fit on a line",
     "plain", "|table", "#Chapter", "PD3 Name Factory Setting：1", "E3 text",
     "Cause: a", "Remedy: b", "Min Max", "1 2", "PD4 Reserved", "3. step"]
)  # fmt: skip


@given(st.lists(TEXTS, max_size=30))
def test_entries_lie_apart_and_keep_every_word(texts: list[str]) -> None:
    blocks = [Block(t.lstrip("#| "), t.startswith("#"), 2, t.startswith("|")) for t in texts]
    reached = 0
    for entry in faults.find(blocks):
        assert reached <= entry.start < entry.end <= len(blocks)
        reached = entry.end
        for block in blocks[entry.start : entry.end]:
            if not block.table:
                assert all(word in entry.text for word in re.split(r"[\s:：]+", block.text))
