"""Words of parameter lists: codes with a name, and lines of range, unit and default (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_CODE = r"""(?!(?i:PAGE|NOTES?|PART|BIT|NO|REV|VER|TAB|TABLE|FIG|STEP|DIN|ISO|IEC|EN|UL|CE)
    [._\-\ ]?\d)(?:
    0[xX][0-9A-Fa-f]{2,8}(?:[:.][0-9A-Fa-f]{1,4})?
    | (?:Pr|Pn|PR|PN|[PFCHUbdnr])[.\ ]{1,2}\d{1,5}(?:[.\-_]\d{1,4})?
    | [A-Za-z]{1,4}[._\-]?\d{1,5}[A-F]?(?:[._\-]\d{1,4})?
    | \d{1,2}[.\-]\d{2,3}
)"""
_HEADING = re.compile(
    rf"""^[*＊﹡☆★▲●◆■○•\s]*
    (?:(?i:parameter|param\.?|参数|功能码|功能代码)\s*[:：]?\s*)?
    (?P<code>{_CODE})(?P<index>\[[^\]]{{1,16}}\]|(?:\.\.\.|…)\d{{1,3}})?
    (?P<to>\s*(?:[~～—–-]|\.\.\.|…|to|至|到)\s*{_CODE})?
    (?:\s*[:：\-–—,，、|/]+\s*|\s+|(?=[\u4e00-\u9fff（(])|(?=[A-Z][a-z]))(?P<name>\S.*)$""",
    re.VERBOSE,
)
_KINDS = {
    "range": (
        r"(?:(?:set(?:ting)?|setpoint|value|adjust(?:ment|able|ing)?|data|permissible|input|valid"
        r"|parameter)[ ]?)?range(?:[ ]of[ ](?:values?|adjustment))?"
        r"|min(?:imum|\.)?(?:[ ]value)?|max(?:imum|\.)?(?:[ ]value)?|options?"
        r"|(?:设定|设置|取值|调节|调整|参数|数值|有效|数据)?范围|可选(?:项|值)?|选项|最小值|最大值"
    ),
    "default": (
        r"(?:ex-?factory|factory|default|initial|preset)"
        r"(?:[ ](?:set(?:ting|up)?|value|default|parameter)s?)?"
        r"|(?:出厂|默认|缺省|初始|工厂)(?:设定|设置|参数|默认)?值?"
    ),
    "unit": (
        r"(?:min(?:imum|\.)?[ ])?(?:setting[ ])?units?(?:[ ]selection|[ ]group)?"
        r"|step(?:[ ](?:length|size|width))?|increments?|resolution"
        r"|(?:最小|设定)?单位|步长|分辨率|量纲"
    ),
    "access": (
        r"access(?:[ ](?:level|rights?))?|calculated|data[ ]?(?:type|size|format)"
        r"|can[ ]be[ ]changed|scaling|dyn\.?[ ]index|func(?:tion|\.)[ ]diagram"
        r"|(?:modbus[ ]|communication[ ]|register[ ])?address|attributes?|control[ ]mode"
        r"|属性|更改|数据(?:类型|格式|大小)|访问(?:级别|权限)|(?:通讯|通信|寄存器)?地址"
        r"|生效(?:方式|时间)|相关模式|控制模式"
    ),
}
_LABEL_WORDS = "|".join(f"(?:{words})" for words in _KINDS.values())
_SURE = (
    r"factory[ ](?:setting|default)|default[ ](?:value|setting)|initial[ ]value"
    r"|set(?:ting)?[ ]range|出厂值|默认值|缺省值|设定范围|设置范围"
)
_LABEL = re.compile(
    rf"""(?:[【\[](?P<framed>{_LABEL_WORDS})[】\]]\s*[:：]?
    | (?<![A-Za-z\u4e00-\u9fff（(])(?P<plain>{_LABEL_WORDS})\s*
      (?:[（(][^()（）]{{0,16}}[)）]\s*)?[:：]
    | (?<![A-Za-z\u4e00-\u9fff])(?P<sure>{_SURE})\s+(?=[\d*＊+\-—]))\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_KIND = re.compile(
    "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS.items()), re.IGNORECASE | re.VERBOSE
)
_COLUMN = r"(?:min(?:imum|\.)?|max(?:imum|\.)?|units?|factory[ ]setting|default(?:[ ]value)?)"
_COLUMNS = re.compile(rf"{_COLUMN}(?:\s+{_COLUMN})+", re.IGNORECASE)
_CELL = re.compile(r"\S+(?:\s+\[[^\]]*\])?")
_OPTION = re.compile(r"\s+(?=[*＊﹡]?\d{1,3}\s*[:：]\s*\S)")
_TOLD = re.compile(r"\s+(?=(?:description|explanation|说明|描述)\s*[:：])", re.IGNORECASE)
_NUMBER = re.compile(
    r"[-+\d*＊—.,/~～%％]+(?:[A-Za-z°℃Ωµ%/]{0,5})(?:\s(?:[kMm]?(?:Hz|V|A|W|s|S)|%|℃|rpm|r/min|min)(?![A-Za-z]))?"
)
_LETTERS = re.compile(r"[^\W\d_]{2}")
_SENTENCE = re.compile(r"(?:is|are|to|and|or|of|in|has|can|must|should|for|with|means|[=＝])(?!\w)")
_FULL_STOP = re.compile(r"[^\W\d_]{6}\.$")
"""The end of a sentence; after fewer letters it may be of an abbreviation."""
_BARE_CODE = re.compile(_CODE, re.VERBOSE)
_MARKS = re.compile(r"^[\s*＊_•·▪●○◦\-–—]+")
RESERVED = re.compile(r"(?i)(?:factory )?reserved?|保留|预留|厂家(?:保留|参数)")
"""Names of parameters that have no parts."""
MAX_NAME = 120
"""Characters beyond which no name is one."""
_LONGEST_BEFORE = 40
"""Characters before the first name of a line at most."""
_LONGEST_VALUE = 24
"""Characters beyond which the last value of a line ends with its number."""


@dataclass(slots=True)
class Line:
    """A line of range, unit, default and the like."""

    parts: list[tuple[str, str]]
    """Names as printed, and values."""
    kinds: set[str]
    """What kinds of names there are: range, default, unit, access."""
    rest: str = ""
    """Text that follows the last value."""
    before: str = ""
    """What stands before the first name, as the models that have the parameter."""


@dataclass(slots=True)
class Heading:
    """A parameter's code and name, and what stands on the same line."""

    code: str
    """As printed, with the last of a range."""
    name: str
    index: str = ""
    """What stands in brackets behind the code, with them."""
    line: Line = field(default_factory=lambda: Line([], set()))


def heading(text: str) -> Heading | None:
    """Return a parameter's heading, None for any other text."""
    text = " ".join(text.split())
    if not any(character.isdigit() for character in text[:24]):
        return None
    match = _HEADING.match(text)
    if not match:
        return None
    name, line = match["name"], Line([], set())
    label = _LABEL.search(name)
    if label:
        line = _line(name[label.start() :])
        name = name[: label.start()]
    name = name.strip(" *＊﹡☆★▲●\t:：-–—,，（(")
    if not name or len(name) > MAX_NAME or not _LETTERS.search(name) or _SENTENCE.match(name):
        return None
    if name[-1] in "。;；,，" or _FULL_STOP.search(name) or _BARE_CODE.fullmatch(name):
        return None
    code, index = match["code"], match["index"] or ""
    if index[:1] in {".", "…"}:
        # `r0056.0...15`: bits of `r0056`.
        code, _, first = code.partition(".")
        index = f".{first}{index}"
    return Heading(code + (match["to"] or ""), name, index, line)


def alike(code: str, other: str) -> bool:
    """Return whether two codes begin with the same letters, or one with some of the other's."""
    letters = [re.match(r"[A-Za-z]*", each)[0].casefold() for each in (code, other)]  # type: ignore[index]
    short, long = sorted(letters, key=len)
    return long.startswith(short) and bool(short) == bool(long)


def settings(text: str) -> Line | None:
    """Return the parts of a line that begins with the name of one, None for any other text."""
    text = _MARKS.sub("", " ".join(text.split()))
    return _line(text) if _LABEL.match(text) else None


def within(text: str) -> Line | None:
    """Return the parts of a line that names several, whatever it begins with."""
    found = settings(text)
    text = " ".join(text.split())
    label = _LABEL.search(text)
    if found or not label or label.start() > _LONGEST_BEFORE:
        return found
    found = _line(text[label.start() :])
    found.before = text[: label.start()].strip()
    return found if len(found.parts) > 1 else None


def is_name(text: str) -> bool:
    """Return whether a text is the name of a part."""
    return bool(_KIND.fullmatch(text) or columns(text))


def kind(name: str) -> str:
    """Return what a name of a part is: range, default, unit, access; empty for none of them."""
    match = _KIND.fullmatch(name)
    return match.lastgroup or "" if match else ""


def is_option(text: str) -> bool:
    """Return whether a text begins with an option: `0: off`."""
    return bool(_OPTION.match(f" {text}"))


def columns(text: str) -> list[str]:
    """Return the names in a line such as `Min Max Factory setting`, none in any other."""
    text = " ".join(text.split())
    if len(text) > MAX_NAME or not _COLUMNS.fullmatch(text):
        return []
    return re.findall(_COLUMN, text, re.IGNORECASE | re.VERBOSE)


def cells(names: list[str], text: str) -> list[tuple[str, str]]:
    """Return the values that stand below such names, as one where they do not tell their places."""
    values = _CELL.findall(text)
    last = len(names) - 1
    if all(value == "-" for value in values[:last]):
        values[last:] = [" ".join(values[last:])]
    if len(values) != len(names):
        return [(" ".join(names), text)]
    return list(zip(names, values, strict=True))


def _line(text: str) -> Line:
    found = list(_LABEL.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    line = Line([], set())
    for match, end in zip(found, ends, strict=True):
        name = match["framed"] or match["plain"] or match["sure"]
        line.kinds.add(kind(name))
        # What a table's first column holds below a value may have come along with it.
        value, *told = _TOLD.split(text[match.end() : end], maxsplit=1)
        line.parts.append((name, value.strip(" ;；,，|")))
        line.rest += "".join(told).strip(" |")
    name, value = line.parts[-1]
    value, rest = _cut(value)
    line.parts[-1] = (name, value)
    line.rest = " ".join(filter(None, (rest, line.rest)))
    return line


def _cut(value: str) -> tuple[str, str]:
    """Return a value, and the list or the sentence that follows it on its line."""
    option = _OPTION.search(value)
    if option:
        return value[: option.start()], value[option.end() :]
    number = _NUMBER.match(value)
    if len(value) > _LONGEST_VALUE and number and value[number.end() : number.end() + 1] == " ":
        return number.group(), value[number.end() :].strip()
    return value, ""
