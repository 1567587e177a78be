from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import faults
from services.ingest.faults import Block

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "code", "title"),
    [
        ("F01001 FloatingPoint exception", "F01001", "FloatingPoint exception"),
        (
            "A01009 (N) CU: Control module overtemperature",
            "A01009",
            "CU: Control module overtemperature",
        ),
        ("N01004 (F, A) Internal software error", "N01004", "Internal software error"),
        ("E.OC1 Overcurrent during acceleration", "E.OC1", "Overcurrent during acceleration"),
        ("E005：直流母线欠压", "E005", "直流母线欠压"),
        ("故障代码 E005 直流母线欠压", "E005", "直流母线欠压"),
        ("Fault 12: Encoder lost", "12", "Encoder lost"),
        ("Alarm code: AL-021 Motor overload", "AL-021", "Motor overload"),
        ("Err12", "Err12", ""),
        ("0x2310 Overcurrent", "0x2310", "Overcurrent"),
    ],
)
def test_headings_of_faults(text: str, code: str, title: str) -> None:
    assert faults.heading(text) == (code, title)


@pytest.mark.parametrize(
    "text",
    ["Page 12", "PAGE 12 OF 30", "ISO 9001", "IEC 61800-3", "Overview", "12 A", "7.2 Codes", ""],
)
def test_other_texts_are_none(text: str) -> None:
    assert faults.heading(text) is None


def blocks(*texts: str) -> list[Block]:
    """Blocks; `# ` marks a heading, `|` a table."""
    return [
        Block(t.lstrip("# |"), t.startswith("#"), 2 if t.startswith("# ") else 1, t.startswith("|"))
        for t in texts
    ]


def test_faults_without_a_code_are_entries_by_their_symptom() -> None:
    first, second = faults.find(
        blocks(
            "1、故障现象：电机不转",
            "可能原因：电源未接通",
            "处理方法：检查电源",
            "2、故障现象：电机过热",
            "原因：负载过大",
            "对策：减小负载",
        )
    )
    assert first.fields == [
        ("故障现象", "电机不转"),
        ("可能原因", "电源未接通"),
        ("处理方法", "检查电源"),
    ]
    assert second.text == "故障现象: 电机过热\n原因: 负载过大\n对策: 减小负载"


def test_a_symptom_within_an_entry_is_a_part_of_it() -> None:
    (entry,) = faults.find(
        blocks("# E01 Overcurrent", "Symptom: it trips", "Cause: short", "Remedy: check")
    )
    assert [name for name, _ in entry.fields] == ["Code", "Title", "Symptom", "Cause", "Remedy"]


def test_an_entry_has_its_parts() -> None:
    (entry,) = faults.find(
        blocks(
            "# E005 Undervoltage",
            "Reaction: OFF2",
            "Cause: The mains is low.",
            "Fault value:",
            "1: phase lost",
            "Remedy: - check the mains",
            "- check the fuses",
        )
    )
    assert entry.fields == [
        ("Code", "E005"),
        ("Title", "Undervoltage"),
        ("Reaction", "OFF2"),
        ("Cause", "The mains is low.\nFault value:\n1: phase lost"),
        ("Remedy", "- check the mains\n- check the fuses"),
    ]
    assert entry.text.startswith("E005 Undervoltage\nReaction: OFF2\nCause: ")


def test_neighbours_are_not_mixed() -> None:
    found = list(
        faults.find(
            blocks(
                "# E005 Undervoltage",
                "Cause: mains low",
                "Remedy: check",
                "# E006 Overvoltage",
                "Cause: mains high",
                "Remedy: wait",
                "# E007 Reserved",
                "# Maintenance",
                "Cause: none",
            )
        )
    )
    assert [dict(entry.fields)["Code"] for entry in found] == ["E005", "E006"]
    assert "wait" not in found[0].text
    assert "Reserved" not in found[1].text


def test_chinese_entries() -> None:
    (entry,) = faults.find(
        blocks("# E005 直流母线欠压", "故障原因：电网电压过低", "处理方法：检查电源", "检查熔断器")
    )
    assert entry.fields[2:] == [("故障原因", "电网电压过低"), ("处理方法", "检查电源\n检查熔断器")]


def test_labels_on_lines_of_their_own() -> None:
    (entry,) = faults.find(
        blocks("# E1 Low", "Possible causes", "mains", "Corrective action", "check")
    )
    assert entry.fields[2:] == [("Possible causes", "mains"), ("Corrective action", "check")]


def test_plain_text_needs_two_labels() -> None:
    assert not list(faults.find(blocks("E005 is shown when", "Cause: unclear")))
    assert list(faults.find(blocks("E005 Undervoltage", "Cause: low", "Remedy: check")))


def test_a_chapter_ends_the_last_entry() -> None:
    (entry,) = faults.find(
        blocks("# E1 Low", "Cause: mains", "Remedy: check", "#Spare parts", "Fan")
    )
    assert (entry.end, dict(entry.fields)["Remedy"]) == (3, "check")


def test_without_headings_the_last_entry_ends_with_its_own_words() -> None:
    found = list(
        faults.find(
            blocks(
                "E005 Undervoltage",
                "The drive has stopped.",
                "Cause: The mains is low.",
                "It may be one phase only.",
                "Remedy:",
                "Check in this order:",
                "1. the mains",
                "- the fuses, which are",
                "in the cabinet",
                "Appendix A Spare parts",
                "Fan P-007",
                "Warranty",
                "Description: two years",
                "All rights reserved.",
            )
        )
    )
    assert [(entry.start, entry.end) for entry in found] == [(0, 9)]
    assert found[0].fields[2:] == [
        ("Description", "The drive has stopped."),
        ("Cause", "The mains is low.\nIt may be one phase only."),
        (
            "Remedy",
            "Check in this order:\n1. the mains\n- the fuses, which are\nin the cabinet",
        ),
    ]


def test_a_table_within_is_told_and_one_after_is_not() -> None:
    (entry,) = faults.find(blocks("# E1 Low", "Cause: m", "|table", "Remedy: check", "|after"))
    assert (entry.tables, entry.end) == ([2], 4)


def test_the_bits_of_a_fault_value_stay_with_the_fault() -> None:
    bits = "|Bit 0: phase U\nBit 1: phase V"
    (entry,) = faults.find(blocks("# E1 Low", "Cause: Fault value:", bits, "Remedy: check"))
    assert entry.tables == [2]
    assert entry.fields[2:] == [
        ("Cause", "Fault value:\nBit 0: phase U\nBit 1: phase V"),
        ("Remedy", "check"),
    ]


def test_an_empty_table_adds_nothing_to_what_is_before_it() -> None:
    (entry,) = faults.find(blocks("# E1 Low", "Cause: a", "|", "Remedy: check"))
    assert entry.tables == [2]
    assert [part.texts for part in entry.parts] == [[(1, "a")], [(3, "check")]]


TEXTS = st.sampled_from(
    ["# E1 Low", "# E2 High", "Cause: a", "Remedy: b", "plain", "|table", "#Chapter", "E3 text"]
)


@given(st.lists(TEXTS, max_size=30))
def test_entries_lie_apart_and_keep_every_word(texts: list[str]) -> None:
    given_blocks = blocks(*texts)
    reached = 0
    for entry in faults.find(given_blocks):
        assert reached <= entry.start < entry.end <= len(given_blocks)
        reached = entry.end
        inside = [b for i, b in enumerate(given_blocks[entry.start : entry.end], entry.start)]
        for block in inside:
            if not block.table:
                assert all(word.strip(":") in entry.text for word in block.text.split())


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        ("Common Causes", "Immediate Action"),
        ("Typical Causes", "Diagnostic Steps"),
        ("Root cause", "Resolution"),
        ("Likely causes", "Action required"),
        ("常见原因", "解决措施"),
        ("故障的原因", "处理方法"),
    ],
)
def test_what_people_call_cause_and_remedy(cause: str, remedy: str) -> None:
    (entry,) = faults.find(
        blocks("# K07 - Drum jammed", f"{cause}: lint", f"{remedy}:", "Stop it.", "Clean it.")
    )
    assert entry.fields == [
        ("Code", "K07"),
        ("Title", "Drum jammed"),
        (cause, "lint"),
        (remedy, "Stop it.\nClean it."),
    ]
