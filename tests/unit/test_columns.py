"""What a column is about, as real manuals head it; and what language a question is in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answers import Language
from services.orchestrator.columns import Role, role_of
from services.orchestrator.language import language_of

pytestmark = pytest.mark.unit

HEADERS: dict[Role, str] = {
    "code": """
        Code
        Fault code
        FAULT CODE
        Alarm No.
        Fault No
        Error Code in v1.1+
        Display
        Fault number
        Parameter No.
        id
        代码
        故障代码
        故障码
        报警号
        功能代码
        故障编号
        显示
        Fehlercode
        Störungsnummer
        Code défaut
        Código
        アラーム番号
    """,
    "name": """
        Fault name
        Name
        Title
        Title/Description
        Alarm Message in v1.0-
        Fault
        phenomenon
        Symptom
        Type of fault
        故障名称
        名称
        故障现象
        故障类型
        Bezeichnung
        Störung
        Nombre
    """,
    "meaning": """
        Description
        Meaning
        Fault description
        含义
        说明
        故障描述
        Bedeutung
        Descripción
    """,
    "cause": """
        Cause
        Possible cause
        Causes
        Reason
        Possible cases
        Fault cause
        原因
        可能原因
        故障原因
        原因分析
        故障原因排查
        可能的原因
        Ursache
        Mögliche Ursachen
        Cause possible
        Causa
        zh_CN.cause
    """,
    "action": """
        Remedy
        Action
        Countermeasure
        Counter-measures
        Solution
        What to do
        Corrective action
        Elimination method
        Troubleshooting
        Treatment
        处理方法
        对策
        解决办法
        解决方法
        措施
        处理
        排除方法
        故障处理对策
        Abhilfe
        Maßnahme
        Remède
        Solución
        Acción correctiva
        対策
        en.solution
    """,
    "both": """
        Cause and remedy
        Fault causes and treatment
        Cause / Solution
        故障原因与处理
        原因及对策
    """,
    "reaction": """
        Reaction
        Response
        Drive action
        反应
        Reaktion
        保护动作
    """,
    "number": """
        No.
        NO.
        序号
        Nr.
        Item
    """,
    "other": """
        Remarks
        设定范围
        Set Range
        Factory Setting
        Default value
        Data type
        出厂设定
        Unit
        备注
        DEC地址
        Acknowledge
    """,
}
"""Headers, one a line."""


@pytest.mark.parametrize(
    ("header", "role"),
    [
        (header.strip(), role)
        for role, headers in HEADERS.items()
        for header in headers.strip().splitlines()
    ],
)
def test_role_of_a_header(header: str, role: Role) -> None:
    assert role_of(header) == role
    assert role_of(f"  {header}\n") == role
    assert role_of(header.upper()) == role


def test_a_column_without_a_header_is_another_matter() -> None:
    assert role_of("") == "other"


@given(st.text(max_size=60))
def test_any_header_has_a_role(header: str) -> None:
    assert role_of(header) in HEADERS


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("变频器报E005错误怎么办?", "zh"),
        ("MKS SERVO57D 485 版本校准报 Reverse Lookup Error 怎么办", "zh"),
        ("InfiniSolar 5KW 故障代码 03", "zh"),
        ("What does E005 mean?", "en"),
        ("Motor overtemperature", "en"),
        ("What does the sign 故障 mean on the display of my drive?", "en"),
    ],
)
def test_language_of_a_question(text: str, language: Language) -> None:
    other: Language = "en" if language == "zh" else "zh"
    assert language_of(text, other) == language


@pytest.mark.parametrize("text", ["", "E005", "SKF8000 ERR09", "E.OC1", "1234", "?!", "F07801 BMS"])
@pytest.mark.parametrize("default", ["en", "zh"])
def test_codes_alone_have_no_language(text: str, default: Language) -> None:
    assert language_of(text, default) == default


@given(st.text(max_size=80), st.sampled_from(["en", "zh"]))
def test_every_text_has_a_language(text: str, default: Language) -> None:
    assert language_of(text, default) in ("en", "zh")
