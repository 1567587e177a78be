"""A cell with several causes or remedies, taken apart into its items.

Words are never changed or dropped: what disappears are the separators (numbers that count the
items, bullets, semicolons, line ends) and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from services.orchestrator.language import count_ideographs, is_ideograph
from services.orchestrator.sentences import sentences

Span = tuple[int, int]
"""Where a separator stands: start and end."""

_BREAK = re.compile(r"</?br\s*/?>|\r\n?|[\v\f\x85\u2028\u2029]", re.IGNORECASE)
_EMPTY = frozenset({"", "n/a", "na", "无", "none", "nil"})

# The styles in which manuals count; one cell is counted in one of them.
_COUNTERS = (
    re.compile(r"(?<![\w.,])(?P<n>\d{1,2})[ \t]?(?:[.．](?![\d.])|[、)）])[ \t]*", re.ASCII),
    re.compile(r"[(（](?P<n>\d{1,2})[)）][.、]?[ \t]*", re.ASCII),
    re.compile(r"(?P<n>[①-⑳⑴-⒇⒈-⒛❶-❿])[.、]?[ \t]*"),
    re.compile(r"(?<![\w(])(?P<n>[a-h])[)）][ \t]*"),
)
_LINE_BULLET = re.compile(
    r"^[ \t]*(?:[•●◆■□▪▫►➢✓◦‣○∙·]+|[-–—*](?=[ \t])|-(?=[^\W\d]))[ \t]*", re.MULTILINE
)
_BULLET = re.compile(r"[•●◆■▪►➢‣][ \t]*")
_DASH = re.compile(r"(?<=\s)[-–—][ \t]+")
_WIDE = frozenset("，。、；：！？（）《》【】“”‘’「」『』")
_GAP = re.compile(
    r"(?<=[，。、；：！？（《【“‘])[ \t]+(?=[\u3400-\u9fff])"
    r"|(?<=[\u3400-\u9fff])[ \t]+(?=[，。、；：！？）》】”’])"
)
_TERMINATORS = ".;。；:：!?！？"
# After one of these a number belongs to the words before it: `set to 2. Then …`.
_HOLDS_NUMBER = re.compile(
    r"(?:[=<>≥≤+*/~±×–-]|\b(?:to|of|than|at|from|is|and|or|by|step|no|table|fig|figure|terminal|pin|"
    r"see|chapter|section|relay|level|type|phase|for|in)|[为至到于第表图是或和])[ \t]*$",
    re.IGNORECASE,
)
_RUNS_ON = re.compile(
    r"(?:[,，、(（\[/&-]|\b(?:the|a|an|of|and|or|to|in|on|at|for|with|from|by|is|are|if|than|that|not|"
    r"whether|between|after|before|when))[ \t]*$",
    re.IGNORECASE,
)
# Words of Chinese that end no line but one that the paper ended, and that begin none.
_RUNS_ON_CJK = re.compile(r"[于的和与或为给使将把对从到及]$")
_GOES_ON_CJK = re.compile(r"的")
# What stands behind the last item of a list and is none of it.
_LABELLED = re.compile(
    r"(?:\n|(?<=[.。])[ \t]+)"
    r"(?=(?:notes?|see also|(?:fault|alarm|message) value|注意?|备注|说明|另见)"
    r"\s*(?:\([^()\n]*\))?\s*[:：])",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"\s*[^\W\d_][a-zäöüéèñ]")
_FULL_STOP = re.compile(r"[。！？]|[.!?](?=\s|$)")
_GOES_ON = re.compile(r"[;；](?=[ \t]*[^\sA-Z])")


def items(cell: str) -> list[str]:
    """Return the items of a cell in order, each in the cell's own words, without its separator.

    Counted and bulleted lists are split at their marks; other cells at semicolons and at line
    ends that are not just wrapped; running text at its sentences.
    """
    text = _BREAK.sub("\n", cell)
    if text.strip(" \t\n-–—/.").casefold() in _EMPTY:
        return []
    counters, bullets = _counted(text), _bulleted(text)
    if _leads(bullets, counters):
        # What is counted are the parts of one bullet.
        counters, bullets = [], sorted({*bullets, *counters})
    marks = counters or bullets
    spans = [*marks, *(match.span() for match in _LABELLED.finditer(text))] if marks else []
    if not counters:
        ends = _line_ends(text, bulleted=bool(marks))
        spans += ends if marks else ends + _semicolons(text, lines=bool(ends))
    pieces = (unwrapped(piece).strip(" ;；") for piece in _between(text, spans))
    found = [piece for piece in pieces if _says_something(piece)]
    return found if marks else [sentence for piece in found for sentence in sentences(piece)]


def is_counted(cell: str) -> bool:
    """Return whether a cell numbers its items: their order may matter."""
    text = _BREAK.sub("\n", cell)
    counters = _counted(text)
    return bool(counters) and not _leads(_bulleted(text), counters)


def _leads(bullets: list[Span], counters: list[Span]) -> bool:
    return bool(bullets and counters) and min(bullets) < min(counters)


def unwrapped(text: str) -> str:
    """Join wrapped lines: with a space, but none in Chinese, nor where a PDF put one by a mark."""
    joined = ""
    for line in (part.strip() for part in text.split("\n")):
        if not line:
            continue
        glued = not joined or are_glued(joined[-1], line[0])
        joined += line if glued else f" {line}"
    return _GAP.sub("", joined)


def are_glued(last: str, first: str) -> bool:
    """Return whether nothing stands between two characters where a line was wrapped."""
    if not (is_ideograph(last) or last in _WIDE):
        return False
    return is_ideograph(first) or first in _WIDE


def is_wrapped(before: str, after: str, widest: int) -> bool:
    """Return whether the line end between two lines is only where the paper ended.

    Args:
        before: The line before.
        after: The line after.
        widest: Length of the longest line around, characters.
    """
    before, after = before.rstrip(), after.lstrip()
    if before[-1:] in (":", "："):  # a label and what it announces
        return bool(after)
    if not before or not after or before[-1] in _TERMINATORS:
        return False
    if after[0].islower() or after[0] in ")）],，、。；;." or _RUNS_ON.search(before):
        return True
    if _RUNS_ON_CJK.search(before) or _GOES_ON_CJK.match(after):
        return True
    return len(before) >= max(24, 0.8 * widest)


def _counted(text: str) -> list[Span]:
    """Return the counters of the list that begins first, empty when nothing is counted."""
    lists = [spans for style in _COUNTERS if (spans := list(_sequence(text, style)))]
    return min(lists, key=lambda spans: spans[0][0], default=[])


def _sequence(text: str, style: re.Pattern[str]) -> Iterator[Span]:
    """Yield the counters that really count: 1 where a list may begin, then 2, 3 and so on."""
    due = 1
    for match in style.finditer(text):
        number = _value(match["n"])
        before = text[: match.start()].rstrip(" \t")
        begins = not before or before[-1] == "\n"
        if number == 1 and (begins or (due == 1 and before[-1] in _TERMINATORS)):
            due = 1
        elif number != due or due == 1 or not (begins or _may_follow(text, match.start())):
            continue
        due += 1
        yield match.span()


def _may_follow(text: str, start: int) -> bool:
    """Return whether a counter in the middle of a line can begin the next item."""
    before = text[:start]
    if _HOLDS_NUMBER.search(before):
        return False
    last = before[-1]
    return last.isspace() or last in _TERMINATORS or is_ideograph(last) or last in ")）,，"


def _value(counter: str) -> int:
    if counter.isascii():
        return int(counter) if counter.isdigit() else ord(counter) - ord("a") + 1
    code = ord(counter)
    first = next(start for start in (0x2776, 0x2488, 0x2474, 0x2460) if code >= start)
    return code - first + 1


def _bulleted(text: str) -> list[Span]:
    spans = [match.span() for match in _LINE_BULLET.finditer(text)]
    spans += [match.span() for match in _BULLET.finditer(text)]
    starts_with_dash = text.lstrip()[:1] in "-–—"
    # Where lines begin with dashes, one in the middle of a line is only a dash.
    for match in () if len(spans) > 1 else _DASH.finditer(text):
        before = text[: match.start()].rstrip()
        if before and (starts_with_dash or before[-1] in ".:;。：；"):
            spans.append(match.span())
    return spans


def _line_ends(text: str, *, bulleted: bool) -> list[Span]:
    """Return the line ends that end an item."""
    lines = text.split("\n")
    wrapped = _wraps(lines, bulleted=bulleted) if len(lines) > 1 else []
    spans: list[Span] = []
    position = 0
    for line, goes_on in zip(lines, wrapped, strict=False):
        position += len(line)
        if not goes_on:
            spans.append((position, position + 1))
        position += 1
    return spans


def _wraps(lines: list[str], *, bulleted: bool) -> list[bool]:
    """Return for each line end whether it is only where the paper ended."""
    widest = max(map(_width, lines))
    # Full stops tell that Chinese is prose; lines of full width among short ones, that it wraps.
    prose = any("。" in line for line in lines)
    full_lines = sum(_width(line) >= widest - 2 for line in lines)
    narrow = full_lines >= 2 and any(0 < _width(line) <= 0.6 * widest for line in lines)
    unsure = bulleted or any(line.strip()[:1].islower() for line in lines)
    wraps: list[bool] = []
    for before, after in pairwise(lines):
        full = _width(before) >= widest - 2 and before.rstrip()[-1:] not in _TERMINATORS
        if not before.strip() or not after.strip():
            wraps.append(False)
        elif is_ideograph(after.strip()[0]):
            wraps.append(prose or (narrow and full) or is_wrapped(before, after, 10**6))
        elif unsure and (bulleted or not _CAPITALISED.match(after)):
            wraps.append(is_wrapped(before, after, widest))
        else:
            wraps.append(is_wrapped(before, after, 10**6))
    return wraps


def _width(line: str) -> int:
    return len(line.strip()) + count_ideographs(line)


def _semicolons(text: str, *, lines: bool) -> list[Span]:
    """Return the semicolons that end an item.

    In prose none does; where line ends tell the items apart, only one before a capital letter.
    """
    if len(_FULL_STOP.findall(text)) > 1:
        return []
    depth = 0
    spans: list[Span] = []
    for position, character in enumerate(text):
        if character in "(（[【":
            depth += 1
        elif character in ")）]】":
            depth = max(0, depth - 1)
        elif character in ";；" and depth == 0 and not (lines and _GOES_ON.match(text, position)):
            spans.append((position, position + 1))
    return spans


def _between(text: str, spans: list[Span]) -> Iterator[str]:
    position = 0
    for start, end in sorted(spans):
        if start > position:
            yield text[position:start]
        position = max(position, end)
    yield text[position:]


def _says_something(piece: str) -> bool:
    return any(character.isalnum() for character in piece)
