"""Sentences of running text, and which of them a question is about."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from services.orchestrator.language import is_ideograph

_END = re.compile(
    r"[。！？][”’」』）)]*\s*|[.!?][\"”’)]*\s+(?=[A-Z0-9\"“‘(\[•\u3400-\u9fff-])"
    # A space was forgotten.
    r"|(?<=[a-z]{3})\.(?=[A-Z][a-z]+ )|(?<=[a-z\d]{2})\.(?=\([a-z]+ [a-z]+ )"
)
# What counts a sentence is not one: `2. Mode : Work mode selection.`
_COUNTER = re.compile(r"\s*(?:part|step|no\.?|note)?\s*\d{1,2}\.\s*", re.IGNORECASE)
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|approx|no|nos|fig|figs|vs|max|min|resp|sec|chap|para|ref|cf|tab|dr|mr|p|pp|"
    r"[A-Z])\.$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION = 8
_TOKEN = re.compile(r"[^\W_]+(?:[.\-][^\W_]+)*")
_STOP = frozenset(
    re.split(
        r"\s+",
        """a an the and or of to in on at for with from by is are was be been it its this that what
        which how why when where do does did can could should i my me we our you your not no if as
        has have there mean means happens happen say says show shows please about after into then
        than so""",
    )
)
_STOP_CJK = frozenset(
    re.split(
        r"\s+",
        """怎么 么办 什么 如何 请问 为什 怎样 样办 办呢 是什
        意思 么意 哪里 多少 一下 了怎 是怎 错误 误怎 报错""",
    )
)


# `Byte 2, bit 5` is about `byte2` and `bit5`, not about any 2 and 5.
_NUMBERED = re.compile(r"\b([a-z]{3,}) (\d{1,3})(?![\w.-])")
_IDEOGRAPHS = re.compile(r"([\u3400-\u9fff]+)")
_STEM = 5
"""Letters two words must share at least to be taken for one."""
_GLUED = re.compile(r"(?<=\d)(?=[A-Z][a-z]{2})|(?<=\d)\.(?=[A-Z])")


NUMBER = "#0"
"""The term of a question that asks for a number, and of a sentence that has a quantity: it counts
as a number does."""
_ASKS_NUMBER = re.compile(
    r"how (?:many|much|long|often|large|big|high|far|fast|thick|hot)\b"
    r"|what (?:is the |are the )?(?:\w+ )?(?:voltage|current|power|frequency|temperature|pressure|"
    r"torque|speed|distance|resistance|capacity|time|interval|weight|size|value|password|range)s?\b"
    r"|多少|多大|多久|多长|多高|几[个次年天安伏]|密码|范围",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"(?<![A-Za-z\d.])\d[\d.,]*\s?(?:%|℃|°|Ω|[kmM]?(?:W|V|A|Hz|Ah|AH|VDC|VAC|bps|Pa)(?![A-Za-z])|"
    r"[kcm]?m(?:²|³)?(?![A-Za-z])|kg|rpm|bar|ohm|hours?|h(?![A-Za-z])|min|seconds?|s(?![A-Za-z])|days?|"
    r"weeks?|months?|years?|times?|秒|分钟|小时|天|周|个月|月|年|次|转|个|串|倍|伏|安|千瓦|毫米|米)"
    r"|[\"“‘'「]\d{3,}[\"”’'」]"
)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, verbatim and trimmed; headings and scraps included."""
    found: list[str] = []
    begin = 0
    for match in _END.finditer(text):
        if text[match.start()] == "." and _ABBREVIATION.search(
            text, max(begin, match.start() - _LONGEST_ABBREVIATION), match.start() + 1
        ):
            continue
        if _COUNTER.fullmatch(text, begin, match.end()):
            continue
        found.append(text[begin : match.end()].strip())
        begin = match.end()
    found.append(text[begin:].strip())
    return [sentence for sentence in found if any(c.isalnum() for c in sentence)]


def terms(text: str) -> frozenset[str]:
    """Return what a text is about: lightly stemmed Latin words and codes, pairs of ideographs."""
    found: set[str] = set()
    folded = unicodedata.normalize("NFKC", _GLUED.sub(" ", text)).casefold()
    for run in _IDEOGRAPHS.split(folded):
        if run and is_ideograph(run[0]):
            pairs = {run[i : i + 2] for i in range(len(run) - 1)} or {run}
            found |= pairs - _STOP_CJK
        else:
            found |= {_stem(word) for word in _TOKEN.findall(run) if word not in _STOP}
            found |= {word + number for word, number in _NUMBERED.findall(run)}
    return frozenset(found)


def terms_asked(question: str) -> frozenset[str]:
    """Return the terms of a question, and whether it asks for a number."""
    found = terms(question)
    return found | {NUMBER} if _ASKS_NUMBER.search(question) else found


def shared(asked: frozenset[str], text: str) -> frozenset[str]:
    """Return the terms of a question that a text has, cut short or with another ending too.

    `Accel.` stands for acceleration, `oscillating` for oscillation.
    """
    if not asked:
        return asked
    said = terms(text)
    found = asked & said
    if NUMBER in asked and _QUANTITY.search(text):
        found |= {NUMBER}
    left = {term[:_STEM]: term for term in asked - found if len(term) >= _STEM and term.isalpha()}
    if not left:
        return found
    alike = {
        left[word[:_STEM]]
        for word in said
        if word[:_STEM] in left
        and (word.startswith(left[word[:_STEM]][:7]) or left[word[:_STEM]].startswith(word))
    }
    return found | alike


def overlap(question: frozenset[str], sentence: str) -> float:
    """Return how much of a question's terms a sentence has."""
    return sum(weight(term) for term in question & terms(sentence))


def weight(term: str) -> float:
    """Return what a term counts: a code or a number says more than a word."""
    return 2.0 if any(character.isdigit() for character in term) else 1.0


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    """Cut the commonest English endings: `checking`, `checked`, `checks` are one word."""
    if not word.isalpha() and any(character.isdigit() for character in word):
        # `E-005` and `E005` are one code; `2.4` and `24` are two numbers.
        return re.sub(r"[.\-]", "", word) if word[0].isalpha() else word
    for ending in ("ings", "ing", "edly", "ies", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 4 and word[-1] == "e" else word


GENERIC = terms(
    "fault alarm error warning code message trip fix solve solution reset remedy cause reason"
    " 故障 报警 告警 警报 代码 故障代码 错误 处理 处理方法 解决 怎么处理 怎么解决 原因 什么原因"
)
"""What every question about a code says."""
