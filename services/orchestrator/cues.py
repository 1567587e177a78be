"""Words by which a sentence of running text gives itself away as a cause or a thing to do."""

from __future__ import annotations

import re

_IMPERATIVE = re.compile(
    r"\W*(?:\w{1,3}[.)]\s*)?(?:(?:(?:please|then|first),?|(?:if|when|to|for) [^,]{1,80},)\s+)?"
    r"(?:check|replace|reduce|increase|decrease|ensure|verify|measure|clean|tighten|reset|restart|"
    r"disconnect|reconnect|connect|remove|adjust|lower|raise|install|contact|inspect|correct|repair|"
    r"calibrate|set|turn|switch|wait|press|charge|use|try|make sure|carry out|select|enter|"
    r"let|add|avoid|do not|never|always|see|read|allow|shorten|extend|improve|upgrade|evaluate)\b",
    re.IGNORECASE,
)
# `Set range: 0-10` names a thing and its value.
_SETTING = re.compile(r"\W*(?:[\w()/]+ ?){1,3}[:：]\s*(?:[\d(<>±-]|\w+\s*[:：]|$)")
_ADVICE = re.compile(
    r"\b(?:should be|must be|has to be|need to|needs to|it is recommended)\b", re.IGNORECASE
)
_ACTION_CJK = re.compile(
    r"检查|更换|降低|确认|确保|减小|减少|增大|增加|提高|调整|测量|清洁|清理|清除|紧固|拧紧|复位|重启|重新|断开|"
    r"断掉|连接好|加装|安装|联系|寻求|排除|修正|校准|设置为|设为|请|应当|应该|需要|等待|按下|避免|不要|延长|缩短|改善"
)
_ORDER_CJK = re.compile(
    r"\W*(?:请|检查|更换|降低|确认|确保|减小|测量|清洁|清理|紧固|拧紧|复位|重启|断开|加装|联系|排除|校准|重新)"
)
_CAUSE = re.compile(
    r"\b(?:caused by|cause of|causes?|due to|because|owing to|as a result of|results? from|"
    r"reasons?|"
    r"may be (?:faulty|defective|damaged)|occurs? (?:when|if)|triggered (?:when|if|by)|"
    r"(?:is|are) (?:too|not) \w+)\b",
    re.IGNORECASE,
)
_CAUSE_CJK = re.compile(
    r"由于|原因|因为|所致|引起|导致|造成|可能是|的时候会|过高|过低|过大|过小|超过"
)


def is_action(sentence: str) -> bool:
    """Return whether a sentence tells the reader to do something."""
    if _SETTING.match(sentence):
        return False
    return bool(
        _IMPERATIVE.match(sentence) or _ADVICE.search(sentence) or _ACTION_CJK.search(sentence)
    )


def is_order(sentence: str) -> bool:
    """Return whether a sentence begins by telling the reader to do something."""
    if _SETTING.match(sentence):
        return False
    return bool(_IMPERATIVE.match(sentence) or _ORDER_CJK.match(sentence))


def is_cause(sentence: str) -> bool:
    """Return whether a sentence says why something happens; what tells to act is no cause."""
    if is_action(sentence):
        return False
    return bool(_CAUSE.search(sentence) or _CAUSE_CJK.search(sentence))
