"""Cells that reach over rows and columns, carried through a partitioner that drops that (pure).

unstructured's tables keep a cell's text but neither `rowspan` nor `colspan`, so that what stands
right of a cell from above moves under the wrong name. A mark in the cell's text takes them along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_BEGIN, _END = "\ue0f0", "\ue0f1"
_CELL = re.compile(r"<t[dh]\b[^<>]{0,2000}>", re.IGNORECASE)
_SPAN = re.compile(r"\b(row|col)span\s*=\s*[\"']?\s*(\d{1,6})", re.IGNORECASE)
_MARKED = re.compile(rf"<(t[dh])>\s*{_BEGIN}(\d+),(\d+){_END}\s*")
_MARK = re.compile(rf"{_BEGIN}\d+,\d+{_END}\s*")


def mark(content: str) -> str:
    """Return HTML whose cells that reach over others begin with a mark."""
    content = content.replace(_BEGIN, "").replace(_END, "")

    def marked(cell: re.Match[str]) -> str:
        spans = {which.lower(): int(number) for which, number in _SPAN.findall(cell[0])}
        if max(spans.values(), default=1) < 2:
            return cell[0]
        return f"{cell[0]}{_BEGIN}{spans.get('row', 1)},{spans.get('col', 1)}{_END}"

    return _CELL.sub(marked, content)


def restore(elements: Iterable[Any]) -> list[Any]:
    """Return the elements, marks turned into spans of their tables' HTML and gone from texts."""
    kept = []
    for element in elements:
        element.text = _MARK.sub("", element.text)
        shown = element.metadata.text_as_html
        if shown:
            shown = _MARKED.sub(r'<\1 rowspan="\2" colspan="\3">', shown)
            element.metadata.text_as_html = _MARK.sub("", shown)
        kept.append(element)
    return kept
