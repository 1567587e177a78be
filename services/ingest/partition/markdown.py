"""What makes a Markdown text one that its parser reads as others do, and in bounded time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import LinkInlineProcessor

_BLANK = re.compile(r"\n(?:[^\S\n]*\n){2,}")
_WORD = re.compile(r"\S*")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_BEGINS_LIST = re.compile(r" {0,3}(?:[-*+]|1\.)[ \t]+\S")
"""A line that begins a list even right below a paragraph, as CommonMark has it."""
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_NO_PARAGRAPH = re.compile(r" {0,3}[#>|]| {4}|\t")
_BOLD_LABEL = re.compile(r"\*\*(?![\s*])[^*\n]{1,60}(?:[:：]\s?\*\*|\*\*\s?[:：])")
"""A line that begins with a label, as `**Cause**:`: people write one below the other."""
_LINK = 1_000
"""Characters of a link's text, and those after the first word of its address, at most."""
_Find = Callable[[str, int], tuple[Any, ...]]


def collapsed(text: str) -> str:
    """Return a text with no two blank lines in a row (pure).

    More of them mean nothing, but a parser moves all that follows for each: a million took 21 s.
    """
    return _BLANK.sub("\n\n", text.replace("\r\n", "\n").replace("\r", "\n"))


def parted(text: str) -> str:
    """Return a text with a blank line before each list and label right below other text (pure).

    Its parser wants one there; those that people look at the text with do not.
    """
    lines: list[str] = []
    fence = ""
    above, in_list = "", False
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and fence in {"", mark[1]}:
            fence = "" if fence else mark[1]
        elif not fence and above.strip():
            begins = not in_list and _BEGINS_LIST.match(line) and not _NO_PARAGRAPH.match(above)
            if begins or _BOLD_LABEL.match(line):
                lines.append("")
                in_list = False
        if not line.strip():
            in_list = False
        elif _ITEM.match(line):
            in_list = True
        lines.append(line)
        above = "" if fence or mark else line
    return "\n".join(lines)


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
