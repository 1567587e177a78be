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
        # A footer in mid-sentence.
        ("Press the\n第 8 页 共 19 页\nkey.", [Block("", ["Press the key."])]),
        # Rows stand alone, whatever stands above and below, without their bars.
        (
            "send a rather long command:DD A5\nword: OC count | size: 2\nword: UV count | size: 2",
            [
                Block(
                    "",
                    [
                        "send a rather long command:DD A5",
                        "word: OC count size: 2",
                        "word: UV count size: 2",
                    ],
                )
            ],
        ),
        (
            ".. include:: ../a.rst\n| |image01| | Fan  | E64 |\n+---+---+---+\nThe end.",
            [Block("", ["Fan E64", "The end."])],
        ),
        (".. note:: Only for two fans.", [Block("", [".. note:: Only for two fans."])]),
        # A narrow column of Chinese, and a heading that follows a clause.
        (
            "辅助接口，\n左为正极右\n负，低于四\n十伏",
            [Block("", ["辅助接口，左为正极右负，低于四十伏"])],
        ),
        ("检查电源，确认正常\n注意事项", [Block("", ["检查电源，确认正常", "注意事项"])]),
        # Spaces that a PDF put beside marks; those between words stay.
        (
            "辅助接口， 左边为正 ，接 24 V 电源 开关",
            [Block("", ["辅助接口，左边为正，接 24 V 电源 开关"])],
        ),
        # A numbered title with its steps.
        (
            "It hums.\n2. Reduce the noise\na：lower P1\nb：lower P2",
            [Block("", ["It hums."]), Block("2. Reduce the noise", ["a：lower P1", "b：lower P2"])],
        ),
    ],
)
def test_blocks(text: str, expected: list[Block]) -> None:
    assert blocks(text) == expected


@given(st.text(max_size=300))
def test_no_word_is_new_or_moved(text: str) -> None:
    rest = "".join(text.replace("|", "").split())
    for block in blocks(text):
        for part in (block.head, *block.sentences):
            words = "".join(part.replace("|", "").split())
            assert words in rest
            rest = rest[rest.index(words) + len(words) :]
