"""A passage and those after it that go on with what it says (pure).

Passages end where a model's window or a page does. What was found may be a heading with its table
in the next passage, or break off in mid-sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.retrieval import Passage

MOST = 4
"""Passages after it that are looked at."""
JOINED = 1500
"""Characters of a passage and those that were joined to it."""
SHORT = 80
"""Characters of a text that is hardly more than a heading."""
OVERLAP = 400
"""Characters at most that a passage repeats from the end of the one before."""

_ENDS = ".。!！?？;；"


def runs_on(passage: Passage) -> bool:
    """Return whether what a passage says goes on after it: it breaks off, or is a heading."""
    text = passage.text.rstrip()
    return passage.kind == "text" and (len(text) < SHORT or text[-1:] not in _ENDS)


def joined(passage: Passage, after: Sequence[Passage]) -> Passage:
    """Return a passage with the words of those after it that belong to it.

    Args:
        passage: one that runs on.
        after: the passages that follow it in its document, in order.
    """
    text = passage.text.rstrip()
    for expected, following in enumerate(after, passage.ordinal + 1):
        if following.ordinal != expected or following.section != passage.section:
            break
        if following.kind == "entry" or (following.page or 0) > (passage.page or 0) + 1:
            break
        words = following.text[_overlap(text, following.text) :].strip()
        if len(text) + len(words) >= JOINED:
            break
        text = f"{text}\n{words}" if words else text
        if following.kind == "text" and words[-1:] in _ENDS and len(text) >= SHORT:
            break
    return passage if text == passage.text else msgspec.structs.replace(passage, text=text)


def _overlap(text: str, following: str) -> int:
    """Return how many characters at its beginning a text repeats from the end of another."""
    for length in range(min(OVERLAP, len(text), len(following)), 15, -1):
        if text.endswith(following[:length]):
            return length
    return 0
