"""A cell with several causes or remedies, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.items import items

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1. Mains low 2. Phase missing 3. Fuse", ["Mains low", "Phase missing", "Fuse"]),
        ("1、短路2、接线过长</br>3、模块过热", ["短路", "接线过长", "模块过热"]),
        ("1、输入电压不在范围内", ["输入电压不在范围内"]),
        ("(1) Check A (2) Check B", ["Check A", "Check B"]),
        ("（1）检查A；（2）检查B", ["检查A", "检查B"]),
        ("①短路②过载", ["短路", "过载"]),
        ("a) wiring\nb) supply", ["wiring", "supply"]),
        ("- check fan\n- check\n  filter", ["check fan", "check filter"]),
        ("-increase p1121\n- set p1130", ["increase p1121", "set p1130"]),
        ("- check fan. - check filter", ["check fan.", "check filter"]),
        ("● 检查风扇 ● 检查滤网", ["检查风扇", "检查滤网"]),
        ("mains low; brake resistor", ["mains low", "brake resistor"]),
        ("电压低；缺相", ["电压低", "缺相"]),
        ("Load too high\nCable too long", ["Load too high", "Cable too long"]),
        ("电网电压过低\n缺相", ["电网电压过低", "缺相"]),
        ("检查电源是否接入了电\n源。", ["检查电源是否接入了电源。"]),
        ("Check the\nsupply voltage", ["Check the supply voltage"]),
        (
            "Fault: check A.\n- b is low.\n- c is high.",
            ["Fault: check A.", "b is low.", "c is high."],
        ),
        ("No enable signal. PLC stopped.", ["No enable signal.", "PLC stopped."]),
        ("Lost phase (R; S; T)", ["Lost phase (R; S; T)"]),
        ("KTY:\nThe motor is too hot.", ["KTY: The motor is too hot."]),
        (
            "Short circuit between phases or to earth\nIGBT module damaged\nCable too long",
            ["Short circuit between phases or to earth", "IGBT module damaged", "Cable too long"],
        ),
        (
            "Take U, V, W off; if it stays away, test the cable\nSend it for repair",
            ["Take U, V, W off; if it stays away, test the cable", "Send it for repair"],
        ),
        (
            "检查进线熔断器，拧紧\n输入端子，确认电压不\n低于下限\n更换接触器",
            ["检查进线熔断器，拧紧输入端子，确认电压不低于下限", "更换接触器"],
        ),
        (
            "Mostly the cable is at fault; a bad module is rare. Test both.",
            ["Mostly the cable is at fault; a bad module is rare.", "Test both."],
        ),
        (
            "- Switch off.\n- Restore. Examples:\n1. From the card.\n2. From the panel.",
            ["Switch off.", "Restore. Examples:", "From the card.", "From the panel."],
        ),
        # Numbers that count nothing stay.
        ("Voltage above 1.5 kV or 2.4 V", ["Voltage above 1.5 kV or 2.4 V"]),
        ("1. Set P1 = 2. Then start 2. Wait", ["Set P1 = 2. Then start", "Wait"]),
        ("Set the jumper to 1. Restart", ["Set the jumper to 1.", "Restart"]),
        ("-10 °C is too cold", ["-10 °C is too cold"]),
        ("short-circuit in motor-side cable", ["short-circuit in motor-side cable"]),
        ("Mains low, phase missing, fuse blown", ["Mains low, phase missing, fuse blown"]),
        ("电压、电流过大", ["电压、电流过大"]),
        # What stands behind a list is none of its last item.
        (
            "1) fan stuck\n2) fuse blown\nFault value (r7, decimal):\n3: phase V",
            ["fan stuck", "fuse blown", "Fault value (r7, decimal): 3: phase V"],
        ),
        ("- fan stuck. Note: see P7", ["fan stuck.", "Note: see P7"]),
        ("- note the value (P7)\n- wait", ["note the value (P7)", "wait"]),
        # Nothing said.
        ("-", []),
        ("—", []),
        ("N/A", []),
        ("无", []),
        ("", []),
    ],
)
def test_items(cell: str, expected: list[str]) -> None:
    assert items(cell) == expected


SAFE = st.sampled_from(
    ["mains too low", "phase missing", "fuse blown", "风扇损坏", "电网电压过低", "p0640 wrong"]
)
STYLES = {
    "dots": lambda n, word: f"{n}. {word}\n",
    "commas": lambda n, word: f"{n}、{word}",
    "brackets": lambda n, word: f"({n}) {word} ",
    "wide brackets": lambda n, word: f"（{n}）{word}；",
    "half brackets": lambda n, word: f"{n}) {word}; ",
    "circles": lambda n, word: f"{chr(0x245F + n)}{word}",
    "breaks": lambda n, word: f"{n}.{word}</br>",
    "dashes": lambda _, word: f"- {word}\n",
    "dots of ink": lambda _, word: f"• {word} ",
    "semicolons": lambda _, word: f"{word};",
    "wide semicolons": lambda _, word: f"{word}；",
}


@given(words=st.lists(SAFE, min_size=1, max_size=9), style=st.sampled_from(sorted(STYLES)))
def test_every_style_of_list_gives_its_items_back(words: list[str], style: str) -> None:
    # Without a space a Latin word glues to the next counter: nobody prints that.
    separator = " " if style in ("commas", "circles") else ""
    cell = separator.join(STYLES[style](n, word) for n, word in enumerate(words, 1))
    assert items(cell) == words


@given(st.text(alphabet="kmXYZ电压过低。0123456789.,:;；、()（）①②③•●-– \n", max_size=120))
def test_no_letter_is_lost_or_moved(cell: str) -> None:
    def letters(text: str) -> str:
        return "".join(c for c in text if c.isalpha())

    assert letters("".join(items(cell))) == letters(cell)


@given(st.text(max_size=200))
def test_items_are_trimmed_words_of_the_cell(cell: str) -> None:
    squeezed = "".join(cell.split())
    for item in items(cell):
        assert item == item.strip()
        assert any(c.isalnum() for c in item)
        assert "".join(item.split()) in squeezed.replace("<br>", "").replace("</br>", "")
