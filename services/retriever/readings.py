"""What a question may mean by what is written in it (pure).

People type codes with a space in them, in small letters, with the letter O for zero. None of it
would be a code in a manual. All but a number alone are uncertain: they mean something only where
a manual has that code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations

from services.retriever.normal import Code, joined


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FAULT_WORD = (
    r"alarms?|errors?|(?<!de)faults?|(?<!s)trip(?:s|ped)?|warnings?|报警|告警|警报|故障|错误|异常|報警|警報|錯誤|"
    r"異常|アラーム|エラー"
)
"""What stands beside a code that is one for sure; `default: 30` has none."""
ABBREVIATED = _words("ERR ER ALM ALARM ERROR")
"""Prefixes that are words of faults cut short: `err 9` may be error 9."""

NAMED = re.compile(
    r"(?<![A-Za-z0-9])(?P<letters>[A-Za-z]{1,10}"
    r"(?:code|err(?:or)?|(?<!de)fault|alarm|warn(?:ing)?|trip|exc|event|msg))"
    r"[ _\-]?(?P<digits>\d{1,6})"
    r"(?![A-Za-z0-9]|[.,]\d)",
    re.IGNORECASE,
)
"""A number with a name for its kind before it, in one word: `ExcCode106`, `SysWarn12`."""

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
_PRONOUNS = _words("i me us go so am he")
_GAPPED = re.compile(
    r"(?<![A-Za-z0-9])(?P<head>[A-Za-z]{1,4}[.\-_ ]?\d{1,4}) (?P<tail>\d{1,4})(?![A-Za-z0-9.])"
)
_SPACED_OUT = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z](?: ?[A-Za-z]){0,2}(?P<digits>(?: \d){2,6})(?![A-Za-z0-9.])"
)
"""As scanners and dictation part every character: `F 3 0 0 0 2`."""
_RUN = re.compile(r"(?<![A-Za-z0-9'’])[A-Za-z]{1,3}(?: [A-Za-z]{1,3}){1,7}(?![A-Za-z0-9'’])")
_JOINED = range(2, 5)
"""Letters of a name that was typed with spaces in it: `ov c` is OVC."""
_HEX = re.compile(
    r"(?<![A-Za-z0-9.\-])(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*[0-9])"
    r"(?:[0-9][0-9A-Fa-f]{4,7}|[A-Fa-f][0-9A-Fa-f]{5,7})(?![A-Za-z0-9.\-])"
)
"""A hexadecimal number without its mark: `0F0001`."""
_MARKED = re.compile(r"(?<![A-Za-z0-9$])\$ (\d{1,4})(?![A-Za-z0-9$#]|[.,]\d)")
"""A setting told by its mark, with a space after it: `$ 27`."""
_LIKE_DIGITS = re.compile(
    r"(?<![A-Za-z0-9])(?P<letters>[A-Za-z]{1,4})[.\-_ ]?"
    r"(?P<digits>\d{1,5}[OoIl|][0-9OoIl|]{0,5})(?![A-Za-z0-9])"
)
_TO_DIGITS = str.maketrans("OoIlL|", "001111")
_PARAMETER = re.compile(
    r"(?:(?<![A-Za-z])(?:par(?:am(?:eter)?s?)?|settings?)(?![A-Za-z])|参数|功能码|參數|設定|设定|设置)"
    rf"\.?\s{{0,4}}(?:no\.?|number|号|编号|#|:)?\s{{0,4}}(?P<number>\d{{1,5}}){AFTER}",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"(?<![A-Za-z0-9])(?P<word>err|er|alm|flt|wrn|warn)\.?[\s_]{0,3}(?:codes?|no\.?|number|nr\.?)?"
    rf"\s{{0,3}}[:=#]?\s{{0,3}}(?P<number>\d{{1,6}}){AFTER}",
    re.IGNORECASE,
)
"""A word of faults cut short, and a number apart from it."""
_APART = re.compile(r"[\s_:=#]")
_HASHED = re.compile(rf"(?<![A-Za-z0-9#])#\s?(\d{{1,6}}){AFTER}")
_SLIPPED = re.compile(
    rf"(?<![A-Za-z0-9])(?P<word>[A-Za-z]{{4,8}})[\s_]{{0,3}}[:=#]?\s{{0,3}}(?P<number>\d{{1,6}}){AFTER}"
)
_ALSO = re.compile(
    rf"(?:{FAULT_WORD}|codes?|代码)[\s:：#]{{0,4}}\d{{1,6}}"
    r"(?P<more>(?:\s{0,3}(?:[,，、/&]|and|or|和|与|及|或)\s{0,3}#?\d{1,6}(?![\dA-Za-z.\-])){1,8})"
    rf"(?!\s*(?:{UNITS}|\d))(?=\s*(?:$|[?？!！.。,，;；:：]|(?:on|at|of|in|mean|is|are|what|how|why|please)"
    rf"\b|是|怎|什么|同时|都|的|{FAULT_WORD}))",
    re.IGNORECASE,
)
"""Numbers that are asked for beside one that is told to be a fault's: `fault 5 and 7`."""
_ONE_MORE = re.compile(r"(?:[,，、/&]|and|or|和|与|及|或)\s{0,3}#?(\d{1,6})", re.IGNORECASE)
_TYPED = ("alarm", "error", "fault", "warning")
"""Words of faults that are known for it with one slip in them."""
_OTHERS = _words("alarms errors faults warnings faulty vault terror warming")
"""Words that are one slip from those, and right."""
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
    yield from _apart(folded)
    for match in _LIKE_DIGITS.finditer(folded):
        digits = match["digits"].translate(_TO_DIGITS)
        letters = match["letters"].upper()
        sure = len(digits) > 2 or letters in ABBREVIATED
        yield Code(letters + digits, match[0], match.start(), sure)
    yield from _unusual(folded)
    for match in _PARAMETER.finditer(folded):
        yield Code(f"P{match['number']}", match[0], match.start(), certain=False)
    yield from _numbered(folded)
    for match in _TOLD.finditer(folded):
        yield Code(f"#{match[1]}", match[0], match.start(), certain=False)
    if bare := _BARE.fullmatch(folded):
        yield Code(f"#{bare[1]}", bare[0].strip(), bare.start(1))
        return
    about_faults = _FAULT.search(folded) is not None
    for match in _NUMBER.finditer(folded):
        if about_faults or len(match[1]) >= _LONG:
            yield Code(f"#{match[1]}", match[0], match.start(), certain=False)


def _apart(folded: str) -> Iterator[Code]:
    """Return codes whose characters, or whose mark, stand apart."""
    for match in _SPACED_OUT.finditer(folded):
        whole = joined(match[0].replace(" ", ""))
        long = len(match["digits"]) // 2 > (2 if match[0][0].isupper() else 3)
        sure = long or whole.rstrip("0123456789") in ABBREVIATED
        yield Code(whole, match[0], match.start(), certain=sure)
    for run in _RUN.finditer(folded):
        pieces = list(re.finditer("[A-Za-z]+", run[0]))
        for first, last in combinations(range(len(pieces)), 2):
            words = [piece[0] for piece in pieces[first : last + 1]]
            name = "".join(words).upper()
            # One letter by itself: `ov er` may be anything.
            if len(name) in _JOINED and min(map(len, words)) == 1 and not _said(words):
                raw = run[0][pieces[first].start() : pieces[last].end()]
                yield Code(name, raw, run.start() + pieces[first].start(), certain=False)
    for match in _MARKED.finditer(folded):
        yield Code(f"${match[1]}", match[0], match.start())


def _unusual(folded: str) -> Iterator[Code]:
    """Return codes with a long prefix, and hexadecimal numbers without their mark."""
    for match in NAMED.finditer(folded):
        canonical = match["letters"].upper() + match["digits"]
        yield Code(canonical, match[0], match.start(), certain=False)
    for match in _HEX.finditer(folded):
        yield Code(match[0].upper(), match[0], match.start(), certain=False)


def _said(words: Iterable[str]) -> bool:
    return any(word.lower() in _WORDS or word.lower() in _PRONOUNS for word in words)


def _numbered(folded: str) -> Iterator[Code]:
    """Return numbers that stand apart from a mark, or from a word that is cut short or mistyped."""
    for match in _SHORT.finditer(folded):
        word = match["word"].upper()
        if _APART.search(match[0]):  # `Err18` and `Er.18` are written so
            letters = word if word in ABBREVIATED else "#"
            yield Code(f"{letters}{match['number']}", match[0], match.start())
    for match in _ALSO.finditer(folded):
        for more in _ONE_MORE.finditer(folded, match.start("more"), match.end("more")):
            yield Code(f"#{more[1]}", more[0], more.start())
    for match in _HASHED.finditer(folded):
        yield Code(f"#{match[1]}", match[0], match.start(), certain=False)
    for match in _SLIPPED.finditer(folded):
        word = match["word"].lower()
        if word not in _OTHERS and any(_one_slip(word, right) for right in _TYPED):
            yield Code(f"#{match['number']}", match[0], match.start(), certain=False)


def _one_slip(typed: str, word: str) -> bool:
    """Return whether one letter is wrong, missing or too many, or two are in the wrong order."""
    shorter, longer = sorted((typed, word), key=len)
    if len(shorter) == len(longer):
        unlike = [(a, b) for a, b in zip(typed, word, strict=True) if a != b]
        return len(unlike) == 1 or (len(unlike) == 2 and unlike[0] == unlike[1][::-1])
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


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
