"""What can be checked in a sentence: codes, parameter numbers, values, numbers with their units."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from services.orchestrator.quantities import (
    NUMBER,
    Quantity,
    bare,
    flat,
    joined,
    like,
    lone_units,
    plain,
    quantities,
    readings,
    signed,
    tolerances,
    unit_behind,
)

# Letters with digits behind: F07801, E.OC1, p1120, P4.02, P0-15, ERR05, 0x94.
_CODE = re.compile(
    r"(?<![a-z0-9.])(?:0x[0-9a-f]+|[a-z]{1,5}(?:[.\-][a-z]{1,3})?[.\-]?\d+[a-z]?(?:[.\-]\d+)*)"
    r"(?![a-z0-9])"
)
# What only looks like one: `No.5`, `Fig.3`, `min-1`, `mm2`.
_NO_CODE = re.compile(r"[mc]m[23]|(?:no|nos|fig|tab|step|page|pos|chap|sec|eq|min)[.\-]?\d.*")
# Without a digit, as displays show them: `E.OC`, `AL-OV`.
_LETTERS = re.compile(r"(?<![A-Za-z0-9.])(?:E|Er|ERR|Err|AL|F)[.\-][A-Z]{2,3}(?![A-Za-z0-9])")
# A passage may print a code with a space in it, `E 005`; in a statement this may be no code.
_SPACED_CODE = re.compile(r"(?<![a-z0-9.])([a-z]{1,4}) (\d{1,6}(?:[.\-]\d+)*)(?![a-z0-9])")
# Bare numbers are codes when they are called so.
_NUMERIC_CODE = re.compile(
    r"\b(?:code|(?:fault|alarm|error|warning)s?(?: code| no\.?| number)?) ?[:#]? ?(\d{1,5})"
    r"(?![\w.]|[.,]\d)"
    r"|(?:代码|(?:故障|报警)[码号]?|错误码?|警告) ?[:#]? ?(\d{1,5})(?![a-z0-9.])"
)
# What something is set to.
_VALUE = re.compile(
    rf"(?:=|\bto\b|\bas\b|设置?为|设定为|设置?成|改为|调整?到|调整?至) ?[+-]?({NUMBER})"
    r"(?![a-z0-9]|\.\d)"
)
_APART = re.compile(r"(?<=\d)[.\-](?=\d)|[.\-]")


@dataclass(frozen=True, slots=True)
class Facts:
    """The checkable facts of a text, in one spelling."""

    codes: dict[str, str]
    """Codes and parameter numbers in their one spelling, and as they were written."""
    quantities: dict[Quantity, str]
    """Number and unit, and as they were written."""
    also: frozenset[Quantity] = frozenset()
    """Quantities that the text may mean as well: to the other side of a tolerance, with digits
    in groups read apart."""
    bare: frozenset[str] = field(default_factory=frozenset)
    """Numbers that stand without a unit, as in a table that has units in a column of their own."""
    units: frozenset[str] = field(default_factory=frozenset)
    """Units that stand alone."""
    numeric_codes: dict[str, str] = field(default_factory=dict)
    """Numbers that are called a code, without leading zeros, and as they were written."""
    spaced_codes: frozenset[str] = field(default_factory=frozenset)
    """Letters and a number apart, which may be a code."""
    values: dict[str, str] = field(default_factory=dict)
    """Numbers without a unit that something is set to, and as they were written."""

    def has_quantity(self, number: str, unit: str) -> bool:
        """Return whether the text has a number with its unit, or both in cells of their own."""
        return any(
            (number, one) in self.quantities
            or (number, one) in self.also
            or (number in self.bare and one in self.units)
            for one in like(unit)
        )

    def has_number(self, number: str) -> bool:
        """Return whether the text has a number, whatever its unit."""
        return number in self.bare or any(number == one for one, _ in self.quantities)

    def has_numeric_code(self, number: str) -> bool:
        """Return whether a number stands alone or in a code; one with a unit is no code."""
        if number in self.bare or number in self.numeric_codes:
            return True
        codes = (*self.codes, *self.spaced_codes)
        return any(plain(run) == number for code in codes for run in re.findall(r"\d+", code))

    def all_written(self) -> set[str]:
        """Return the checkable facts as written."""
        return {
            *self.codes.values(),
            *self.numeric_codes.values(),
            *self.quantities.values(),
            *self.values.values(),
        }

    def lacks(self, other: Facts) -> set[str]:
        """Return the facts of another text that this one does not have, as written there."""
        known = self.codes.keys() | self.spaced_codes
        missing = {spelled for code, spelled in other.codes.items() if code not in known}
        missing |= {
            spelled
            for number, spelled in other.numeric_codes.items()
            if not self.has_numeric_code(number)
        }
        missing |= {
            spelled for number, spelled in other.values.items() if not self.has_number(number)
        }
        return missing | {
            spelled
            for (number, unit), spelled in other.quantities.items()
            if not self.has_quantity(number, unit)
        }


def facts(text: str) -> Facts:
    """Return the facts of a text: NFKC, any case, any spacing, comma or point for decimals."""
    apart = flat(text)
    whole = joined(apart)
    found = quantities(whole)
    either = tolerances(whole)
    also = {reading for one in found for reading in readings(one, either=one[0] in either)}
    if whole != apart:
        also |= quantities(apart).keys()
    codes = {
        _spelling(match[0]): match[0]
        for match in _CODE.finditer(apart)
        if not _NO_CODE.fullmatch(match[0])
    }
    codes |= {_spelling(match[0].casefold()): match[0] for match in _LETTERS.finditer(text)}
    numeric = {
        plain(number): number
        for match in _NUMERIC_CODE.finditer(apart)
        if (number := match[1] or match[2]) and not unit_behind(apart, match.end())
    }
    values = {
        signed(whole, match.start(1), match[1]): match[1]
        for match in _VALUE.finditer(whole)
        if not unit_behind(whole, match.end())
    }
    return Facts(
        codes=codes,
        quantities=found,
        also=frozenset(also),
        bare=bare(whole) | bare(apart),
        units=lone_units(whole),
        numeric_codes=numeric,
        spaced_codes=frozenset(
            _spelling(match[1] + match[2]) for match in _SPACED_CODE.finditer(apart)
        ),
        values={number: spelled for number, spelled in values.items() if number not in numeric},
    )


def _spelling(code: str) -> str:
    """Return a code's one spelling: `E.OC1` is `EOC1`, `P4-02` is `P4.02` and not `P40.2`."""
    return _APART.sub(lambda m: "." if code[m.start() - 1 : m.start()].isdigit() else "", code)
