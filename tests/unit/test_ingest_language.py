from __future__ import annotations

import pytest

from services.ingest import language

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DC bus undervoltage", "en"),
        ("直流母线欠压", "zh"),
        ("E005 直流母线欠压 P0-12", "zh"),
        ("Set parameter P0-12 (参数) to the rated motor current of the nameplate", "en"),
        ("", "en"),
        ("12 345", "en"),
    ],
)
def test_the_share_of_chinese_decides(text: str, expected: str) -> None:
    assert language.of(text) == expected


def test_chinese_lines_join_without_a_space() -> None:
    assert language.join("检查电源", "电压") == "检查电源电压"
    assert language.join("电压过低，", "检查") == "电压过低，检查"
    assert language.join("check the", "supply") == "check the supply"
    assert language.join("检查", "PLC") == "检查 PLC"
    assert language.join("", "a") == "a"
