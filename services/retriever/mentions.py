"""What a question mentions: names of products and makers, and messages it quotes (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable

from services.retriever.tokens import is_cjk, running_tokens, tokens

MAX_MESSAGES = 4
"""Quoted messages that are looked for."""

_QUOTED = re.compile(
    r"(?<![A-Za-z0-9])['\"“‘「『《]([^'\"“”‘’「」『』《》]{3,80})['\"”’」』》](?![A-Za-z0-9])"
)
_CAPITALISED = re.compile(
    r"(?<![A-Za-z0-9])[A-Z][A-Za-z]*\+?(?: [A-Z][A-Za-z]*\+?){1,5}(?![A-Za-z0-9])"
)
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[\-_./][A-Za-z0-9]+)*")

_HOW = re.compile(
    r"\bhow (many|much|often|long|big|far|high|large|fast|thick|old)\b", re.IGNORECASE
)
_POLITE = re.compile(
    r"\b(?:hello|hi|hey|urgent|urgently|asap|thanks|thank|dear|sir|guys)\b|你好|您好|谢谢|麻烦|师傅|紧急",
    re.IGNORECASE,
)


def asking(question: str) -> frozenset[str]:
    """Return the tokens of words that only ask or greet: `often` of `how often`, `hello`."""
    said = [match[1] for match in _HOW.finditer(question)]
    said += _POLITE.findall(question)
    return frozenset(token for word in said for token in tokens(word))


def name_like(
    question: str, is_term: Callable[[str], bool] = lambda _word: False
) -> frozenset[str]:
    """Return the tokens of words that look like names: products, makers, protocols, signals.

    Such are words of Latin letters inside Chinese, with digits or more than one capital, or
    with one that does not begin a sentence; not the trade's own words.

    Args:
        question: as asked.
        is_term: whether a word is the trade's own, and no name; none is by default.
    """
    chinese = is_cjk(question)
    found: set[str] = set()
    shouted = question.isupper()
    for match in _LATIN.finditer(question):
        word = match[0]
        begins = not question[: match.start()].rstrip(" \"'([").rstrip()
        begins = begins or question[: match.start()].rstrip()[-1:] in ".?!:"
        capitals = sum(map(str.isupper, word))
        digits = any(map(str.isdigit, word))
        named = chinese or digits or (capitals >= 2 and not shouted)
        if (named or (capitals and not begins and not shouted)) and not is_term(word):
            found.update(tokens(word))
    return frozenset(found)


def messages(question: str) -> list[tuple[str, ...]]:
    """Return the tokens of what a question quotes: in quotation marks, or capitalised words.

    `display shows 'Phase Line Error!'`, `SERVO42C says Motor Type Error`.
    """
    found = [match[1] for match in _QUOTED.finditer(question)]
    found += [match[0] for match in _CAPITALISED.finditer(question)]
    runs = (tuple(running_tokens(text)) for text in found)
    return [run for run in dict.fromkeys(runs) if len(run) > 1][:MAX_MESSAGES]
