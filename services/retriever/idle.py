"""Words of a question that do not say what is asked, and questions no manual answers (pure).

`inverter undervoltage` asks about undervoltage; the machine is the reader's. `what does QPIGS
return` asks about QPIGS. Who invented, founded or wrote something, what it costs and which brand
is best, no manual of a machine says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import accumulate

from services.retriever.tokens import tokens

_MACHINE = re.compile(
    r"(?<![A-Za-z])(?:(?:variable |adjustable )?(?:frequency |speed )?"
    r"(?:invert[eo]r|converter|drive)|"
    r"vfd|vsd|servo|bms|protection board|controller|machine|device|equipment|appliance|robot)s?"
    r"(?![A-Za-z])|变频器|驱动器|逆变器|伺服|保护板|控制器|机器人|机械臂|机器|设备|机台",
    re.IGNORECASE,
)
"""What a machine as a whole is called."""
_FAR = r"[^?]{0,120}"
"""What stands between two words that tell together what is asked; any length costs its square."""
_RETURNS = re.compile(
    r"\b(?:what|which)\b[^?.!,;]{0,120}?\b(?P<verb>return(?:s|ed)?|answer(?:s|ed)?|"
    r"repl(?:y|ies|ied)|respon(?:d|ds|ded|se|ses)|deliver(?:s|ed)?|send|sent|give|contain)\b|"
    r"\b(?P<noun>commands?|responses?|repl(?:y|ies)|answers?|instructions?|quer(?:y|ies)|frames?)\b|"
    r"(?P<zh>返回值?|命令|指令|应答|回复|作用|用途|用来|做什么|干什么|干嘛)",
    re.IGNORECASE,
)
"""What is asked of a command, and that it is one."""
_BEYOND = re.compile(
    r"^\W*(?:please |so |and |tell me |do you know )?who(?:se)?\b"
    r"(?! (?:do|should|can|must|may|shall|is allowed|are allowed|is permitted)\b)"
    rf"|\bhow much (?:does|do|did|would|will|is|are)\b{_FAR}\bcosts?\b|\bhow expensive\b"
    rf"|\bwhat (?:does|do|would|will)\b{_FAR}\bcost\b|\bprices?\b|\bwhere (?:can|do) (?:i|we) buy\b"
    rf"|\b(?:when|what year|which year)\b{_FAR}\b(?:founded|born|invented|established|discovered)\b"
    rf"|\b(?:best|cheapest|better|which)\b{_FAR}\b(?:brand|make|manufacturer|company)\b"
    r"|\b(?:write|compose|tell)\b (?:me )?(?:an?|some) \w*\s?(?:poem|story|joke|song|essay)\b"
    r"|多少钱|价格|报价|哪个(?:牌子|品牌)|谁(?:发明|创立|创办|设计|生产)|(?:写|讲)[一个首篇]*(?:诗|故事|笑话)"
    r"|(?:哪一?年|什么时候)[^?？]{0,12}(?:发明|成立|创立|出生)",
    re.IGNORECASE,
)
_HOW_OFTEN = re.compile(
    rf"\bhow (?:often|frequently)\b|\b(?:what|which)\b{_FAR}\binterval\b|"
    r"多久(?:要|需要?|该|应该?|得|得要|才)?[^,，。?？]{1,8}一次|(?:几|多少)(?:个?小时|天|周|个?月|年)[^,，。?？]{1,8}一次|"
    r"(?:更换|保养|维护|检查|清洁|润滑)(?:的)?(?:周期|间隔)",
    re.IGNORECASE,
)
_INTERVAL = re.compile(
    r"\b(?:every|annual(?:ly)?|yearly|monthly|weekly|daily|quarterly|intervals?|periodic(?:al|ally)?|"
    r"regularly|once an?|hours|days|weeks|months?|years?)\b"
    r"|每|定期|周期|间隔|小时|\d\s*[个]?[天周月年]|日常",
    re.IGNORECASE,
)
"""What is said of how often."""
_JOINS = re.compile(
    r"\b(?:during|while|when|whilst|after|keeps?|always|often|suddenly|again|sometimes|just|now|"
    r"still|shows?|says?|reports?|gives?|trips?|tripped|tripping|faults?|alarms?|errors?|"
    r"problem|issue)\b|故障|报警|告警|跳闸|跳脱|停机|出现|提示|突然|经常|频繁|老是|总是|一直|运行[中时]",
    re.IGNORECASE,
)
"""What stands beside that which is wrong: when it is, and that it is a fault."""
_APART = re.compile(
    r"(?<![A-Za-z0-9./])(?![eE]\.g|[iI]\.e|[aApP]\.m)"
    r"([A-Za-z])[./]([A-Za-z])(?:[./]([A-Za-z]))?(?:\.(?![A-Za-z0-9])|(?![A-Za-z0-9./]))"
)
"""Abbreviations with points: `o.c.`, `U/V`, `V.F.D.`."""


def machines(question: str, terms: Iterable[tuple[int, int]]) -> frozenset[str]:
    """Return the tokens by which a question calls the machine as a whole.

    Args:
        question: as asked.
        terms: where the trade's terms in it begin and end: the drive of `drive belt` is none.
    """
    ends = [0] * (len(question) + 1)
    for start, end in terms:
        ends[start] = max(ends[start], end)
    before = list(accumulate(ends, max, initial=0))  # how far those reach that begin before
    return frozenset(
        token
        for match in _MACHINE.finditer(question)
        if before[match.start()] < match.end() >= ends[match.start()]
        for token in tokens(match[0])
    )


def of_commands(question: str) -> frozenset[str]:
    """Return the tokens of what is asked of a command: what it returns, what it is for."""
    return frozenset(
        token
        for match in _RETURNS.finditer(question)
        for token in tokens(match["verb"] or match["noun"] or match["zh"])
    )


def joining(question: str) -> frozenset[str]:
    """Return the tokens of a report that do not say what is wrong: that it trips, and when."""
    return frozenset(token for match in _JOINS.finditer(question) for token in tokens(match[0]))


def beyond(question: str) -> bool:
    """Return whether a question asks what no manual says: for people, prices, history, opinion."""
    return _BEYOND.search(question) is not None


def how_often(question: str) -> bool:
    """Return whether a question asks at what interval something is to be done."""
    return _HOW_OFTEN.search(question) is not None


def tells_interval(text: str) -> bool:
    """Return whether a text has an interval, in time or in use."""
    return _INTERVAL.search(text) is not None


def unpointed(question: str, spelt_out: Callable[[str], str]) -> str:
    """Return a question without abbreviations that have points: `o.c.` is an overcurrent.

    As displays show a fault it stays: `E.OC`, and `E.L.` for that matter.

    Args:
        question: as asked.
        spelt_out: what an abbreviation stands for, empty where it is none.
    """

    def whole(match: re.Match[str]) -> str:
        if match[0][1] == "." and match[1] in "EFA":
            return match[0]
        letters = "".join(letter for letter in match.groups() if letter).upper()
        return spelt_out(letters) or letters

    return _APART.sub(whole, question)
