"""What a column is about, as real manuals head it; and what language a question is in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answers import Language
from services.orchestrator.columns import Role, is_grade, role_of
from services.orchestrator.language import language_of, part_in

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
        Fault type
        保护类型
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
        Diagnostic Steps
        Procedure
        Resolution Steps
        Recommended action
        Troubleshooting steps
        Required Response
        处理步骤
        排查步骤
        检修步骤
        建议
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
        Nr.
        Item
        S/N
        S. No.
        Sr. No.
        #
        序号
        項番
    """,
    "grade": """
        Level
        Fault level
        Severity
        Severity (1-5)
        Type
        Class
        Category
        Message class
        Fehlerklasse
        错误级别
        级别
        故障等级（1～3）
        类型
        报警类别
        严重程度
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
        Recommended value
        Resolution
        Number of steps
        建议值
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


@pytest.mark.parametrize("cell", ["Fatal", "warning", "Errors", "严重故障", "警告", "致命"])
def test_a_cell_that_only_says_how_bad_a_fault_is(cell: str) -> None:
    assert is_grade(cell)


@pytest.mark.parametrize("cell", ["", "5", "A", "Stop", "Fatal overheating", "逆变故障", "过流"])
def test_a_cell_that_may_name_a_fault(cell: str) -> None:
    assert not is_grade(cell)


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


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        ("Bus voltage high 直流母线电压过高", "Bus voltage high", "直流母线电压过高"),
        ("直流母线电压过高 Bus voltage high", "Bus voltage high", "直流母线电压过高"),
        ("Spindle jammed (主轴卡死)", "Spindle jammed", "主轴卡死"),
        ("Overheating/过热保护", "Overheating", "过热保护"),
        ("CAN link lost CAN通讯中断", "CAN link lost", "CAN通讯中断"),
    ],
)
def test_the_half_of_a_text_in_both_languages(text: str, english: str, chinese: str) -> None:
    assert part_in(text, "en") == english
    assert part_in(text, "zh") == chinese


@pytest.mark.parametrize(
    "text",
    [
        *("", "Bus voltage high", "直流母线电压过高", "Modbus 通讯故障", "检查 Motor Studio 连接"),
        *("主轴 Encoder Error", "OC 过流", "请按照说明书的要求重新安装并启动软件 Motor Studio"),
    ],
)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_text_that_is_not_two_halves_stays(text: str, lang: Language) -> None:
    assert part_in(text, lang) == text


@given(st.text(alphabet="过压流 aBcover/()-1", max_size=40), st.sampled_from(["en", "zh"]))
def test_a_half_is_of_its_text(text: str, lang: Language) -> None:
    assert part_in(text, lang) in text
