"""Characters of files as people type them (pure)."""

from __future__ import annotations

import re
import unicodedata

_PLAIN = re.compile(r"[\x20-\x7e\t\n\u4e00-\u9fff]*")
_LOOKALIKES = re.compile(
    "[\u00a0\u2000-\u200a\u2e80-\u2fdf\ufb00-\ufb4f\uf900-\ufaff\ufe30-\ufe4f"
    "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u2126\u212a\u212b]+"
)
_SYMBOLS = {0x00AD: None, 0xF0B7: "•", 0xF06C: "•", 0xF06E: "•", 0xF0A7: "•", 0xF0D8: "•"}
"""Soft hyphens, and the bullets of the Symbol and Wingdings fonts in the private use area."""
_DROPPED = {"Cc", "Cs", "Co", "Cn", "Cf"}


def clean(text: str) -> str:
    """Return text without soft hyphens and control characters, look-alikes resolved.

    Ligatures, CJK compatibility forms and radicals, full-width letters and digits become the
    plain characters people type (NFKC); full-width punctuation, superscripts and units stay.
    """
    if _PLAIN.fullmatch(text):
        return text
    text = _LOOKALIKES.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text.translate(_SYMBOLS))
    return text if _PLAIN.fullmatch(text) else "".join(filter(_readable, text))


def _readable(character: str) -> bool:
    return character in "\t\n" or unicodedata.category(character) not in _DROPPED
