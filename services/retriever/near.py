"""Codes that are spelt almost like another (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from services.retriever.normal import loose_form, split

_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALIKE = (set("0ODQ"), set("1IL7"), set("5S"), set("8B"), set("2Z"), set("6G"), set("UV"))
_PREFIXES = ("E", "F", "A", "ERR", "AL", "")
"""Prefixes of numbers that are mistaken for one another; displays show less than manuals print."""
_KIN = ({"E", "ERR"}, {"A", "AL"})
"""Those that are written for one another."""
LONGEST = 16
"""Characters of a code that is worth guessing: a longer one is a part number."""


def neighbours(loose: str) -> list[str]:
    """Return the loose forms one slip away from a code, some hundreds.

    A character more, less, or another one, two neighbours swapped, another prefix.
    """
    if len(loose) > LONGEST or not any(map(str.isalnum, loose)):
        return []
    letters, rest = split(loose)
    mark = "#" if loose[0] == "#" else ""
    found = dict.fromkeys(f"{mark}{slip}" for slip in _slips(loose.removeprefix("#")))
    if rest.isdigit() and letters in _PREFIXES:
        found |= dict.fromkeys(f"{prefix or '#'}{rest}" for prefix in _PREFIXES)
    forms = dict.fromkeys(loose_form(form) for form in found if form.strip("#"))
    forms.pop(loose, None)
    return list(forms)


def _slips(code: str) -> Iterator[str]:
    for place in range(len(code) + 1):
        before, after = code[:place], code[place:]
        # A digit becomes or joins digits, a letter letters; else what looks like it.
        beside = code[max(0, place - 1) : place + 1]
        more = _of_kind(beside)
        yield from (f"{before}{one}{after}" for one in more)
        if after:
            others = _of_kind(after[0]) + "".join(_like(after[0]))
            yield from (f"{before}{one}{after[1:]}" for one in others)
            yield before + after[1:]
        if len(after) > 1:
            yield f"{before}{after[1]}{after[0]}{after[2:]}"


def _of_kind(characters: str) -> str:
    return (_DIGITS if any(map(str.isdigit, characters)) else "") + (
        _LETTERS if any(map(str.isalpha, characters)) else ""
    )


def _like(character: str) -> Iterator[str]:
    for alike in _ALIKE:
        if character in alike:
            yield from alike - {character}


def likeliest(asked: str, there: Collection[str], limit: int = 3) -> list[str]:
    """Return the codes that may have been meant, the likeliest first.

    Args:
        asked: loose form of the code that was asked for.
        there: loose forms of codes that are defined, from `neighbours`.
        limit: how many at most.
    """
    return sorted(set(there), key=lambda code: (*_distance(asked, code), code))[:limit]


def _distance(asked: str, code: str) -> tuple[bool, int, int]:
    """Return how far a code is from another: prefix, kind of slip, difference of the numbers."""
    (letters, rest), (other, others) = split(asked), split(code)
    apart = abs(int(rest) - int(others)) if rest.isdigit() and others.isdigit() else 0
    if rest == others and any({letters, other} <= kin for kin in _KIN):
        return False, 0, 0
    return letters != other, _kind(asked, code), apart


def _kind(asked: str, code: str) -> int:
    """Return 0 for swapped or alike characters, 1 for another one, 2 for one more or less."""
    if len(asked) != len(code):
        return 2
    unlike = [(a, b) for a, b in zip(asked, code, strict=True) if a != b]
    swapped = len(unlike) == 2 and unlike[0] == unlike[1][::-1]
    return 0 if swapped or all(b in _like(a) for a, b in unlike) else 1
