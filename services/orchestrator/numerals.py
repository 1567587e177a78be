"""Numbers written as words before a unit, in English and Chinese (pure)."""

from __future__ import annotations

import re

_ONES = {
    word: number
    for number, word in enumerate(
        re.findall(
            r"\w+",
            """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
            fifteen sixteen seventeen eighteen nineteen""",
        )
    )
}
_TENS = {
    word: 10 * number
    for number, word in enumerate(
        re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety"), 2
    )
}
_WORD = "|".join(sorted((*_ONES, *_TENS, "hundred", "thousand"), key=len, reverse=True))
_UNIT = (
    r"(?:(?:milli|micro)?seconds?|secs?|minutes?|mins?|hours?|days?|weeks?|months?|years?|times"
    r"|(?:kilo|milli)?volts?|(?:milli)?amps?|amperes?|(?:kilo|mega)?hertz|percent|per cent|degrees?"
    r"|ohms?|(?:kilo)?watts?|(?:milli|centi)?met(?:er|re)s?|bars?|lit(?:er|re)s?)\b"
)
_ENGLISH = re.compile(rf"\b((?:{_WORD})(?:(?:-| | and )(?:{_WORD})){{0,5}})(?=[ -]{_UNIT})")
_HALF = re.compile(rf"\bhalf an? (?={_UNIT})")
_DIGITS = {sign: n for n, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_NUMERALS = "零〇一二两三四五六七八九十百"
_NUMERAL = f"(?<![{_NUMERALS}])[{_NUMERALS}]{{1,6}}"
_CHINESE = re.compile(
    rf"({_NUMERAL}|半) ?(?=毫秒|微秒|秒|分钟|个?小时|天|个月|年"
    r"|千?伏|毫?安(?![全装排静])|[千兆毫]?欧|千?瓦|千?赫|[毫厘]?米|公斤|千克|摄氏度)"
)
_HUNDREDTHS = re.compile(rf"百分之 ?({_NUMERAL}|\d+(?:\.\d+)?)")


def spelled_out(text: str) -> str:
    """Return a text of small letters with digits for number words that have a unit behind them."""
    text = _HALF.sub("0.5 ", text)
    text = _ENGLISH.sub(lambda match: _english(match[1]), text)
    text = _HUNDREDTHS.sub(lambda match: f"{_chinese(match[1])}%", text)
    return _CHINESE.sub(lambda match: _chinese(match[1]), text)


def _english(words: str) -> str:
    """Return the digits of a number in words; the words where they are none."""
    total, group, last = 0, 0, 1000
    for word in re.split(r"-| and | ", words):
        if word in _ONES or word in _TENS:
            value = _ONES.get(word, 0) or _TENS.get(word, 0)
            # `two three minutes` is no number, `twenty three` is one.
            if last < 20 or (last < 1000 and value >= 10):
                return words
            group, last = group + value, value
        elif word == "hundred":
            group, last = (group or 1) * 100, 1000
        else:
            total, group, last = total + (group or 1) * 1000, 0, 1000
    return str(total + group)


def _chinese(numeral: str) -> str:
    """Return the digits of a numeral below a thousand; the numeral where it is none."""
    if numeral == "半":
        return "0.5"
    match = re.fullmatch(r"(?:(.)百零?)?(?:(.?)十)?(.?)", numeral)
    if not match or any(part and part not in _DIGITS for part in match.groups()):
        return numeral
    hundreds, tens, ones = match.groups()
    number = _DIGITS.get(hundreds or "零", 0) * 100 + _DIGITS.get(ones or "零", 0)
    return str(number + (0 if tens is None else 10 * _DIGITS.get(tens or "一", 0)))
