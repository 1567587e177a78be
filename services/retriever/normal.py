"""The normal forms of codes (pure).

The canonical form is what a code index holds: capitals, no separators (`E.OC1`, `e-oc1`, `EOC1`
-> `EOC1`; `P1-02` -> `P1.02`, since digits need one to stay apart). The loose form forgives
leading zeros and the ways to write the same prefix (`E005`, `E05` -> `E5`; `Er.18` -> `ERR18`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A code as found in a text."""

    canonical: str
    """Capitals without separators; a bare number after `alarm`, `故障` etc. is `#18`."""
    raw: str
    """As written."""
    start: int
    """Where it begins in the text, characters."""
    certain: bool = True
    """Looks like a code by itself; one that does not is no code unless a manual has it."""
    asked: bool = True
    """The question asks for it, if it is one; else it may as well be a machine's name."""

    @property
    def loose(self) -> str:
        """Return the second normal form."""
        return loose_form(self.canonical)

    @property
    def end(self) -> int:
        """Return where it ends in the text, characters."""
        return self.start + len(self.raw)


_FOLD = {c: chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)}
_FOLD |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFE63), "-")
_FOLD |= dict.fromkeys((0x3000, 0x00A0, 0x2002, 0x2003, 0x2009, 0x202F), " ")

_SAME_PREFIX = {"ER": "ERR", "ERROR": "ERR", "ALM": "AL", "ALARM": "AL"}
_PREFIXED = re.compile(r"(ER|ERROR|ALM|ALARM)(?=\d)")
_ZEROS = re.compile(r"(?<![0-9.])0+(?=\d)")
_HEX_ZEROS = re.compile(r"0X0+(?=[0-9A-F])")
_SPACES = re.compile(r"[\s:#]+")
_DROP = re.compile(r"[\s.\-_/:#]+")


def fold(text: str) -> str:
    """Return the text with full-width forms, dashes and spaces made ASCII, same length."""
    return text.translate(_FOLD)


def loose_form(canonical: str) -> str:
    """Return the code without leading zeros, and with one prefix for those that mean the same."""
    if canonical.startswith("0X"):
        return _HEX_ZEROS.sub("0X", canonical)
    if match := _PREFIXED.match(canonical):
        canonical = _SAME_PREFIX[match[1]] + canonical[match.end() :]
    return _ZEROS.sub("", canonical)


def joined(raw: str) -> str:
    """Return letters and digits in capitals; one dot stays where digits meet digits."""
    parts = [part for part in _DROP.split(raw) if part]
    out = parts[0]
    for part in parts[1:]:
        out += f".{part}" if out[-1].isdigit() and part[0].isdigit() else part
    return out.upper()


def split(canonical: str) -> tuple[str, str]:
    """Return the letters a code begins with, and the rest; `#18` has no letters."""
    rest = canonical.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ#")
    return canonical[: len(canonical) - len(rest)].strip("#"), rest


def shown(code: Code) -> str:
    """Return a code as it is told to people: as written, `E.OC1`, in capitals where it has none.

    A number is shown without the word beside it, and what was spelt otherwise as it is read.
    """
    canonical = code.canonical
    if canonical[0] == "#":
        return canonical[1:]
    raw = _SPACES.sub("", fold(code.raw))
    if canonical.startswith("0X"):
        return f"0x{canonical[2:]}"
    spelt = joined(raw) if raw else ""
    if spelt != canonical:
        worded = canonical[1:].isdigit() and spelt.endswith(canonical[1:])
        return canonical[1:] if worded else canonical
    return raw.upper() if raw.islower() else raw
