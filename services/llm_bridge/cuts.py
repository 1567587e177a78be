"""Where a text may be shortened: after a sentence, or after a row of a table (pure)."""

from __future__ import annotations

import re
from bisect import bisect_right

MARK = " …"
"""What stands at the end of a shortened text."""
LEAST = 64
"""A text is not cut to less than this, characters: a stump says nothing."""

_END = re.compile(
    # A blank line, or a line's end before the next point of a list.
    r"\n(?=\s*\n|\s*(?:[-*•·▪]|\(?\d{1,3}[.)、）]|[a-z][.)])\s)"
    # Chinese sentences end with their sign, quotes and brackets closed behind it.
    r"|[。！？；…][」』”’）)\]]*"
    # European ones need a blank behind it; `;` parts steps of an instruction.
    r"|[.!?;][\"'”’)\]]*(?=\s|$)"
)
# Dots that end no sentence: "e.g. the", "No. 5", and "3. Check", which begins a point of a list.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:e\.g|i\.e|z\.B|No|Nr|Fig|Tab|Sec|Chap|Ref|Eq|approx|max|min|vs|cf|resp|incl"
    r"|excl|pos|par|pp?)$",
    re.IGNORECASE,
)
_POINT = re.compile(r"\s*(?:[A-Za-z]|\d{1,3})$")


def ends(text: str) -> list[int]:
    """Return the lengths to which the text may be cut, rising.

    Lines with `|` or a tab are rows of a table and are kept whole: only their end counts. Other
    ends of lines may stand within a sentence, as a page breaks lines.
    """
    found: set[int] = set()
    rows = []
    start = 0
    for line in text.splitlines(keepends=True):
        if "|" in line or "\t" in line:
            rows.append(range(start, start + len(line)))
            found.add(start + len(line))
        start += len(line)
    for match in _END.finditer(text):
        at = bisect_right(rows, match.start(), key=lambda row: row.start)
        if at and match.start() in rows[at - 1]:
            continue
        if match[0][0] != "." or not _within(text, match.start()):
            found.add(match.end())
    return sorted(found)


def _within(text: str, dot: int) -> bool:
    """Return whether a dot does not end its sentence."""
    line = text[max(text.rfind("\n", 0, dot) + 1, dot - 80) : dot]
    return bool(_ABBREVIATION.search(line) or _POINT.match(line))


def shorten(text: str, room: int) -> str | None:
    """Return the longest beginning of at most `room` characters that ends well; None for a stump.

    It ends after a sentence or a row when that keeps at least half of the room, else after a word
    (a run without blanks, such as Chinese, anywhere). The mark comes on top.
    """
    if room < LEAST:
        return None
    if room >= len(text):
        return text
    end = max((end for end in ends(text) if end <= room), default=0)
    if end < max(LEAST, room // 2):
        end = room
        if not text[room].isspace():  # not already between two words
            blank = max(text.rfind(sign, 0, room) for sign in " \n\t，、")
            end = blank + 1 if blank >= room * 3 // 4 else room
    head = text[:end].rstrip()
    return head + MARK if len(head) >= LEAST // 2 else None
