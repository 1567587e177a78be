"""Main language of a text."""

from __future__ import annotations

import re

_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_LETTERS = re.compile(r"[^\W\d_]+")

CHINESE_SHARE = 0.30
"""Share of Chinese characters among all letters above which a text counts as Chinese."""


def of(text: str) -> str:
    """Return `zh` when more than 30 % of the letters are Chinese, else `en`."""
    if text.isascii():
        return "en"
    letters = sum(map(len, _LETTERS.findall(text)))
    return "zh" if letters and len(_CJK.findall(text)) > CHINESE_SHARE * letters else "en"


def is_cjk(character: str) -> bool:
    """Return whether a character is a Chinese ideograph or CJK punctuation."""
    return character > "\u2fff" and (
        bool(_CJK.match(character))
        or "\u3000" <= character <= "\u303f"
        or character in "，。；：？！（）、"
    )


def join(left: str, right: str) -> str:
    """Join two pieces of one running text: no space between Chinese characters."""
    if not left or not right:
        return left + right
    if left[-1].isspace() or right[0].isspace() or (is_cjk(left[-1]) and is_cjk(right[0])):
        return left + right
    return f"{left} {right}"
