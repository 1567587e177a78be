"""What can be checked in a sentence: codes, parameter numbers, numbers with their units."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

_UNITS = {
    "v": "v|volts?|伏特?",
    "kv": "kv|千伏",
    "mv": "mv|毫伏",
    "a": "a|amps?|amperes?|安培|安",
    "ma": "ma|毫安",
    "w": "w|watts?|瓦",
    "kw": "kw|千瓦",
    "hz": "hz|hertz|赫兹",
    "khz": "khz|千赫",
    "mhz": "mhz",
    "ms": "ms|milliseconds?|毫秒",
    "s": "s|secs?|seconds?|秒",
    "min": "mins?|minutes?|分钟",
    "h": "h|hrs?|hours?|小时",
    "%": "%|percent|per cent|百分",
    "°c": "°c|deg ?c|degrees? c(?:elsius)?|摄氏度|度",
    "°f": "°f",
    "ω": "ω|ohms?|欧姆?",
    "kω": "kω|kohms?|千欧",
    "mω": "mω|mohms?|兆欧|毫欧",
    "nm": "nm|n·m|牛米|牛·米",
    "rpm": "rpm|r/min|rev/min|转/分|min-1",
    "bar": "bar",
    "mpa": "mpa",
    "mm": "mm|毫米",
    "cm": "cm|厘米",
    "m": "m|meters?|metres?|米",
    "kg": "kg|公斤|千克",
    "ah": "ah",
    "mah": "mah",
    "bit": "bits?|位",
    "bps": "bps|baud",
}
_UNIT = "|".join(sorted((f"(?:{words})" for words in _UNITS.values()), key=len, reverse=True))
_UNIT_OF = [(unit, re.compile(words)) for unit, words in _UNITS.items()]
_NUMBER = r"\d+(?:\.\d+)?"
_RANGE = r"(?:-|–|—|~|/|…|\.{2,3}|\bto\b|\band\b|\bor\b|至|到|或|和)"
# ASCII letters alone end a unit: in `24V时` it ends before the ideograph.
_QUANTITY = re.compile(rf"(?<![a-z0-9.])({_NUMBER})\s*({_UNIT})(?![a-z0-9])")
_RANGED = re.compile(
    rf"(?<![a-z0-9.])({_NUMBER})\s*{_RANGE}\s*(?=[+±-]?{_NUMBER}\s*({_UNIT})(?![a-z0-9]))"
)
_BARE = re.compile(
    rf"(?<![a-z0-9.])({_NUMBER})(?![\w]|\.\d)(?!\s*(?:{_UNIT})(?![a-z0-9]))", re.ASCII
)
_LONE_UNIT = re.compile(rf"(?<=[|:：\[(\s])\s*({_UNIT})(?=\s*(?:[|\])]|$))", re.MULTILINE)
# Letters with digits behind: F07801, E.OC1, p1120, P4.02, P0-15, ERR05, 0x94.
_CODE = re.compile(
    r"(?<![a-z0-9.])(?:0x[0-9a-f]+|[a-z]{1,5}(?:[.\-][a-z]{1,3})?[.\-]?\d+[a-z]?(?:[.\-]\d+)*)"
    r"(?![a-z0-9])"
)
# A passage may print a code with a space in it, `E 005`; in a statement this may be no code.
_SPACED_CODE = re.compile(r"(?<![a-z0-9.])([a-z]{1,4}) (\d{1,6})(?![a-z0-9])")
# Bare numbers are codes when they are called so.
_NUMERIC_CODE = re.compile(
    r"\b(?:code|(?:fault|alarm|error|warning) (?:no\.?|number))\s*[:#]?\s*(\d{1,5})(?![\w.])"
    r"|(?:代码|故障码|报警码|错误码|故障号|报警号)\s*[:#]?\s*(\d{1,5})(?![a-z0-9.])"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """The checkable facts of a text, normalised."""

    codes: dict[str, str]
    """Codes and parameter numbers without their punctuation, and as they were written."""
    quantities: dict[tuple[str, str], str]
    """Number and unit, and as they were written."""
    bare: frozenset[str] = field(default_factory=frozenset)
    """Numbers that stand without a unit, as in a table that has units in a column of their own."""
    units: frozenset[str] = field(default_factory=frozenset)
    """Units that stand alone."""
    numeric_codes: dict[str, str] = field(default_factory=dict)
    """Numbers that are called a code, without leading zeros, and as they were written."""
    spaced_codes: frozenset[str] = field(default_factory=frozenset)
    """Letters and a number apart, which may be a code."""
    numbers: frozenset[str] = field(default_factory=frozenset)
    """All runs of digits, without leading zeros."""

    def has_quantity(self, number: str, unit: str) -> bool:
        """Return whether the text has a number with its unit, or both in cells of their own."""
        return (number, unit) in self.quantities or (number in self.bare and unit in self.units)

    def all_written(self) -> set[str]:
        """Return the checkable facts as written."""
        return {*self.codes.values(), *self.numeric_codes.values(), *self.quantities.values()}

    def lacks(self, other: Facts) -> set[str]:
        """Return the facts of another text that this one does not have, as written there."""
        known = self.codes.keys() | self.spaced_codes
        missing = {spelled for code, spelled in other.codes.items() if code not in known}
        missing |= {
            spelled for code, spelled in other.numeric_codes.items() if code not in self.numbers
        }
        return missing | {
            spelled
            for (number, unit), spelled in other.quantities.items()
            if not self.has_quantity(number, unit)
        }


def facts(text: str) -> Facts:
    """Return the facts of a text: NFKC, any case, any spacing, comma or point for decimals."""
    flat = _normalise(text)
    quantities: dict[tuple[str, str], str] = {}
    for pattern in (_QUANTITY, _RANGED):
        for match in pattern.finditer(flat):
            number, unit = _plain_number(match[1]), _unit(match[2])
            quantities.setdefault((number, unit), f"{match[1]} {match[2]}")
    codes = {
        re.sub(r"[.\-]", "", match[0]): match[0]
        for match in _CODE.finditer(flat)
        if match[0] != "min-1"
    }
    return Facts(
        codes=codes,
        quantities=quantities,
        bare=frozenset(_plain_number(match[1]) for match in _BARE.finditer(flat)),
        units=frozenset(_unit(match[1]) for match in _LONE_UNIT.finditer(flat)),
        numeric_codes={
            _plain_number(number): number
            for match in _NUMERIC_CODE.finditer(flat)
            if (number := match[1] or match[2])
        },
        spaced_codes=frozenset(match[1] + match[2] for match in _SPACED_CODE.finditer(flat)),
        numbers=frozenset(_plain_number(run) for run in re.findall(r"\d+", flat)),
    )


def _normalise(text: str) -> str:
    flat = unicodedata.normalize("NFKC", text).casefold().replace("−", "-")
    flat = re.sub(r"(?<=\d),(?=\d{1,2}(?!\d))", ".", flat)
    # A comma before exactly three digits groups thousands in English and is a decimal in German;
    # manuals of machines mean thousands.
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", flat)


def _plain_number(number: str) -> str:
    whole, _, decimals = number.partition(".")
    decimals = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")


def _unit(words: str) -> str:
    return next(unit for unit, pattern in _UNIT_OF if pattern.fullmatch(words))
