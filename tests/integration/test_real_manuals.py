"""Real manuals through the front door: fault codes of their tables find the right page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.andon import Andon
from tests.support.shared_data import shared_data

DATA = shared_data()
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(DATA is None, reason="no real manuals beside this checkout (shared/data)"),
]

MANUALS = (
    "Voltronic_PI18_InfiniSolar_V_Protocol.pdf",
    "Voltronic_PI17_InfiniSolar_5KW_Protocol.pdf",
    "Voltronic_PI30_Protocol_2015.pdf",
    "JBD_BMS通信协议_20230321_V11.pdf",
    "CyberGear微电机使用说明书.pdf",
    "SCAN_锂电池智能保护板快速使用向导.pdf",
    "other/skf8000_zh/Fault-Diagnosis-and-Countermeasures",
    "other/siguren_en/docs/source/_tables/ms-faults-and-warnings.csv",
)
CODES = (
    ("InfiniSolar V fault code 56", "PI18_InfiniSolar_V", 3, "Battery connection is open"),
    ("InfiniSolar V 逆变器报故障代码 51", "PI18_InfiniSolar_V", 3, "Over current inverter"),
    ("InfiniSolar 5KW PI17 fault code 03", "PI17_InfiniSolar_5KW", 8, "BUS软启动超时"),
    ("PI30 warning status bit b19", "PI30", 12, "Inverter Over Current"),
    ("嘉佰达 JBD 保护状态 bit13", "JBD_BMS通信协议", 5, "充电MOS击穿标志"),
    ("CyberGear 故障反馈帧 bit3", "CyberGear", 28, "过压故障"),
    ("变频器报ERR05错误怎么办", "Fault-Alarm", None, "加速过电压"),
    ("SKF8000 ERR23", "Fault-Alarm", None, "对地短路故障"),
    ("hoist F33 overspeed", "ms-faults", None, "exceeds maximum defined speed"),
    ("E55 on MotoSuiveur", "ms-faults", None, "Low oil level"),
)


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Andon]:
    assert DATA is not None
    with Andon(tmp_path_factory.mktemp("real")) as running:
        paths = [str(DATA / "manuals" / name) for name in MANUALS]
        added = running.cli("add", *paths, timeout=280)
        assert added.returncode == 0, added.stdout
        assert "failed" not in added.stdout
        yield running


@pytest.mark.parametrize(("question", "file", "page", "words"), CODES)
def test_a_code_finds_its_page(
    andon: Andon, question: str, file: str, page: int | None, words: str
) -> None:
    rows = andon.json("search", question, "--limit", "3")
    tight = "".join(words.split())
    right = [r for r in rows if file in r["file"] and tight in "".join(r["text"].split())]
    assert right, rows
    assert right[0]["page"] == page
