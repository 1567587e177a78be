"""Which language a person, or a machine's text, speaks."""

from __future__ import annotations

import re
import unicodedata

from schemas.answers import Language

_IDEOGRAPH = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_RUN = re.compile(r"[^\W_]+")

CHINESE_SHARE = 0.3
"""Share of ideographs among ideographs and Latin words from which on a text is Chinese."""

_LONGEST_MNEMONIC = 3
"""Capitals up to this length (`OC`, `ERR`, `BMS`) are codes and names, not words."""

_PART = re.compile(r"[\s/|,;:()（）\[\]]+")
_EDGES = " \t\n/|,;:-–—()（）[]"
_TELLING = re.compile(
    r"over|under|fault|error|fail|loss|lost|short|volt|current|temp|heat|alarm|abnormal",
    re.IGNORECASE,
)
"""Parts of words that say what is wrong; another word alone may be a product's name."""
_TRANSLATED = 6
"""Ideographs a Latin word that are still a translation; more are Chinese with names in it."""


def language_of(text: str, default: Language) -> Language:
    """Return the language of a text; `default` for codes, numbers and mnemonics alone.

    An ideograph counts like a whole Latin word, so that a Chinese question is Chinese
    even when it quotes an English message. A run of letters with a digit in it is a code.
    """
    text = unicodedata.normalize("NFKC", text)
    ideographs = len(_IDEOGRAPH.findall(text))
    words = sum(1 for run in _RUN.findall(_IDEOGRAPH.sub(" ", text)) if _is_word(run))
    if not ideographs and not words:
        return default
    return "zh" if ideographs >= CHINESE_SHARE * (ideographs + words) else "en"


def speaks(text: str, lang: Language) -> bool:
    """Return whether a text says something in a language, if only beside the other one.

    A Chinese word has two ideographs.
    """
    ideographs = len(_IDEOGRAPH.findall(text))
    if lang == "zh":
        return ideographs > 0
    words = sum(1 for run in _RUN.findall(_IDEOGRAPH.sub(" ", text)) if _is_word(run))
    return ideographs == 0 or (words > 1 and 2 * words >= ideographs)


def part_in(text: str, lang: Language) -> str:
    """Return the half of a text in a language where the other half says the same: `Stall 堵转`.

    The text as it is where it is not plainly two such halves.
    """
    places = [match.start() for match in _IDEOGRAPH.finditer(text)]
    if not places:
        return text
    # A mnemonic that touches ideographs is theirs: `CAN通讯故障`.
    starts = [0, *(gap.end() for gap in _PART.finditer(text))]
    ends = [*(gap.start() for gap in _PART.finditer(text)), len(text)]
    start = max(place for place in starts if place <= places[0])
    end = min(place for place in ends if place > places[-1])
    halves = [half.strip(_EDGES) for half in (text[:start], text[end:])]
    latin = "".join(halves)
    words = [run for run in _RUN.findall(latin) if _is_word(run)]
    said = len(words) > 1 or _TELLING.search(latin)
    if not (words and said and not all(halves)):
        return text
    if not len(words) < len(places) <= _TRANSLATED * len(words):
        return text
    if any(map(_is_word, _RUN.findall(_IDEOGRAPH.sub(" ", text[start:end])))):
        return text
    return text[start:end] if lang == "zh" else latin


def has_ideographs(text: str) -> bool:
    """Return whether any character is a Chinese ideograph."""
    return bool(_IDEOGRAPH.search(text))


def count_ideographs(text: str) -> int:
    """Return how many characters are Chinese ideographs."""
    return len(_IDEOGRAPH.findall(text))


def is_ideograph(character: str) -> bool:
    """Return whether one character is a Chinese ideograph."""
    return bool(_IDEOGRAPH.match(character))


def _is_word(run: str) -> bool:
    if len(run) < 2 or not run.isalpha():
        return False
    return not (run.isupper() and len(run) <= _LONGEST_MNEMONIC)
