"""Numbers with their units, however a manual or a model spells them (pure).

The same quantity in another spelling is the same: `0,5 s`, `0.50 seconds`, `０．５秒`, `half a
second`. The same in another unit (`500 ms`) is not looked for: values are to be kept as printed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from services.orchestrator.numerals import spelled_out

Quantity = tuple[str, str]
"""Number and unit, each in its one spelling."""

_UNITS = {
    "v": "v|volts?|vac|vdc|v ac|v dc|伏特?",
    "kv": "kv|kilovolts?|千伏",
    "mv": "mv|millivolts?|毫伏",
    "a": "a|amps?|amperes?|安培|安(?![全装排静])",
    "ka": "ka|千安",
    "ma": "ma|milliamps?|milliamperes?|毫安",
    "μa": "μa|ua|微安",
    "w": "w|watts?|瓦特?",
    "mw": "mw|毫瓦",
    "kw": "kw|kilowatts?|千瓦",
    "megaw": "megaw|megawatts?|兆瓦",
    "va": "va|伏安",
    "kva": "kva|千伏安",
    "kvar": "kvar|千乏",
    "kwh": "kwh|千瓦时",
    "hz": "hz|hertz|赫兹?",
    "khz": "khz|kilohertz|千赫兹?",
    "mhz": "mhz|megahertz|兆赫兹?",
    "ghz": "ghz|吉赫兹?",
    "μs": "μs|us|microseconds?|微秒",
    "ms": "ms|msecs?|milliseconds?|毫秒",
    "s": "s|secs?|seconds?|秒钟?",
    "min": "min|mins|minutes?|分钟",
    "h": "h|hrs?|hours?|个?小时",
    "day": "days?|天",
    "week": "weeks?|周(?![期围])|星期",
    "month": "months?|个月",
    "year": "years?|年",
    "time": "times|次",
    "%": "%|percent|per cent|pct",
    "ppm": "ppm",
    "°c": "° ?c|deg\\.? ?c|degrees? c|degrees? celsius|c|摄氏度",
    "°f": "° ?f|deg\\.? ?f|degrees? fahrenheit|华氏度",
    "°": "°|deg|degrees?",
    "度": "度(?!数)",
    "μω": "μω|uohms?|微欧",
    "mω": "mω|mohms?|milliohms?|毫欧",
    "ω": "ω|ohms?|欧姆?",
    "kω": "kω|kohms?|kilohms?|kiloohms?|千欧",
    "megaω": "megaω|megaohms?|megohms?|兆欧姆?",
    "gω": "gω|gohms?|gigaohms?|吉欧",
    "pf": "pf|皮法",
    "nf": "nf|纳法",
    "μf": "μf|uf|微法",
    "mf": "mf|毫法",
    "mh": "mh|毫亨",
    "n": "n|newtons?|牛顿?",
    "kn": "kn|千牛",
    "nm": "nm|n·m|n⋅m|n\\.m|n\\*m|n-m|n m|牛米|牛·米|牛⋅米",
    "j": "j|joules?|焦耳?",
    "rpm": "rpm|r/min|rev/min|revs/min|1/min|min-1|min\\^-1|转/分钟?|转每分钟?",
    "pa": "pa|帕",
    "kpa": "kpa|千帕",
    "mpa": "mpa|兆帕",
    "mbar": "mbar|毫巴",
    "bar": "bars?|巴",
    "psi": "psi",
    "μm": "μm|um|microns?|微米",
    "mm": "mm|millimeters?|millimetres?|毫米",
    "cm": "cm|centimeters?|centimetres?|厘米",
    "m": "m|meters?|metres?|米",
    "km": "km|公里|千米",
    "mm2": "mm2|mm\\^2|square millimeters?|square millimetres?|平方毫米",
    "m2": "m2|m\\^2|平方米",
    "m3": "m3|m\\^3|立方米",
    "g": "g|grams?|克",
    "kg": "kg|kilograms?|公斤|千克",
    "l": "l|liters?|litres?|升(?![高级降速温压])",
    "ml": "ml|milliliters?|millilitres?|毫升",
    "ah": "ah|安时",
    "mah": "mah|毫安时",
    "db": "db|dba|db\\(a\\)|分贝",
    "bit": "bits?|位(?![置移])",
    "bit/s": "bps|baud|波特",
    "kbit": "kbits?",
    "kbit/s": "kbps|kbaud",
    "mbit": "mbits?",
    "mbit/s": "mbps|mbaud",
    "byte": "bytes?|字节",
    "kb": "kb",
    "mb": "mb",
    "gb": "gb",
}
_LIKE = {"度": ("°c", "°"), "°c": ("度",), "°": ("度",)}
"""Chinese says one word for degrees of both kinds."""


def _spellings(word: str) -> list[str]:
    """Return a pattern's spellings, with and without its optional characters, longest first."""
    match = re.search(r"(\\?.)\?(?![!])", word)
    if not match:
        return [word]
    before, after = word[: match.start()], word[match.end() :]
    return [*_spellings(before + match[1] + after), *_spellings(before + after)]


_PATTERNS = {
    one: unit
    for unit, words in _UNITS.items()
    for word in words.split("|")
    for one in _spellings(word)
}
_NAMED = {re.sub(r"\(\?!.*\)|\\", "", one): unit for one, unit in _PATTERNS.items()}
_ONE = "|".join(sorted(_PATTERNS, key=lambda one: len(re.sub(r"\(.*\)", "", one)), reverse=True))
# A unit, or one by another: `l/min`. ASCII letters alone end it: in `24V时` it ends at the V. One
# pattern for all that look for units: it has hundreds of words.
_UNIT = re.compile(rf"(?:{_ONE})(?![a-z0-9])")
NUMBER = r"\d+(?:\.\d+)?"
_BEGIN = r"(?<![a-z0-9.])"
_RANGE = r"(?:-|–|—|~|〜|∼|/|…|⋯|±|、|, |至|到|或|和|,? ?\b(?:to|and|or|through)\b)"
_SIGN = r"[+±-]?"
_NUMBER = re.compile(rf"{_BEGIN}{NUMBER}")
_BEHIND = re.compile(r"[a-z0-9]|\.\d")
_STROKE = re.compile(r" ?/ ?")
_JOINT = re.compile(r"-(?=v|[a-z%]{2})| ?")
_MORE = re.compile(rf" ?{_RANGE} ?{_SIGN}({NUMBER})")
_LONE = re.compile(r"(?<=[|:\[(\s]) ?(?=[^\W\d]|[%°]|1/)")
_LONE_END = re.compile(r" ?(?:[|\])]|$)", re.MULTILINE)
_LONGEST_LIST = 6
"""Numbers of a range or list that share the unit behind the last."""

_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
# In lower case a megohm would be a milliohm.
_MEGA = re.compile(r"(?<![A-Za-z])M(?=(?:[ΩΩ]|[Oo][Hh][Mm][Ss]?|W|Wh|VA)(?![A-Za-z]))")
_DEGREE = str.maketrans({"º": "°", "˚": "°", "，": ", ", "；": "; ", "−": "-", "‐": "-", "‑": "-"})
_GROUPS = re.compile(r"(?<![a-z0-9.,])([1-9]\d{0,2})((?: \d{3})+)(?!\d)")


def flat(text: str) -> str:
    """Return a text in one spelling: NFKC, small letters, points for decimals, digits for words."""
    text = _INVISIBLE.sub("", text).translate(_DEGREE)
    text = _MEGA.sub("mega", unicodedata.normalize("NFKC", text)).casefold()
    text = text.translate(_DEGREE).replace("+/-", "±").replace("+-", "±")
    text = re.sub(r"\.{2,3}", "…", re.sub(r"[^\S\n]+", " ", text))
    text = re.sub(r"(?<=\d)['’](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<![a-z0-9.,])0,(?=\d{3})", "0.", text)
    # A comma before exactly three digits groups thousands in English and is a decimal in German;
    # manuals of machines mean thousands.
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<![a-z0-9.,])(\d+),(?=\d+(?!\d|[.,]\d))", r"\1.", text)
    text = re.sub(r"(?:\bminus |负|零下)(?=\d)", " -", text)
    text = re.sub(r" ?(?:\bper\b|每) ?", _by, text)
    return spelled_out(text)


def _by(match: re.Match[str]) -> str:
    """Return the stroke for `per` before a unit."""
    return "/" if _UNIT.match(match.string, match.end()) else match[0]


def joined(flattened: str) -> str:
    """Return a flat text with digits grouped by spaces as one number: `1 500` is 1500."""
    return _GROUPS.sub(lambda match: match[0].replace(" ", ""), flattened)


def quantities(flattened: str) -> dict[Quantity, str]:
    """Return the numbers with units of a flat text, and how to tell them to a person.

    Each number of a range, a list or a tolerance has the unit that stands behind the last.
    """
    found: dict[Quantity, str] = {}
    for match in _NUMBER.finditer(flattened):
        if unit := _shared_unit(flattened, match.end()):
            number = signed(flattened, match.start(), match[0])
            found[number, unit] = f"{number} {unit}"
    return found


def unit_at(flattened: str, place: int) -> tuple[str, int]:
    """Return the unit that stands there, and where it ends; empty where there is none."""
    match = _UNIT.match(flattened, place)
    if not match:
        return "", place
    stroke = _STROKE.match(flattened, match.end())
    below = _UNIT.match(flattened, stroke.end()) if stroke else None
    if below:
        return f"{_NAMED[match[0]]}/{_NAMED[below[0]]}", below.end()
    return _NAMED[match[0]], match.end()


def unit_behind(flattened: str, place: int) -> str:
    """Return the unit of the number that ends there, empty where it has none of its own."""
    joint = _JOINT.match(flattened, place)
    return unit_at(flattened, joint.end())[0] if joint else ""


def _shared_unit(flattened: str, place: int) -> str:
    """Return the unit of the number that ends there: behind it, or behind the end of its range."""
    for _ in range(_LONGEST_LIST):
        if unit := unit_behind(flattened, place):
            return unit
        more = _MORE.match(flattened, place)
        if not more:
            return ""
        place = more.end()
    return ""


def readings(quantity: Quantity, *, either: bool) -> Iterator[Quantity]:
    """Yield what else a manual says with a quantity.

    Args:
        quantity: of the manual.
        either: whether it is a tolerance, to both sides.
    """
    number, unit = quantity
    if number.startswith("-"):
        # `+10/-15 %` is read as: 15 % less.
        if unit == "%":
            yield number[1:], unit
    elif either:
        yield f"-{number}", unit


def tolerances(flattened: str) -> frozenset[str]:
    """Return the numbers that stand behind a ±."""
    return frozenset(plain(number) for number in re.findall(rf"± ?({NUMBER})", flattened))


def bare(flattened: str) -> frozenset[str]:
    """Return the numbers without a unit."""
    return frozenset(
        signed(flattened, match.start(), match[0])
        for match in _NUMBER.finditer(flattened)
        if not _BEHIND.match(flattened, match.end()) and not unit_behind(flattened, match.end())
    )


def lone_units(flattened: str) -> frozenset[str]:
    """Return the units that stand alone, as in a column of their own."""
    found = set()
    for match in _LONE.finditer(flattened):
        unit, end = unit_at(flattened, match.end())
        if unit and _LONE_END.match(flattened, end):
            found.add(unit)
    return frozenset(found)


def like(unit: str) -> tuple[str, ...]:
    """Return a unit, and what else its word may mean."""
    return (unit, *_LIKE.get(unit, ()))


def plain(number: str) -> str:
    """Return a number without zeros that say nothing: `0.50` is `0.5`, `005` is `5`."""
    whole, _, decimals = number.partition(".")
    decimals = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")


def signed(flattened: str, start: int, number: str) -> str:
    """Return the number that begins there, with its minus if that is none of a range."""
    number = plain(number)
    if number == "0" or flattened[start - 1 : start] not in ("-", "–"):
        return number
    before = flattened[max(0, start - 3) : start - 1]
    if not before or before[-1] in "(:=,[|<>≥≤…~/\n±–":
        return f"-{number}"
    # `300 -400 V` is a range, `at -10 °C` is not.
    if before[-1] == " ":
        return number if before[0].isdigit() else f"-{number}"
    return number if before[-1].isalnum() and before[-1].isascii() else f"-{number}"
