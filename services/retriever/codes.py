"""Fault codes, parameters and part numbers, found in any spelling (pure).

Two normal forms. The canonical form is what a code index holds: capitals, no separators
(`E.OC1`, `e-oc1`, `EOC1` -> `EOC1`; `P1-02` -> `P1.02`, since digits need one to stay apart).
The loose form forgives leading zeros and generic prefixes (`E005`, `E05` -> `E5`; `Err18`,
`报警 18` -> `#18`). Look for the canonical form first.

Manuals are read strictly, questions loosely: in a question `f 30002` is a code and `OC` may be
one. A candidate that is not `certain` means something only where a manual has that code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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

    @property
    def loose(self) -> str:
        """Return the second normal form."""
        return loose_form(self.canonical)


_FOLD = {c: chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)}
_FOLD |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFE63), "-")
_FOLD |= dict.fromkeys((0x3000, 0x00A0, 0x2002, 0x2003, 0x2009, 0x202F), " ")


def fold(text: str) -> str:
    """Return the text with full-width forms, dashes and spaces made ASCII, same length."""
    return text.translate(_FOLD)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GENERIC = _words("ERR ERROR ALARM FAULT CODE WARNING TRIP")
_NEVER = _words(
    # interfaces, standards, protection classes, sensors, threads and wires
    "RS IP PT NTC PTC KTY ISO IEC EN UL CE DIN AWG RJ DB CAT USB IPV SIL NEMA GB GBT JB ASTM VDE "
    "CAN HART RAL SAE ANSI UTF ASCII WIN DDR HTTP TCP UDP IO "
    # parts of a document, versions, dates
    "V VER REV NO FIG TABLE TAB PAGE CHAPTER CHAP SECTION SECT STEP PART VOL ITEM NOTE APPENDIX "
    "JAN FEB MAR APR MAY JUN JUNE JUL JULY AUG SEP SEPT OCT NOV DEC "
    # words that stand before numbers
    "BIT BYTE INT UINT FLOAT CRC TYPE CLASS LEVEL MODE MAX MIN TEL FAX PHASE AXIS ABOUT FROM WITH "
    "THE AND FOR TO OF IN ON AT BY OR IS AS IF IT BE X"
)
"""Prefixes that make something else than a code with the number after them."""
_SPACED = _words("E F A W P R AL ALM ER ERR OC OV OL UV LU GF SC OH PD PR CN FN")
"""Prefixes that may be parted from their number by a space in a manual."""
_ARTICLES = _words("A I")
_UNITS = r"(?:[mµuk]?[VAWs]|k?Hz|[mk]?m|kg|Nm|rpm|min|%|°|℃|次|秒|分|个|伏|安)(?![A-Za-z])"

_PLAIN = re.compile(
    r"(?<![A-Za-z0-9])(?<![A-Za-z0-9]\.)(?<![A-Za-z][\-_])"
    r"(?P<letters>[A-Za-z]{1,6})(?P<sep>[ .\-_:]{0,2})(?P<digits>\d{1,6})"
    r"(?P<more>(?:[.\-_]\d{1,4}){0,2})(?P<tail>[A-Za-z]{0,2})(?![A-Za-z0-9])"
)
_TWO_PART = re.compile(
    r"(?<![A-Za-z0-9])(?<![A-Za-z0-9][.\-])"
    r"(?P<letter>[EFAefa])(?P<sep>[ .\-_]{1,2})(?P<name>[A-Za-z]{2,4})"
    r"[ .\-_]?(?P<digits>\d{0,3})(?![A-Za-z0-9])(?!\.[A-Za-z])"
)
_KEYWORD = re.compile(
    r"(?:alarm|error|fault|trip|warning|报警|告警|警报|故障|错误|异常|報警|警報|錯誤|異常|アラーム|エラー)"
    r"(?:\s*(?:codes?|no\.?|number|id|代码|代碼|编号|代号|码|碼|号|號|コード|番号))*"
    r"\s*(?:is|为|是|=|:|#|-)?\s*(?P<number>\d{1,6})(?![\dA-Za-z.]|\s*" + _UNITS + ")",
    re.IGNORECASE,
)
_CODE_NUMBER = re.compile(
    r"(?:code|代码|代碼|故障码|コード)\s*(?:is|为|是|=|:|#)?\s*(\d{1,6})(?![\dA-Za-z.])",
    re.IGNORECASE,
)
_NUMBER_FIRST = re.compile(
    r"(?<![\dA-Za-z.])(?P<number>\d{1,6})\s*(?:号|號|#)\s*(?:报警|故障|错误|報警|錯誤)"
)
_HEX = re.compile(r"(?<![A-Za-z0-9])0[xX](?P<digits>[0-9A-Fa-f]{2,8})(?![A-Za-z0-9])")
_PART = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]+(?:[\-./][A-Za-z0-9]+)+(?![A-Za-z0-9])")
_RANGE = re.compile(r"([A-Za-z]+)\d+-\1\d+")
_DIGITS_FIRST = re.compile(r"(?<![A-Za-z0-9])\d{1,2}[A-Z]{1,3}\d{2,6}[A-Z]{0,3}(?![A-Za-z0-9])")
_CAPITALS = re.compile(r"(?<![A-Za-z0-9\-.])[A-Z]{2,5}(?![A-Za-z0-9\-])")
_BARE = re.compile(r"\s*#?(\d{1,6})\s*[?？!！.。]*\s*")
_CELL = re.compile(r"#?\s*([A-Za-z0-9]{1,8}(?:[.\-_ ][A-Za-z0-9]{1,8}){0,2})")
_ZEROS = re.compile(r"(?<![0-9.])0+(?=\d)")
_DROP = re.compile(r"[\s.\-_/:#]+")


def loose_form(canonical: str) -> str:
    """Return the code without leading zeros, and `#18` for a number with a generic prefix."""
    match = re.fullmatch(r"([A-Z]+)(\d+)", canonical)
    if match and match[1] in _GENERIC:
        canonical = f"#{match[2]}"
    return _ZEROS.sub("", canonical)


def codes(text: str, *, loose: bool = False) -> list[Code]:
    """Return the codes in a text in order, each place once.

    Args:
        text: a passage or a question.
        loose: read as a question: spaces inside codes, bare numbers and capitals count.
    """
    folded = fold(text)
    found: dict[tuple[str, int], Code] = {}
    for code in _all(folded, loose=loose):
        raw = text[code.start : code.start + len(code.raw)]
        key = (code.canonical, code.start)
        if key not in found:
            found[key] = Code(code.canonical, raw, code.start, code.certain)
    return sorted(found.values(), key=lambda c: (c.start, not c.certain, -len(c.raw)))


def cell_code(text: str) -> str | None:
    """Return the canonical code of a table cell or entry heading that holds a code alone."""
    folded = fold(text).strip().strip("[]()<>\"'*:")
    match = _CELL.fullmatch(folded)
    if match is None:
        return None
    if match[1].isdigit():
        return f"#{match[1]}"
    strict = codes(folded)
    if strict and strict[0].start == 0 and len(strict[0].raw) == len(folded):
        return strict[0].canonical
    canonical = _joined(match[1])
    short = len(canonical) <= 6 and canonical.isalpha() and match[1].upper() == match[1]
    return canonical if short or any(c.isdigit() for c in canonical) else None


def _joined(raw: str) -> str:
    """Return letters and digits in capitals; one dot stays where digits meet digits."""
    parts = [part for part in _DROP.split(raw) if part]
    out = parts[0]
    for part in parts[1:]:
        out += f".{part}" if out[-1].isdigit() and part[0].isdigit() else part
    return out.upper()


def _all(folded: str, *, loose: bool) -> Iterator[Code]:
    yield from _plain(folded, loose=loose)
    yield from _two_part(folded, loose=loose)
    for pattern in (_KEYWORD, _CODE_NUMBER, _NUMBER_FIRST):
        for match in pattern.finditer(folded):
            yield Code(f"#{match[1]}", match[0], match.start())
    for match in _HEX.finditer(folded):
        yield Code(f"0X{match['digits'].upper()}", match[0], match.start())
    for pattern in (_PART, _DIGITS_FIRST):
        for match in pattern.finditer(folded):
            canonical = _joined(match[0])
            digits = sum(c.isdigit() for c in canonical)
            letters = sum(c.isalpha() for c in canonical)
            named = (letters > 1 or canonical[0].isalpha()) and not _RANGE.fullmatch(match[0])
            if len(canonical) >= 5 and digits >= 2 and named and "/" not in match[0]:
                yield Code(canonical, match[0], match.start(), certain=False)
    if loose:
        for match in _CAPITALS.finditer(folded):
            yield Code(match[0], match[0], match.start(), certain=False)
        if bare := _BARE.fullmatch(folded):
            yield Code(f"#{bare[1]}", bare[0].strip(), bare.start(1))


def _plain(folded: str, *, loose: bool) -> Iterator[Code]:
    for match in _PLAIN.finditer(folded):
        letters, sep, more = match["letters"].upper(), match["sep"], match["more"]
        spaced = " " in sep or ":" in sep
        if letters in _NEVER or (letters in _GENERIC - {"ERR"}):
            continue
        if spaced and not (
            letters in _SPACED and (loose or (match["letters"].isupper() and sep == " "))
        ):
            continue
        article = letters in _ARTICLES and not match["letters"].isupper()
        if spaced and article and len(match["digits"]) < 4:
            continue
        lower_word = len(letters) > 3 and match["letters"].islower()
        certain = not lower_word and len(letters) <= 4 and not match["tail"]
        certain = certain and (not spaced or len(match["digits"]) > 1)
        yield Code(_joined(match[0]), match[0], match.start(), certain)
        if (
            more
            and letters in ("E", "F", "A", "ERR", "AL")
            and len(more) - 1 == len(match["digits"])
        ):
            # E01-05 is a range in most lists: both ends are codes.
            head = letters + match["digits"]
            yield Code(head, match[0], match.start())
            yield Code(letters + more[1:], match[0], match.start())


def _two_part(folded: str, *, loose: bool) -> Iterator[Code]:
    for match in _TWO_PART.finditer(folded):
        digits, spaced = match["digits"], " " in match["sep"]
        upper = match["letter"].isupper() and match["name"].isupper()
        if spaced and not (loose and digits):
            continue
        if not digits and not upper:
            continue
        if match["name"].upper() in _NEVER:
            continue
        canonical = match["letter"].upper() + match["name"].upper() + digits
        yield Code(canonical, match[0], match.start(), certain=not spaced and bool(digits or upper))
