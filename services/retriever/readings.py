"""What a question may mean by what is written in it (pure).

People type codes with a space in them, in small letters, with the letter O for zero. None of it
would be a code in a manual. All but a number alone are uncertain: they mean something only where
a manual has that code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.retriever.normal import Code, joined


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FAULT_WORD = (
    r"alarms?|errors?|faults?|trips?|tripped|warnings?|报警|告警|警报|故障|错误|异常|報警|警報|錯誤|"
    r"異常|アラーム|エラー"
)
"""What stands beside a code that is one for sure."""

UNITS = (
    r"(?:(?:[mµuk]?[VAWs]|k?Hz|[mk]?m|kg|Nm|rpm|min|times?|seconds?|minutes?|hours?|days?)"
    r"(?![A-Za-z])|[%°℃次秒分个天台级档位组伏安])"
)
"""What makes a number before it a quantity."""
AFTER = rf"(?![\dA-Za-z\-]|\.\d|\s*{UNITS})"
"""What may not follow a number that is a code."""

_CAPITALS = re.compile(r"(?<![A-Za-z0-9\-.])[A-Z]{2,5}(?![A-Za-z0-9\-]|[ _.]\d)")
_DISPLAYED = re.compile(
    r"(?<![A-Za-z0-9\-.])(?<!\d )(?:[A-Za-z]?[a-z][A-Z]{1,3}[a-z]?|[A-Z]{2,3}[a-z])"
    r"(?![A-Za-z0-9\-])"
)
"""As seven segments show it: `oL`, `STo`, `nOFF`."""
_BESIDE = re.compile(
    rf"(?:{FAULT_WORD}|报|显示|跳|code|代码|shows?|displays?|displaying)"
    r"\s{0,4}(?:[:=]|with |on )?\s{0,4}"
    rf"(?P<after>[a-z]{{2,4}})(?![A-Za-z0-9])"
    rf"|(?<![A-Za-z0-9])(?P<before>[a-z]{{2,4}})\s*(?:{FAULT_WORD}|code|代码)",
    re.IGNORECASE,
)
_WORDS = _words(
    "a an the this that no not is are was it my our on off of in at to for and or by as if be "
    "do did has had have with when what how why which get got any all some one two red led "
    "low high same new old out up time list code axis only also then than from does mean over "
    "show after come came keep see set can its his her we you they last first each both such "
    "more most fan pump main drive door stop safe hard soft data test type dc ac"
)
"""Short words that stand beside those and are no code."""
_GAPPED = re.compile(
    r"(?<![A-Za-z0-9])(?P<head>[A-Za-z]{1,4}[.\-_ ]?\d{1,4}) (?P<tail>\d{1,4})(?![A-Za-z0-9.])"
)
_LIKE_DIGITS = re.compile(
    r"(?<![A-Za-z0-9])(?P<letters>[A-Za-z]{1,4})[.\-_ ]?"
    r"(?P<digits>\d{1,5}[OoIl|][0-9OoIl|]{0,5})(?![A-Za-z0-9])"
)
_TO_DIGITS = str.maketrans("OoIlL|", "001111")
_PARAMETER = re.compile(
    r"(?:param(?:eter)?s?|参数|功能码|參數)\s{0,4}(?:no\.?|号|编号|#)?\s{0,4}(\d{1,5})(?![\dA-Za-z.])",
    re.IGNORECASE,
)
_TOLD = re.compile(rf"(?:报|跳|显示|提示|出现)\s*(\d{{1,5}}){AFTER}")
"""As people say what a display shows: `变频器报 06`."""
_BARE = re.compile(r"\s*#?(\d{1,6})[\s?？!！.。]*")
_NUMBER = re.compile(rf"(?<![\dA-Za-z.\-])(\d{{1,6}}){AFTER}")
_LONG = 5
"""Digits of a number that is looked up as a code with no word of a fault in the question."""
_FAULT = re.compile(FAULT_WORD, re.IGNORECASE)


def readings(folded: str) -> Iterator[Code]:
    """Return what a question's words may be, besides what they would be in a manual.

    Args:
        folded: the question, as `normal.fold` gives it.
    """
    yield from _letters(folded)
    for match in _GAPPED.finditer(folded):
        for between in ("", "."):
            spelt = joined(f"{match['head']}{between}{match['tail']}")
            yield Code(spelt, match[0], match.start(), certain=False)
    for match in _LIKE_DIGITS.finditer(folded):
        digits = match["digits"].translate(_TO_DIGITS)
        yield Code(match["letters"].upper() + digits, match[0], match.start(), len(digits) > 2)
    for match in _PARAMETER.finditer(folded):
        yield Code(f"P{match[1]}", match[0], match.start(), certain=False)
    for match in _TOLD.finditer(folded):
        yield Code(f"#{match[1]}", match[0], match.start(), certain=False)
    if bare := _BARE.fullmatch(folded):
        yield Code(f"#{bare[1]}", bare[0].strip(), bare.start(1))
        return
    about_faults = _FAULT.search(folded) is not None
    for match in _NUMBER.finditer(folded):
        if about_faults or len(match[1]) >= _LONG:
            yield Code(f"#{match[1]}", match[0], match.start(), certain=False)


def _letters(folded: str) -> Iterator[Code]:
    """Return codes of letters alone: capitals, and others beside a word of faults."""
    for pattern in (_CAPITALS, _DISPLAYED):
        for match in pattern.finditer(folded):
            yield Code(match[0].upper(), match[0], match.start(), certain=False)
    for match in _BESIDE.finditer(folded):
        group = "after" if match["after"] else "before"
        if match[group].lower() not in _WORDS:
            yield Code(match[group].upper(), match[group], match.start(group), certain=False)


def as_digits(canonical: str) -> str:
    """Return a code with the letters O, I and L after its first one read as digits.

    The same code where that gives no digits alone: `EO05` -> `E005`, `EOC1` -> `EOC1`.
    """
    for first in (1, 2, 3):
        rest = canonical[first:].translate(_TO_DIGITS)
        if canonical[:first].isalpha() and rest != canonical[first:] and rest.isdigit():
            return canonical[:first] + rest
    return canonical
