"""What a partitioner drops of a table's cells, carried through it (pure).

unstructured's tables keep a cell's text but neither `rowspan` nor `colspan`, so that what stands
right of a cell from above moves under the wrong name, nor the ends of its lines, so that two causes
become one. Marks in the cell's text take them along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_BEGIN, _END, _LINE = "\ue0f0", "\ue0f1", "\ue0f2"
# `</br>`, which many write: browsers show a line's end, parsers leave it out.
_BREAK = re.compile(r"<br\b[^<>]{0,200}>|(?P<wrong></br\s*/?>)", re.IGNORECASE)
_BROKEN = re.compile(rf"\s*{_LINE}\s*")
_CELL = re.compile(r"<t[dh]\b[^<>]{0,2000}>", re.IGNORECASE)
_SPAN = re.compile(r"\b(row|col)span\s*=\s*[\"']?\s*(\d{1,6})", re.IGNORECASE)
_MARKED = re.compile(rf"<(t[dh])>\s*{_BEGIN}(\d+),(\d+){_END}\s*")
_MARK = re.compile(rf"{_BEGIN}\d+,\d+{_END}\s*")


def mark(content: str) -> str:
    """Return HTML with marks: at a cell that reaches over others, and where a line ends."""
    for sign in (_BEGIN, _END, _LINE):
        content = content.replace(sign, "")
    content = _BREAK.sub(lambda end: f"{'<br/>' if end['wrong'] else end[0]}{_LINE}", content)

    def marked(cell: re.Match[str]) -> str:
        spans = {which.lower(): int(number) for which, number in _SPAN.findall(cell[0])}
        if max(spans.values(), default=1) < 2:
            return cell[0]
        return f"{cell[0]}{_BEGIN}{spans.get('row', 1)},{spans.get('col', 1)}{_END}"

    return _CELL.sub(marked, content)


def restore(elements: Iterable[Any]) -> list[Any]:
    """Return the elements, marks turned into their tables' HTML and gone from texts."""
    kept = []
    for element in elements:
        if element.text and not element.text.strip(f"{_LINE} \n"):
            continue
        element.text = _MARK.sub("", element.text).replace(_LINE, "")
        shown = element.metadata.text_as_html
        if shown:
            shown = _MARKED.sub(r'<\1 rowspan="\2" colspan="\3">', shown)
            element.metadata.text_as_html = _BROKEN.sub("<br/>", _MARK.sub("", shown))
        kept.append(element)
    return kept
