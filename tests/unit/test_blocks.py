"""Running text taken apart into its matters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.blocks import Block, blocks

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "P0-15 载波频率\n范围：0.5~16.0kHz\nP0-16 转向",
            [Block("P0-15 载波频率", ["范围：0.5~16.0kHz"]), Block("P0-16 转向", [])],
        ),
        # A sentence that begins with a code heads nothing.
        ("F02 is the fuse.\nIt is small.", [Block("", ["F02 is the fuse.", "It is small."])]),
        ("b) Balance current\nSet it.", [Block("b) Balance current", ["Set it."])]),
        # What follows one another is a list.
        (
            "b) check the fan\nc) check the fuse",
            [Block("", ["b) check the fan", "c) check the fuse"])],
        ),
        ("2. Mode : work mode. 3. Go on.", [Block("", ["2. Mode : work mode.", "3. Go on."])]),
        ("bit1:过流 bit0:过压", [Block("", ["bit1:过流", "bit0:过压"])]),
        ("Byte 2\nBit 0: hot", [Block("Byte 2", ["Bit 0: hot"])]),
        # Page numbers go, values stay, wherever the line ended.
        ("It is hot.\n12\n第 8 页 共 19 页\nPage 3 of 9\nYes\nNo", [Block("", ["It is hot."])]),
        ("The setting is\n380", [Block("", ["The setting is 380"])]),
        ("Check the line\nsupply", [Block("", ["Check the line supply"])]),
        # Labels of a drawing: a word that ends no line, and one that begins none.
        ("为负，当修复的\n电池组低于\n40V时", [Block("", ["为负，当修复的电池组低于 40V时"])]),
        ("用外部电源\n的直流端子", [Block("", ["用外部电源的直流端子"])]),
        ("启动按钮\n停止按钮", [Block("", ["启动按钮", "停止按钮"])]),
        ("Weight: 4 kg\nOFF", [Block("", ["Weight: 4 kg", "OFF"])]),
        ("Fig. 3 Terminals\nThe drive has two.", [Block("", ["The drive has two."])]),
        ("Figure 3 shows the fan.", [Block("", ["Figure 3 shows the fan."])]),
        ("", []),
        ("--- !", []),
    ],
)
def test_blocks(text: str, expected: list[Block]) -> None:
    assert blocks(text) == expected


@given(st.text(max_size=300))
def test_no_word_is_new_or_moved(text: str) -> None:
    rest = "".join(text.split())
    for block in blocks(text):
        for part in (block.head, *block.sentences):
            words = "".join(part.split())
            assert words in rest
            rest = rest[rest.index(words) + len(words) :]
