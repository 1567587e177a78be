"""What a table's column, or an entry's part, is about: told from its header.

The vocabulary is what real manuals print, in English and Chinese, with the commonest words
of German, French, Spanish and Japanese.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal

from schemas.answers import Language
from services.orchestrator.language import has_ideographs

Role = Literal[
    "code", "name", "meaning", "cause", "action", "both", "reaction", "number", "grade", "other"
]
"""`both` is a cell that mixes causes and remedies; `number` only counts the rows; `grade` is how
bad a fault is, or which kind it is of."""

# Latin stems match at the start of a word, accents and case put aside.
_ACTION = (
    "remed|correcti|countermeasure|counter measure|solution|action|what to do|treatment|"
    "troubleshoot|trouble shoot|eliminat|rectif|handling|measures?\\b|how to|fix|"
    "recommend(?!\\w* (?:values?|settings?|range)\\b)|(?<!of )steps$|procedures?\\b|"
    "(?:diagnos\\w+|resolution) (?:steps?|methods?|actions?|guide)|resolv|repair|"
    "(?:required|operator|user) (?:response|reaction)|"
    "answers?\\b|abhilfe|behebung|massnahme|beseitig|losung|solucion|medida|accion|mesure|depannage"
)
_CAUSE = "caus|reason|possible cases?\\b|ursache|grund\\b|motivo|raison"
_REACTION = (
    "(?<!required )(?<!operator )(?<!user )(?:reaction|response)|effect|"
    "behaviou?r|reaktion|reaccion|(?:drive|inverter|system|machine|protecti\\w+) action"
)
_CODE = (
    "\\w*codes?\\b|display|mnemonic|ids?\\b|parameter (?:no|num)|kode|codigo|anzeige|affichage|"
    "(?:fault|alarm|error|warning|message|event|trip|stor\\w*|fehler\\w*|meldung\\w*|"
    "defaut|alarma|fallo)s? ?(?:nos?\\b|num|nr\\b|nummer|numero)|"
    "(?:no|number|nr) of (?:fault|alarm|error)"
)
_NAME = (
    "names?\\b|title|designation|(?<=[a-z0-9] )types?\\b|fault|alarm|error|message|text|warning|"
    "symptom|phenomen|problem|question|trouble|trip|failure|malfunction|setting|parameter|bezeichnung|"
    "storung|fehler|meldung|nom\\b|defaut|nombre|fallo|averia|denominacion"
)
_MEANING = (
    "descri|meaning|explan|definition|content|detail|function|bedeutung|beschreibung|"
    "erklarung|signification|significado"
)
# What a parameter may be set to: `Factory Setting` names none.
_VALUE = (
    "(?:(?:set|setting|adjustment|adjustable|value|data|input) )?range"
    "|(?:factory|default|initial|ex factory)(?: (?:setting|set|value|default|parameter)s?)?"
    "|data (?:type|format)|access level|(?:setting )?units?|min(?:imum)?|max(?:imum)?"
)
# What of that a question asks for, and the headers that have it.
_WANTED = tuple(
    (frozenset(asked.split()), re.compile(header, re.IGNORECASE))
    for asked, header in (
        (
            "factory default initial preset 出厂 厂值 默认 认值 缺省 省值 初始 始值",
            r"factory|default|initial|出厂|默认|缺省|初始",
        ),
        (
            "range rang limit min max minimum maximum lowest highest 范围 最小 最大 上限 下限",
            r"range|^min|^max|范围|最小|最大",
        ),
        ("unit 单位", r"^(?:setting )?units?$|单位"),
    )
)
_DONE = frozenset(("restor", "reset", "return", "back", "恢复", "复位", "重置", "还原", "始化"))
"""What is asked of somebody who wants those back: the value says nothing."""
_NUMBER = "nos?\\b|nr\\b|num\\b|number|items?\\b|seq|index|lfd|pos\\b|s/n\\b|sn\\b|^n$"
# `Fault type` is what many call a fault's name; `Type` alone tells faults from warnings.
_GRADE = (
    "severity|priority$|kategorie|\\w*(?:klasse|stufe)$|^types?$"
    "|(?:levels?|class(?:es|ification)?|categor(?:y|ies)|grades?)(?:$| of\\b)"
)

_ACTION_CJK = (
    "处理|處理|処理|对策|對策|対策|解决|解決|措施|排除|处置|處置|処置|対処|应对|办法|方法|排查|检查|"
    "解答|回答|步骤|步驟|消除|维修|維修|(?:恢复|恢復|复位|復位)方法|建议(?!值|设定|设置|范围)"
)
_CAUSE_CJK = "原因|起因|诱因|成因"
_REACTION_CJK = "反应|反應|响应|動作|动作"
_CODE_CJK = "代码|代碼|代号|代號|码|碼|报警号|故障号|告警号|显示|顯示|编号|編號|コード|番号|表示"
_NAME_CJK = (
    "名称|名稱|名字|.类型|.類型|现象|現象|症状|故障|报警|告警|警报|错误|異常|异常|问题|標題|标题|信息|"
    "参数|參數|项目"
)
_MEANING_CJK = "含义|含義|说明|說明|描述|意义|意义|定义|解释|内容|內容|意味|功能"
_VALUE_CJK = (
    "(?:设定|设置|取值|调节|参数|数据)?范围|(?:出厂|默认|缺省|初始)(?:值|设定|设置|参数)?|单位"
    "|数据(?:类型|格式)"
)
_NUMBER_CJK = "序号|序號|项次|项号|项番|項番"
_GRADE_CJK = (
    "^(?:类型|類型)$|(?:级别|級別|等级|等級|类别|類別|分类|分類|优先级|優先級|严重程度|严重性)"
    "(?:[(（].*)?$"
)
_GRADED = re.compile(
    r"fatal|critical|serious|severe|major|minor|(?:warning|alarm|fault|error|notice)s?|info(?:rmation)?|"
    r"(?:致命|严重|重大|一般|轻微|紧急|普通)?(?:警告|告警|报警|预警|故障|错误|提示|信息)|致命|严重|一般|轻微",
    re.IGNORECASE,
)
"""What a cell says of how bad a fault is, with nothing that would be its name."""

_LAST = re.compile(
    r"codes? (?:descriptions?|meanings?|texts?|explanations?|names?)(?![a-z])"
    r"|[码号碼號](?:说明|說明|含义|含義|描述|意义|名称|名稱)$"
)
_AND = re.compile(r"\b(?:and|und|et|y|or)\b|[/&+,、及与和與或]")
_PREFIX = re.compile(r"^\s*(en|zh)(?:[-_][A-Za-z]+)?[\s._:-]")


@lru_cache(maxsize=1024)
def role_of(header: str) -> Role:
    """Return what a column holds, `other` when its header is not in the vocabulary."""
    if header.strip() == "#":
        return "number"
    latin, cjk = _fold(header)
    cause = _find(_CAUSE, latin) or _find_cjk(_CAUSE_CJK, cjk)
    reaction = _find(_REACTION, latin) or _find_cjk(_REACTION_CJK, cjk)
    action = _find(_ACTION, latin) or _find_cjk(_ACTION_CJK, cjk)
    if cause and action:
        # `故障原因排查` is the causes to look into; `Causes and treatment` is both in one cell.
        return "both" if _AND.search(latin + cjk) else "cause"
    # `Error code description`, `故障代码名称`: of the code, not the code.
    last = _LAST.search(latin + cjk)
    told: tuple[tuple[Role, bool], ...] = (
        ("cause", cause),
        ("reaction", reaction),
        ("action", action),
        ("name", bool(last and re.search("name|名", last[0]))),
        ("meaning", bool(last)),
    )
    for role, is_it in told:
        if is_it:
            return role
    rest = (role for role, stems, cjks in _REST if _find(stems, latin) or _find_cjk(cjks, cjk))
    return next(rest, "other")


def is_wanted(header: str, asked: frozenset[str]) -> bool:
    """Return whether a question asks for the value in a column: its factory setting, its range.

    Args:
        header: of the column.
        asked: terms of the question.
    """
    if asked & _DONE or role_of(header) != "other":
        return False
    return any(asked & words and headers.search(header) for words, headers in _WANTED)


def is_grade(cell: str) -> bool:
    """Return whether a cell only says how bad a fault is: `Warning` under `Fault type`."""
    return _GRADED.fullmatch(cell) is not None


def language_of_header(header: str, cell: str) -> Language:
    """Return the language a column is in: its key (`zh_CN.cause`), else the words of the cell."""
    if prefix := _PREFIX.match(header):
        return "zh" if prefix[1] == "zh" else "en"
    return "zh" if has_ideographs(cell or header) else "en"


_REST: tuple[tuple[Role, str, str], ...] = (
    ("other", f"^(?:{_VALUE})$", f"^(?:{_VALUE_CJK})$"),
    ("grade", _GRADE, _GRADE_CJK),
    ("code", _CODE, _CODE_CJK),
    ("number", f"(?:{_NUMBER})\\W*$", _NUMBER_CJK),
    (
        "name",
        "names?\\b|title|designation|bezeichnung|nom\\b|nombre|denominacion",
        "名称|名稱|标题",
    ),
    ("meaning", _MEANING, "含义|含義|说明|說明|描述|意义|定义|解释|意味"),
    ("name", _NAME, _NAME_CJK),
    ("meaning", _MEANING, _MEANING_CJK),
)


def _fold(header: str) -> tuple[str, str]:
    """Return the header's Latin words without case and accents, and its text without spaces."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", header)).casefold()
    text = "".join(c for c in text if not unicodedata.combining(c))
    latin = re.sub(r"[^a-z0-9/&+,]+", " ", text).strip()
    return latin, re.sub(r"\s+", "", unicodedata.normalize("NFC", header))


def _find(stems: str, latin: str) -> bool:
    return bool(re.search(rf"(?<![a-z])(?:{stems})", latin))


def _find_cjk(words: str, cjk: str) -> bool:
    return bool(re.search(words, cjk))
