"""Whether two definitions of a code say the same (pure)."""

from __future__ import annotations

import re

from services.orchestrator.definition import Definition, canonical, is_same

_NAME_WORD = re.compile(r"[^\W\d_]+|\d+")
_SAYS_NOTHING = frozenset(
    ("setting", "settings", "set", "the", "a", "an", "of", "for", "设定", "设置")
)
"""Words of a name without which it means the same."""
_SHORTEST = 3
"""Letters of an abbreviation at least."""
_SHARE = 0.6
"""Of a word's letters it has at most: a motor is no monitor."""
_BRACKETS = re.compile(r"\s*[(（]")


def alike(one: Definition, other: Definition) -> bool:
    """Return whether two say the same: an index names a parameter without its short name.

    Nor do abbreviations, the order of words, or `Setting` make another meaning.
    """
    if not is_same(canonical(one.code), canonical(other.code)):
        return False
    return any(
        canonical(mine) == canonical(its) or _same_words(mine, its)
        for mine in _names(one.name)
        for its in _names(other.name)
    )


def _names(name: str) -> tuple[str, ...]:
    return name, name.partition(" / ")[0], _BRACKETS.split(name, maxsplit=1)[0]


def _same_words(one: str, other: str) -> bool:
    mine, its = (
        sorted(w for w in _NAME_WORD.findall(name.casefold()) if w not in _SAYS_NOTHING)
        for name in (one, other)
    )
    if not mine or len(mine) != len(its):
        return False
    return all(_abbreviates(*sorted(pair, key=len)) for pair in zip(mine, its, strict=True))


def _abbreviates(short: str, word: str) -> bool:
    """Return whether one word is the other, or stands for it: `mot` for motor, `stds`."""
    if short == word:
        return True
    short = short.rstrip("s")
    if (
        not _SHORTEST <= len(short) <= _SHARE * len(word)
        or short[0] != word[0]
        or not (short + word).isalpha()
    ):
        return False
    rest = iter(word)
    return all(letter in rest for letter in short)
