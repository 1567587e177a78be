"""What a passage is called: the name in its row, the title of its entry, its heading (pure)."""

from __future__ import annotations

import re

from schemas.retrieval import Passage
from services.retriever.codes import cell_code

_NAME = re.compile(
    r"\b(?:name|title|fault|alarm|error|function|description|designation|meaning|parameter|signal|"
    r"question|symptom|problem|message|item|phenomenon|event|display)s?\b|"
    r"名称|名稱|标题|故障|报警|告警|错误|功能|描述|说明|含义|意义|参数|信号|问题|现象|项目|内容|显示",
    re.IGNORECASE,
)
_MOST = 120
"""Characters of a name; what is longer is a description."""
_PARTS = re.compile(r"[|：:\n]")


def called(passage: Passage) -> str:
    """Return what a passage is called, in its own words; empty where nothing says it."""
    if passage.kind == "text":
        return passage.section.rpartition(" > ")[2]
    for field in passage.fields:
        value = field.value.strip()
        if _NAME.search(field.name) and _says(value):
            return value[:_MOST]
    for field in passage.fields:
        if _says(field.value):
            return field.value.strip()[:_MOST]
    return _PARTS.split(passage.text, maxsplit=1)[0][:_MOST]


def _says(value: str) -> bool:
    """Return whether a cell holds words, more than a code or a number."""
    return sum(map(str.isalpha, value)) > 1 and cell_code(value) is None
