"""What keeps the time to parse a Markdown text in proportion to its length."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import LinkInlineProcessor

_BLANK = re.compile(r"\n(?:[^\S\n]*\n){2,}")
_WORD = re.compile(r"\S*")
_LINK = 1_000
"""Characters of a link's text, and those after the first word of its address, at most."""
_Find = Callable[[str, int], tuple[Any, ...]]


def collapsed(text: str) -> str:
    """Return a text with no two blank lines in a row (pure).

    More of them mean nothing, but a parser moves all that follows for each: a million took 21 s.
    """
    return _BLANK.sub("\n\n", text.replace("\r\n", "\n").replace("\r", "\n"))


def extensions() -> list[Any]:
    """Return the extensions to parse with: unstructured's own choice, and bounded links."""
    return ["tables", "fenced_code", BoundedLinks()]


class BoundedLinks(Extension):  # type: ignore[misc]
    """Links end soon or are none.

    For each bracket that is not closed all that follows in its paragraph is searched: 2,000 of them
    in 130 KB took 22 s.
    """

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (the library's name)
        """Have every kind of link look so far only."""
        for pattern in md.inlinePatterns:
            if isinstance(pattern, LinkInlineProcessor):
                found: Any = pattern
                found.getText = bounded(pattern.getText)
                # A picture may lie in its address: one word, however long.
                found.getLink = bounded(pattern.getLink, _WORD)


def bounded(find: _Find, whole: re.Pattern[str] | None = None) -> _Find:
    """Return what finds a part of a link near the place it begins, or not at all.

    Args:
        find: Takes a text and an index; returns its findings, the index after them, and whether
            there are any.
        whole: What is looked at as a whole where it stands there, with as much again.
    """

    def near(data: str, index: int) -> tuple[Any, ...]:
        match = whole.match(data, index) if whole else None
        end = (match.end() if match else index) + _LINK
        *found, length, handled = find(data[index:end], 0)
        return (*found, index + length, handled)

    return near
