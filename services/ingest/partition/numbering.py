"""How headings are numbered, and how deep a number says they are (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_ZH = "一二三四五六七八九十百"
_STYLES = (
    (
        "part",
        rf"第\s*[{_ZH}\d]{{1,3}}\s*[章篇部]|(?i:part|chapter|appendix)\s?(?:\d{{1,2}}|[A-Z]\b)",
    ),
    ("part", r"附录\s*[A-Z\d]"),
    ("section", rf"第\s*[{_ZH}\d]{{1,3}}\s*节"),
    ("zh", rf"[{_ZH}]{{1,3}}\s*[、：:.．]"),
    ("roman", r"(?:[IVX]{1,5}|[\u2160-\u216b])\s?[.、．]"),
    ("decimal", r"(?:\d{1,2}|[A-Z])(?:\.\d{1,2}){1,4}(?![\d.]*\s*(?:[%℃°VAWΩ]|[kmM]?[VAW]\b|Hz))"),
    ("decimal", r"\d{1,2}(?:\s?[.、．](?!\d)|(?=\s))"),
    ("letter", r"[A-Z][.、．](?=\s|[^\x00-\x7f])"),
    ("item", r"[（(]?(?:\d{1,2}|[a-zA-Z])[)）]"),
)
_PATTERN = re.compile(
    "|".join(f"(?P<{style}{place}>{text})" for place, (style, text) in enumerate(_STYLES))
)
_TOPS = ("part", "zh", "roman")
"""Styles that number chapters."""


@dataclass(slots=True, frozen=True)
class Number:
    """The number before a heading's words."""

    style: str
    """part, section, zh, roman, decimal, letter or item."""
    text: str
    """As printed."""
    rest: str
    """The heading's words."""

    @property
    def parts(self) -> int:
        """Return how many parts a decimal number has, 1 for every other."""
        return 1 + self.text.strip(" .、．").count(".") if self.style == "decimal" else 1

    @property
    def key(self) -> str:
        """Return the style and, of decimal numbers, the parts."""
        return f"{self.style}{self.parts}"


def parse(text: str) -> Number | None:
    """Return the number a heading begins with; None without one, or with nothing after it."""
    match = _PATTERN.match(text)
    if not match or not match.lastgroup:
        return None
    rest = text[match.end() :].lstrip(" .、．:：\t")
    if not any(character.isalpha() for character in rest):
        return None
    return Number(match.lastgroup.rstrip("0123456789"), match[0].strip(), rest)


class Depths:
    """How deep the numbers of one document's headings are."""

    def __init__(self, numbers: Sequence[Number]) -> None:
        counts = Counter(number.style for number in numbers)
        self._tops = [style for style in _TOPS if counts[style] >= 2]
        firsts = sum(
            1 for n in numbers if n.key == "decimal1" and n.text.strip(" .、．") in ("1", "0")
        )
        # Under each chapter the count begins anew.
        below = bool(self._tops) and firsts >= 2
        self._decimal = len(self._tops) if below else 0

    def of(self, number: Number) -> int:
        """Return the depth of a heading with such a number, from 0."""
        match number.style:
            case "part":
                return 0
            case "section":
                return 1
            case "zh" | "roman":
                return self._tops.index(number.style) if number.style in self._tops else 0
            case "decimal":
                return self._decimal + number.parts - 1
            case "letter":
                return self._decimal + 1
            case _:
                return self._decimal + 2
