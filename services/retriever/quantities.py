"""Quantities in a question: a number with its unit, and whether a passage has just that (pure).

`75KW`, `75 kW` and `75千瓦` are one, 7.5 kW is another. A row whose first power is 75 kW is about
that size; one that has it further on only says it of something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.retriever.codes import fold

LATER = 0.5
"""What a quantity counts where the text has another one of its kind before."""
MOST = 3
"""Quantities of a question that are looked for."""

_KINDS: tuple[dict[str, tuple[float, tuple[str, ...]]], ...] = (
    {"kw": (1000, ("千瓦",)), "w": (1, ("watt", "瓦"))},
    {"kv": (1000, ("千伏",)), "v": (1, ("volt", "vac", "vdc", "伏")), "mv": (0.001, ("毫伏",))},
    {"a": (1, ("amp", "ampere", "安培", "安")), "ma": (0.001, ("毫安",))},
    {"khz": (1000, ("千赫",)), "hz": (1, ("hertz", "赫兹", "赫"))},
    {"kva": (1, ("千伏安",))},
    {"ah": (1, ("安时",))},
    {"kω": (1000, ("kohm", "千欧")), "ω": (1, ("ohm", "欧姆", "欧"))},
    {"rpm": (1, ("r/min", "转/分"))},
    {"cm": (10, ("厘米",)), "mm": (1, ("毫米",))},
    {"mpa": (10, ("兆帕",)), "bar": (1, ("巴",))},
    {"nm": (1, ("n·m", "n.m", "牛米"))},
    {"kg": (1, ("公斤", "千克"))},
    {"hp": (1, ("马力",))},
)
"""What is measured: each unit, how much of the others it is, and how else it is written."""
_UNIT_OF = {
    written: (kind, unit)
    for kind in _KINDS
    for unit, (_, others) in kind.items()
    for written in (unit, *others)
}
_ASKED = re.compile(
    r"(?<![A-Za-z0-9.,\-])(\d{1,6}(?:[.,]\d{1,4})?) ?("
    + "|".join(re.escape(written) for written in sorted(_UNIT_OF, key=len, reverse=True))
    + r")(?:s\b|(?![A-Za-z0-9]))",
    re.IGNORECASE,
)
_NUMBER = r"\d+(?:\.\d+)?"
_SUFFIX = r"(?:t\d\w?|s\d\w?)?"
"""What makers put after a size: `75KWT4`, of 400 V."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit."""

    number: str
    """As a token."""
    unit: str
    """As a token, as the question has it."""
    itself: re.Pattern[str]
    """Finds it in tokens with spaces around them."""
    any: re.Pattern[str]
    """Finds any number of such units."""

    def share(self, text: str) -> float:
        """Return how surely a text has it: 1 where it comes first of its kind, 0 where it does not.

        Args:
            text: tokens, with a space before each and after the last.
        """
        there = self.itself.search(text)
        if there is None:
            return 0.0
        first = self.any.search(text)
        if first and (first.start() < there.start() or first.end() < there.end()):
            return LATER
        return 1.0


def quantities(question: str) -> list[Quantity]:
    """Return the quantities of a question, as many as are looked for."""
    found = []
    for match in list(_ASKED.finditer(fold(question)))[:MOST]:
        written = match[2].lower()
        kind, unit = _UNIT_OF[written]
        value = float(match[1].replace(",", "." if len(match[1].split(",")[-1]) != 3 else ""))
        forms = "|".join(
            _form(f"{value * kind[unit][0] / factor:g}", other, others)
            for other, (factor, others) in kind.items()
        )
        every = "|".join(_form(_NUMBER, other, others) for other, (_, others) in kind.items())
        token = re.split(r"\W", written)[0]
        number = match[1].replace(",", "")
        found.append(Quantity(number, token, re.compile(forms), re.compile(every)))
    return found


def _form(number: str, unit: str, others: tuple[str, ...]) -> str:
    """Return a pattern of a number before its unit, or after it where that heads a column."""
    units = "|".join(_tokens_of((unit, *others)))
    between = ""
    if number != _NUMBER:
        # Of several sizes in a cell, one may stand between: `55/75 kW`.
        between = rf"(?:{_NUMBER} )?"
        number = re.escape(number) + ("" if "." in number else r"(?:\.0+)?")
    after = rf" {number} {between}(?:{units}){_SUFFIX} "
    return rf"{after}|(?<!\d) (?:{units}) {between}{number} "


def _tokens_of(written: tuple[str, ...]) -> Iterator[str]:
    for one in written:
        if one[0] >= "\u3400":
            # A lone character is a token with the next one, a word of two is one token.
            yield (
                f"{one}[\u3400-\u9fff]?"
                if len(one) == 1
                else " ".join(one[i : i + 2] for i in range(len(one) - 1))
            )
        else:
            yield " ".join(re.split(r"\W", one))
