"""Fault codes, parameters and part numbers, found in any spelling (pure).

Manuals are read strictly, questions loosely: in a question `f 30002` is a code and `OC` may be
one. A candidate that is not `certain` means something only where a manual has that code. Their
normal forms are in normal.py; look for the canonical form first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from services.retriever.normal import Code, fold, joined, loose_form
from services.retriever.readings import ABBREVIATED, AFTER, FAULT_WORD, NAMED, readings

__all__ = ["Code", "cell_code", "cell_codes", "codes", "fold", "loose_form"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GENERIC = _words("ERROR ALARM FAULT CODE WARNING TRIP")
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
_PLAIN = re.compile(
    r"(?<![A-Za-z0-9])(?<![A-Za-z0-9]\.)(?<![A-Za-z][\-_])"
    r"(?P<letters>[A-Za-z]{1,6})(?P<sep>[ .\-_:]{0,2})(?P<digits>\d{1,6})"
    r"(?P<more>(?:[.\-_]\d{1,4}){0,2})(?P<tail>[A-Za-z]{0,2})(?![A-Za-z0-9])"
)
_TWO_PART = re.compile(
    r"(?<![A-Za-z0-9])(?<![A-Za-z0-9][.\-])"
    r"(?P<letter>ALM|AL|Al|al|ERR|Err|err|ER|Er|er|[EFAefa])(?P<sep>[ .\-_]{1,2})"
    r"(?P<name>[A-Za-z]{1,4})[ .\-_]?(?P<digits>\d{0,3})(?![A-Za-z0-9])(?!\.[A-Za-z])"
)
_DOTTED = re.compile(r"(?<![A-Za-z0-9.])[EFA](?:\.[A-Z0-9]{1,3}){2,3}(?![A-Za-z0-9]|\.[a-z])")
"""As displays part a name: `E.OC.A`."""
_KEYWORD = re.compile(
    rf"(?:{FAULT_WORD})"
    # Bounded: two runs of spaces side by side could be parted in as many ways as there are spaces.
    r"(?:[\s_]{0,4}(?:codes?|no\.?|number|id|代码|代碼|编号|代号|码|碼|号|號|コード|番号)){0,4}"
    rf"[\s_]{{0,4}}(?:is|为|是|=|:|#|-)?\s{{0,4}}(?P<number>\d{{1,6}}){AFTER}",
    re.IGNORECASE,
)
_CODE_NUMBER = re.compile(
    rf"(?:code|代码|代碼|コード)\s{{0,4}}(?:is|为|是|=|:|#)?\s{{0,4}}(\d{{1,6}}){AFTER}",
    re.IGNORECASE,
)
_NUMBER_FIRST = re.compile(
    r"(?<![\dA-Za-z.])(?P<number>\d{1,6})\s*(?:号|號|#)\s*(?:报警|告警|警报|故障|错误|報警|錯誤)"
)
_HEX = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:0[xX]|16#)(?P<digits>[0-9A-Fa-f]{2,8})(?![A-Za-z0-9])"
    r"|(?!\d+A[hH]\b)(?P<marked>\d[0-9A-Fa-f]{1,7})(?:[hH]| hex)(?![A-Za-z0-9]))"
)
_PART = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]+(?:[\-./][A-Za-z0-9]+)+(?![A-Za-z0-9])")
_SPAN = re.compile(r"([A-Za-z]+)\d+-\1\d+")
_RANGE = re.compile(
    r"(?<![A-Za-z0-9])(?P<letters>[A-Za-z]{1,4}(?:\.[A-Za-z]{1,3})?)(?P<sep>[.\-_]?)(?P<first>\d{1,6})"
    r"\s?(?:(?:-|~|至|到|…|\.{2,3}| to | through )\s?(?P=letters)(?P=sep)|[~至到…]\s?)"
    r"(?P<last>\d{1,6})(?![A-Za-z0-9.])"
)
_DIGITS_FIRST = re.compile(r"(?<![A-Za-z0-9])\d{1,2}[A-Z]{1,3}\d{2,6}[A-Z]{0,3}(?![A-Za-z0-9])")
_BEFORE = re.compile(rf"(?:{FAULT_WORD}|code|代码|码)\s*[:=]?\s*$", re.IGNORECASE)
_SETTING = re.compile(r"(?<![A-Za-z0-9$])\$(?:\d{1,4}|[A-Z]{1,3}\d?|[$#])(?![A-Za-z0-9$#]|[.,]\d)")
"""Settings and commands of machines that are told them so: `$130`, `$H`, `$$`."""
_CELL = re.compile(r"#?\s*([A-Za-z0-9]{1,8}(?:[.\-_ ][A-Za-z0-9]{1,8}){0,2})")
_WORDS = re.compile(r"[a-z]{4}|^[\d.\-]+ [A-Za-z]")
"""Words, or a quantity: a cell with them is no code, whatever digits it has."""
PARTED = re.compile(r"[,，、;；\n]| / ")
"""What parts the codes of a cell."""
_SLASHED = re.compile(r"(?<=[A-Za-z0-9]{2})/(?=[A-Za-z0-9]{2})")

BRIEF = 200
"""Characters of a text whose codes are remembered for a while."""
MOST_CERTAIN, MOST_UNCERTAIN = 16, 64
"""Codes of a question that are asked for, the first, and what may be one: each code that no
manual has costs a search for hundreds that are near it."""
LONGEST_RANGE = 64
"""Codes of a range that are all meant, `E01-E05`; one of more is a span of numbers."""


def codes(text: str, *, loose: bool = False) -> list[Code]:
    """Return the codes in a text in order, each place once.

    Args:
        text: a passage or a question.
        loose: read as a question: spaces inside codes, bare numbers and capitals count.
    """
    return list(_of_brief(text, loose) if len(text) <= BRIEF else _codes(text, loose))


def _codes(text: str, loose: bool) -> Sequence[Code]:
    folded = fold(text)
    found: dict[tuple[str, int], Code] = {}
    for code in _all(folded, loose=loose):
        raw = text[code.start : code.start + len(code.raw)]
        key = (code.canonical, code.start)
        if key not in found or code.certain > found[key].certain:
            found[key] = Code(code.canonical, raw, code.start, code.certain)
    ordered = sorted(_whole(found.values()), key=lambda c: (c.start, not c.certain, -len(c.raw)))
    return _first(ordered) if loose else ordered


_of_brief = lru_cache(maxsize=256)(_codes)
"""The same for a question and its words, which are looked at several times."""


def _first(found: Iterable[Code]) -> list[Code]:
    """Return the first codes of a question, however many a log that was pasted into it has."""
    left = {True: MOST_CERTAIN, False: MOST_UNCERTAIN}
    kept: list[Code] = []
    for code in found:
        if left[code.certain]:
            left[code.certain] -= 1
            kept.append(code)
    return kept


def _whole(found: Iterable[Code]) -> Iterator[Code]:
    """Leave out the numbers that are part of a code, and what is of one with all parts apart."""
    reach = apart = -1
    for code in sorted(found, key=lambda c: (c.start, -c.end, _number(c))):
        if code.end <= apart or (_number(code) and code.end <= reach):
            continue
        yield code
        reach = max(reach, code.end)
        if code.certain and _parted(code):
            apart = max(apart, code.end)


def _parted(code: Code) -> bool:
    """Return whether a space stands between any two characters of a code."""
    return len(code.raw) > 1 and code.raw.split(" ") == list(code.raw.replace(" ", ""))


def _number(code: Code) -> bool:
    return code.canonical[0] == "#" and not code.certain


def cell_code(text: str) -> str | None:
    """Return the canonical code of a table cell or entry heading that holds a code alone."""
    folded = fold(text).strip().strip("[]()<>\"'*:")
    if _SETTING.fullmatch(folded) or (" " not in folded and NAMED.fullmatch(folded)):
        return folded if folded[0] == "$" else joined(folded)
    match = _CELL.fullmatch(folded)
    if match is None:
        return None
    if match[1].isdigit():
        return f"#{match[1]}"
    strict = codes(folded)
    if strict and strict[0].start == 0 and len(strict[0].raw) == len(folded):
        return strict[0].canonical
    if _WORDS.search(folded):
        return None
    canonical = joined(match[1])
    short = len(canonical) <= 6 and canonical.isalpha() and match[1].upper() == match[1]
    return canonical if short or any(c.isdigit() for c in canonical) else None


def cell_codes(text: str) -> list[str]:
    """Return the canonical codes of a cell that holds nothing else: one, a list or a range."""
    found: list[str] = []
    for part in PARTED.split(text):
        folded = fold(part).strip()
        span = _RANGE.fullmatch(folded)
        pieces = [part] if span else _SLASHED.split(folded)
        cells = _between(span) if span else [cell_code(piece) for piece in pieces]
        for cell in cells:
            if cell is None:
                return []
            found.append(cell)
    return list(dict.fromkeys(found))


def _between(match: re.Match[str]) -> list[str]:
    """Return the codes of a range, its ends included; the ends alone of one that is too long."""
    letters, first, last = joined(match["letters"]), match["first"], match["last"]
    ends = [int(first), int(last)]
    numbers = range(ends[0], ends[1] + 1) if 0 < ends[1] - ends[0] < LONGEST_RANGE else ends
    if letters in _NEVER or letters in _GENERIC:
        return []
    return [f"{letters}{number:0{len(first)}d}" for number in numbers]


def _all(folded: str, *, loose: bool) -> Iterator[Code]:
    yield from _plain(folded, loose=loose)
    yield from _two_part(folded, loose=loose)
    yield from _numbers(folded)
    yield from _parts(folded)
    if loose:
        yield from readings(folded)
    else:
        for match in _RANGE.finditer(folded):
            for canonical in _between(match):
                yield Code(canonical, match[0], match.start())


def _numbers(folded: str) -> Iterator[Code]:
    for match in _DOTTED.finditer(folded):
        yield Code(joined(match[0]), match[0], match.start())
    for match in _SETTING.finditer(folded):
        yield Code(match[0], match[0], match.start())
    for pattern in (_KEYWORD, _CODE_NUMBER, _NUMBER_FIRST):
        for match in pattern.finditer(folded):
            yield Code(f"#{match[1]}", match[0], match.start())
    for match in _HEX.finditer(folded):
        digits = match["digits"] or match["marked"]
        # `2310h` may be hours.
        certain = not match["marked"] or not digits.isdigit() or digits[0] == "0"
        certain = certain or _named(folded, match.start())
        yield Code(f"0X{digits.upper()}", match[0], match.start(), certain)


def _parts(folded: str) -> Iterator[Code]:
    for pattern in (_PART, _DIGITS_FIRST):
        for match in pattern.finditer(folded):
            canonical = joined(match[0])
            digits = sum(c.isdigit() for c in canonical)
            letters = sum(c.isalpha() for c in canonical)
            named = (letters > 1 or canonical[0].isalpha()) and not _SPAN.fullmatch(match[0])
            if len(canonical) >= 5 and digits >= 2 and named and "/" not in match[0]:
                yield Code(canonical, match[0], match.start(), certain=False)


def _named(folded: str, start: int) -> bool:
    """Return whether a word such as `alarm` stands right before a place."""
    return _BEFORE.search(folded, max(0, start - 16), start) is not None


def _plain(folded: str, *, loose: bool) -> Iterator[Code]:
    for match in _PLAIN.finditer(folded):
        letters, sep, more = match["letters"].upper(), match["sep"], match["more"]
        spaced = " " in sep or ":" in sep
        if letters in _NEVER or letters in _GENERIC:
            continue
        parted = letters in _SPACED or (loose and len(letters) == 1 and len(match["digits"]) > 3)
        short = letters == "PR" and sep == ". "
        capital = match["letters"].isupper() and sep == " "
        if spaced and not (parted and (loose or capital or short)):
            continue
        article = letters in _ARTICLES and not match["letters"].isupper()
        if spaced and article and len(match["digits"]) < 4:
            continue
        lower_word = len(letters) > 3 and match["letters"].islower()
        certain = not lower_word and len(letters) <= 4 and not match["tail"]
        certain = certain and (
            not spaced
            or short
            or len(match["digits"]) > 1
            or letters in ABBREVIATED
            or _named(folded, match.start())
        )
        yield Code(joined(match[0]), match[0], match.start(), certain)
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
        if not digits and (len(match["name"]) < 2 or not any(map(str.isupper, match["name"]))):
            continue
        if match["name"].upper() in _NEVER:
            continue
        canonical = match["letter"].upper() + match["name"].upper() + digits
        yield Code(canonical, match[0], match.start(), certain=not spaced and bool(digits or upper))
