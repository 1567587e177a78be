"""Words by which a sentence of running text gives itself away as a cause or a thing to do."""

from __future__ import annotations

import re

from services.orchestrator.language import has_ideographs

_IMPERATIVE = re.compile(
    r"\W*(?:\w{1,3}[.)]\s*)?(?:(?:(?:please|then|first),?|(?:if|when|to|for) [^,]{1,80},)\s+)?"
    r"(?:check|replace|reduce|increase|decrease|ensure|verify|measure|clean|tighten|reset|restart|"
    r"disconnect|reconnect|connect|remove|adjust|lower|raise|install|contact|inspect|correct|repair|"
    r"calibrate|set|turn|switch|wait|press|charge|use|try|make sure|carry out|select|enter|"
    r"let|add|avoid|do not|never|always|see|read|allow|shorten|extend|improve|upgrade|evaluate)\b",
    re.IGNORECASE,
)
# `Set range: 0-10` names a thing and its value. Nothing is given back: Chinese has no spaces, and
# to part 600 characters in every way took 2 s.
_SETTING = re.compile(r"\W*+(?:[\w()/]++ ?){1,3}[:：]\s*(?:[\d(<>±-]|\w+\s*[:：]|$)")
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
    r"由于|原因|因为|所致|引起|导致|造成|可能是|的时候会|过高|过低|过大|过小|(?<!不)超过"
)
# What becomes of a fault, and what is advised, are no causes of it.
_NO_CAUSE = re.compile(
    r"报警产生(?:以)?后|解除|为宜|after the (?:alarm|fault|warning) is|is released|releases the",
    re.IGNORECASE,
)
# What the machine does of itself, what needs not be done, and notes are no steps.
_NO_STEP = re.compile(
    r"(?:notes?|notice|attention|caution|warning|for example|注意?|备注|说明|举例|例如?)"
    r"\s*[:：,，]"
    r"|\b(?:no need|not necessary|not required|do(?:es)? not need)\b|无需|不需要|不必",
    re.IGNORECASE,
)
# A clause that tells the reader what to do: at its beginning, or behind what asks for it.
_STEP_CJK = re.compile(
    r"(?:^\W*(?:\d{1,2}[.、)）]\s*)?|[，,；;：:。]\s*)"
    r"(?:首先|然后|再|先|并|则|同时|最后|接着)?(?:检查|更换|降低|确认|确保|减小|减少|增大|提高|调整|测量|清洁|清理"
    r"|清除|紧固|拧紧|复位|重启|断开|断掉|加装|联系|寻求|排除|修正|校准|设置为|设为|等待|按下|按住|点击|打开"
    r"|关闭|开启|插上|拔下|避免|不要|切勿|选择|输入|填入|长按|进入|接通)"
    r"|请|应(?:当|该)?(?!用|答)|必须|需要?(?!求)|不得|不可|不允许|禁止|勿|避免"
)
_MACHINE_CJK = re.compile(
    r"(?:保护板|均衡器|控制器|变频器|驱动器|系统|设备|电机|逆变器|主机|装置|仪|APP)\s?(?:将|会|就|自动|能够|可以"
    r"|需要|解除|产生|发出|显示|提示|重新|关闭|开启)"
)
_PLEASE = re.compile(r"\bplease\b", re.IGNORECASE)
# What a manual writes below `Solution` where it only says what is wrong.
_STATEMENT = re.compile(
    r"\W*+(?:(?:the|an?|this|there|no|not|wrong|bad|poor|loose|broken|faulty|defective)\b.*"
    r"|(?!(?:clear|eliminate|rectify|acknowledge|find|locate|fix|solve|troubleshoot|report|view)\b)"
    r"(?:[\w/-]+\s){0,3}(?:errors?|faults?|failures?|protection|damaged?|broken|loose|missing))\W*",
    re.IGNORECASE | re.DOTALL,
)
_NO_STATEMENT = re.compile(
    r"[?？:：]\s*$|\b(?:can|should|must|may|needs?|please|not to|no (?:action|measures?|remedy))\b",
    re.IGNORECASE,
)


def is_action(sentence: str) -> bool:
    """Return whether a sentence tells the reader to do something."""
    if _SETTING.match(sentence):
        return False
    return bool(
        _IMPERATIVE.match(sentence) or _ADVICE.search(sentence) or _ACTION_CJK.search(sentence)
    )


def is_step(sentence: str) -> bool:
    """Return whether a sentence of running text tells the reader to do something.

    Manuals speak more of what the machine does: `保护板重新开启` is no step, nor is a note.
    """
    if _SETTING.match(sentence) or _NO_STEP.search(sentence):
        return False
    if has_ideographs(sentence):
        return bool(_STEP_CJK.search(sentence)) and not _MACHINE_CJK.search(sentence)
    told = _IMPERATIVE.match(sentence) or _ADVICE.search(sentence) or _PLEASE.search(sentence)
    return bool(told)


def is_order(sentence: str) -> bool:
    """Return whether a sentence begins by telling the reader to do something."""
    if _SETTING.match(sentence):
        return False
    return bool(_IMPERATIVE.match(sentence) or _ORDER_CJK.match(sentence))


def is_demand(sentence: str) -> bool:
    """Return whether an item among causes is a thing to do: an order, or what must be done."""
    return is_order(sentence) or bool(_ADVICE.search(sentence))


def is_statement(sentence: str) -> bool:
    """Return whether an item among remedies only says what is wrong, as `Fan broken`."""
    if has_ideographs(sentence) or is_action(sentence) or _NO_STATEMENT.search(sentence):
        return False
    return bool(_STATEMENT.fullmatch(sentence))


def is_cause(sentence: str) -> bool:
    """Return whether a sentence says why something happens; what tells to act is no cause."""
    if is_step(sentence) or _NO_CAUSE.search(sentence):
        return False
    return bool(_CAUSE.search(sentence) or _CAUSE_CJK.search(sentence))
