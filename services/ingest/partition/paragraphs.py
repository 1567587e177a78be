"""Lines to paragraphs: wrapped lines joined, hyphens undone (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from services.ingest import language, parameters
from services.ingest.partition.page import Line

_BULLET = re.compile(
    r"^(?:[•●○■□▪◆◇▶►➢✓*–—-]\s*|\(?\d{1,2}[.)、]\s|[a-z]\)\s|[①-⑳]|\d{1,2}：(?!\d))"
)
_LABEL = re.compile(r"^(?:[A-Z][\w/ ]{1,28}[:：](?:\s|$)|[\u4e00-\u9fff]{2,10}[:：])")
_WORD = re.compile(r"[^\W\d_]{2,}(?:-[^\W\d_]{2,})*")
_ENDS = ".。!?！？:：;；"
_TAIL = re.compile(r"([^\W\d_]+)-$")
_HEAD = re.compile(r"^([^\W\d_]+)")


class Hyphens:
    """Decides whether a hyphen at a line's end belongs to the word, by the document's own words."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._known: Counter[str] = Counter()
        for line in lines:
            words = _WORD.findall(line.text)
            self._known.update(word.casefold() for word in words)

    def join(self, left: str, right: str) -> str:
        """Return `left`, which ends in a hyphen, and `right` as one text."""
        tail, head = _TAIL.search(left), _HEAD.match(right)
        if not tail or not head:
            return left + right
        together = (tail[1] + head[1]).casefold()
        apart = f"{tail[1]}-{head[1]}".casefold()
        keep = self._known[apart] > self._known[together] or not head[1][0].islower()
        return left + right if keep else left[:-1] + right


def begins(text: str) -> bool:
    """Return whether a line begins a paragraph of its own: a bullet, a number, or a label."""
    return bool(_BULLET.match(text) or _LABEL.match(text))


def is_item(text: str) -> bool:
    """Return whether a paragraph is a list item."""
    return bool(_BULLET.match(text))


def continues(above: Line, line: Line, right: float) -> bool:
    """Return whether `line` is the rest of a paragraph that the line above had no room for.

    Args:
        above: The line before.
        line: The line in question.
        right: Right edge of the text, points.
    """
    if above.hyphen:
        return True
    if begins(line.text) or _apart(above, line, right) or _parameter(above.text, line.text):
        return False
    if above.text[-1:] == "-" and above.text[-2:-1].isalpha() and line.text[:1].islower():
        return True
    last = above.text[-1:]
    if line.page != above.page and (last in _ENDS or not _goes_on(line.text)):
        return False
    if line.text[:1].islower() and last not in _ENDS and above.x1 > 0.7 * right:
        return True
    first = line.words[0]
    needed = line.size if language.is_cjk(first.text[0]) else first.x1 - first.x0 + 0.25 * line.size
    slack = 1.5 * line.size if language.is_cjk(first.text[0]) else 0.3 * line.size
    if last in ".:;" and not _goes_on(line.text):
        slack = -0.3 * line.size
    return right - above.x1 < needed + slack


def _parameter(above: str, text: str) -> bool:
    """Return whether a parameter's heading follows a sentence, or a text its range and default."""
    found = parameters.settings(above)
    if found is not None and len(found.kinds) > 1:
        return True
    return above[-1:] in _ENDS and parameters.heading(text) is not None


def _apart(above: Line, line: Line, right: float) -> bool:
    """Return whether size or place say that two lines are of different paragraphs."""
    if abs(above.size - line.size) > 0.12 * above.size:
        return True
    if line.page != above.page:
        return False
    # Text that is set wide: a full line, and no sentence begins after it.
    full = right - above.x1 < line.size and above.text[-1] not in _ENDS and _goes_on(line.text)
    return line.top - above.bottom > (1.6 if full else 0.9) * line.size or (
        line.top < above.top and line.x0 < above.x0
    )


def _goes_on(text: str) -> bool:
    first = text.lstrip("\"'“‘（(「")[:1]
    return first.islower() or language.is_cjk(first)


def right_edges(lines: list[Line]) -> dict[int, float]:
    """Return the right edge of the running text of each page, points."""
    by_page: dict[int, list[float]] = {}
    for line in lines:
        by_page.setdefault(line.page, []).append(line.x1)
    edges = {}
    for page, values in by_page.items():
        values.sort()
        edges[page] = values[-1 - len(values) // 50]
    return edges
