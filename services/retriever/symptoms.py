"""Questions that say what is wrong with a machine, and passages that say what to do then (pure).

Who reports `motor stalled` wants the fault's entry with its causes and remedies. A parameter by
nearly the same name, such as the time after which that fault is shown, is for who asks to set it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from services.retriever.tokens import tokens

_WRONG = re.compile(
    r"over[ -]?(?:current|voltage|volt|load|heat|temp|speed|charg|pressure|travel|torque)"
    r"|under[ -]?(?:current|voltage|volt|load|temp|speed|pressure)"
    r"|\b(?:stall|block|jam|seiz|trip|fail|fault|alarm|error|leak|vibrat|overflow|malfunction|"
    r"disconnect|abnormal|imbalanc|asymmetr)"
    r"|\b(?:locked|stuck|lost|loss|missing|broken|damaged|worn|torn|shorted|earthed|blown|burnt|"
    r"timeout|time[ -]out|(?:hard|soft)[ -]limit|"
    r"short[ -]?circuit\w*|open[ -]?circuit\w*|phase failure|noise|noisy|"
    r"o/?c|o/?v|u/?v|o/?l|o/?h|o/?t|g/?f)\b"
    r"|\b(?:too|gets?|runs?|very) (?:high|low|hot|cold|fast|slow|big|small|large|weak|strong|soft|"
    r"hard)\b|\b(?:not|no|cannot|can't|won't|doesn't|don't|never|dead)\b"
    r"|[硬软]限位|过(?:电?流|电?压|载|负荷|热|温|速|充|放|高|低|大|小)|欠(?:电?压|载|流)|缺相|断相|失步|堵转|"
    r"失速|超(?:速|温|载|限|时|压|差)|卡(?:住|死|滞)|短路|断线|断路|开路|接地|漏|异常|故障|报警|告警|"
    r"错误|失败|丢失|损坏|不(?:转|动|亮|良|上|足|准|到|能|通|稳|开|显|工作|平衡)|无(?:显示|法|输出|反应)|"
    r"没(?:有|反应|电)|黑屏|跳闸|停机|抖动|振动|异响|发热|发烫|烧|断开|中断|脱落|松动",
    re.IGNORECASE,
)
"""What is wrong."""
_CLAUSE = re.compile(r"[,;，；。]|(?<!\d)\.(?!\d)|\b(?=(?:when|while|whilst|whenever|during)\b)")
"""Where another clause begins."""
_VALUE = re.compile(
    r"\b(?:threshold|parameter|value|delay|time|limits? (?:is|for|of)|range|default|factory|rated|"
    r"set|sett?ings?|enabl\w+|disabl\w+|activat\w+|select\w*|adjust\w*|chang\w+|configur\w+|"
    r"protocol|command|register|address|byte|bits?|response|query|read|writ\w+|reset|clear|"
    r"restor\w+|acknowledg\w+|record|history|log|counter|number|how many|how much|what is the|"
    r"purpose|mean\w*)\b"
    r"|阈值|定值|数值|保护值|参数|设定|设置|时间|延时|范围|默认|出厂|额定|选择|使能|增益|调整|修改|更改|"
    r"协议|命令|指令|寄存器|地址|字节|应答|读取|写入|复位|清除|解除|恢复|记录|次数|多少|几[个次位]",
    re.IGNORECASE,
)
"""What is asked of it instead: what it is set to, how it is read out, how it is undone."""
_ASKER = re.compile(
    r"\b(?:i|we) (?:do not|don't|cannot|can ?not|can't|did not|didn't|could not|couldn't) "
    r"(?:find|know|understand|remember|have)\b|没有?(?:找到|说明书|手册|资料)",
    re.IGNORECASE,
)
"""What is wrong with who asks, and with no machine: `where is it, I cannot find it`."""


def _tokens_of(words: str) -> frozenset[str]:
    return frozenset(tokens(words))


_TELLS = _tokens_of(
    "cause reason remedy solution countermeasure elimination troubleshooting "
    "原因 对策 對策 措施 排除 排查 处理 解决 対策 処置"
)
"""In the headers of causes and remedies."""
_FAULTS = _tokens_of(
    "fault alarm error warning trip failure troubleshooting symptom phenomenon "
    "故障 报警 告警 警报 错误 警告 异常 現象 现象 アラーム エラー"
)
"""In the headers and headings of lists of faults."""
_SET = _tokens_of(
    "factory default range min max minimum maximum access unit setting "
    "出厂 默认 设定 设置 范围 缺省 最大 最小 属性 单位"
)
"""In the headers of what is set."""
TELLS, LISTED = 1.0, 0.6
"""How surely a passage is a fault's: it says what to do; it stands in a list of faults."""


def reported(question: str) -> bool:
    """Return whether a question reports what is wrong and asks for no more than why, and what then.

    Args:
        question: as asked.
    """
    wrong = _WRONG.search(_ASKER.sub(" ", question)) is not None
    return wrong and _VALUE.search(question) is None


def circumstances(question: str) -> frozenset[str]:
    """Return the tokens of a report's clauses that say nothing wrong: when it is, what was seen.

    Args:
        question: that reports what is wrong.
    """
    clauses = [(clause, _WRONG.search(clause)) for clause in _CLAUSE.split(question)]
    wrong = {token for clause, found in clauses if found for token in tokens(clause)}
    beside = {token for clause, found in clauses if not found for token in tokens(clause)}
    return frozenset(beside - wrong)


def of_a_fault(labels: Collection[str], section: str) -> float:
    """Return how surely a passage tells of one fault what is to be done, 0 to 1.

    Args:
        labels: tokens of the names of its fields; none for prose.
        section: tokens of its headings, with spaces between.
    """
    there = frozenset(labels)
    if there & _TELLS:
        return TELLS
    if there & _SET:
        return 0.0
    return LISTED if there & _FAULTS or not _FAULTS.isdisjoint(section.split(" ")) else 0.0
