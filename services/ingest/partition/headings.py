"""Which lines of a paged document are headings, and how deep (pure)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from services.ingest import faults, language
from services.ingest.partition import layout, numbering
from services.ingest.partition.page import Line
from services.ingest.partition.pdfium import Bookmark

_NUMBER = re.compile(r"[\dA-Z]{1,3}(?:\.\d{1,2}){0,4}\.?、?|[IVX]{1,5}\.?|[\u2160-\u216b]\.?")
_WORD = re.compile(r"[^\W\d_]{3}|[\u4e00-\u9fff]{2}")
_FIGURE = re.compile(r"(?i)^(?:fig(?:ure|\.)?|图)\s*\d")
_LABELLED = re.compile(r"^[A-Z][A-Za-z/ ]{1,28}[:：]\s*\S|^[\u4e00-\u9fff]{2,8}[:：]\s*\S")
_SENTENCE = re.compile(r"[，；。！？]|[;!?] |\. [A-Z]|[,，].*[,，]")
_MARKS = re.compile(r"[\s\-­–—_.:：、．,，]+")
MAX_LENGTH = 140
"""Characters beyond which a line is no heading."""
_FEWEST = 3
"""Numbered headings that make a rule for those without a number."""
_LONG = 80
"""Characters beyond which a line that only its looks make a heading is none."""


@dataclass(slots=True)
class Headings:
    """What was found."""

    titles: dict[int, str] = field(default_factory=dict)
    """Words of headings that are named elsewhere, by the line's id."""
    depths: dict[int, int] = field(default_factory=dict)
    """Depths by the line's id."""
    rests: dict[int, str] = field(default_factory=dict)
    """What lines add to the heading before them, by the line's id; empty where it has it."""
    lost: list[Bookmark] = field(default_factory=list)
    """Bookmarks that no line repeats."""


class _Form:
    """What a heading's words are compared by."""

    __slots__ = ("key", "keys")

    def __init__(self, text: str) -> None:
        self.key = _key(text)
        self.keys = keys(text)

    def likeness(self, title: _Form) -> int:
        """Return how well a line repeats a title: 3 entirely, 2 but for the number, 1 partly, 0."""
        if not self.key or not title.key:
            return 0
        if self.key == title.key:
            return 3
        if not self.keys.isdisjoint(title.keys):
            return 2
        shorter = min(len(self.key), len(title.key))
        return int(
            shorter >= 8 and (self.key.startswith(title.key) or title.key.startswith(self.key))
        )


def find(lines: Sequence[Line], bookmarks: list[Bookmark], *, every: bool) -> Headings:
    """Return the headings among the lines of a document.

    Args:
        lines: All of them, in reading order.
        bookmarks: Its outline, or its table of contents.
        every: Whether a bookmark counts even where no line has its words.
    """
    found = Headings()
    _by_outline(lines, bookmarks, found, every=every)
    if not every:
        found.lost = []
    _by_looks(lines, found)
    return found


def _by_outline(
    lines: Sequence[Line], bookmarks: list[Bookmark], found: Headings, *, every: bool
) -> None:
    """Find the line each bookmark names.

    It is the one on its page with the same words, nearest to the place it points at.
    """
    pages: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        pages[line.page].append(line)
    forms = {id(line): _Form(line.text) for line in lines} if bookmarks else {}
    named: set[tuple[int, str]] = set()
    lost = []
    for mark in bookmarks:
        on_page = pages.get(mark.page, [])
        place = _place(on_page, mark, found.depths, forms)
        if place is None:
            lost.append(mark)
            continue
        line = on_page[place]
        # A table of contents may be set in capitals.
        title = line.text if not every and forms[id(line)].key == _key(mark.title) else mark.title
        found.titles[id(line)], found.depths[id(line)] = title, mark.level
        found.rests |= dict.fromkeys(_rest(on_page, place, mark.title), "")
        named.add((mark.page, _key(mark.title)))
    found.lost = [mark for mark in lost if (mark.page, _key(mark.title)) not in named]


def _place(
    lines: list[Line], mark: Bookmark, taken: dict[int, int], forms: dict[int, _Form]
) -> int | None:
    best: tuple[float, int] | None = None
    wanted = _Form(mark.title)
    for place, line in enumerate(lines):
        likeness = 0 if id(line) in taken else forms[id(line)].likeness(wanted)
        if likeness:
            distance = abs(line.top - mark.top) if mark.top is not None else 0.0
            merit = distance - 1000.0 * likeness
            if best is None or merit < best[0]:
                best = (merit, place)
    return best[1] if best else None


def _rest(lines: list[Line], place: int, title: str) -> set[int]:
    """Return the lines below that a heading's words go on in."""
    wanted = _key(title)
    have = _key(lines[place].text)
    rest: set[int] = set()
    for line in lines[place + 1 : place + 4]:
        more = have + _key(line.text)
        if have == wanted or not wanted.startswith(more) or more == have:
            break
        rest.add(id(line))
        have = more
    return rest


def _by_looks(lines: Sequence[Line], found: Headings) -> None:
    """Find lines that look like headings.

    They are larger than the running text, or bold and numbered, or bold and alone; the number
    gives the depth, else size and weight among the numbered ones.
    """
    body = body_size(lines)
    candidates: list[Line] = []
    last: Line | None = None
    for index, line in enumerate(lines):
        below = lines[index + 1] if index + 1 < len(lines) else None
        known = id(line) in found.depths or id(line) in found.rests
        if known or not _looks(line, body, below):
            last = None
        elif last is not None and _wrapped(last, line):
            found.rests[id(line)] = line.text
            last = line
        else:
            candidates.append(line)
            last = line
    if len(candidates) > max(30, 0.25 * len(lines)):
        candidates = [line for line in candidates if line.size > 1.2 * body]
    named = [line for line in lines if id(line) in found.titles]
    found.depths |= _depths(candidates, named, found, body)


def _known(found: Headings) -> dict[str, int]:
    """Return how deep numbers of each kind are among the headings that are named elsewhere."""
    depths: dict[str, list[int]] = defaultdict(list)
    for key, title in found.titles.items():
        number = numbering.parse(title)
        if number:
            depths[number.key].append(found.depths[key])
    return {key: int(median(values)) for key, values in depths.items() if len(values) >= 2}


def _wrapped(above: Line, line: Line) -> bool:
    """Return whether a heading goes on in the next line."""
    near = line.page == above.page and 0 < line.top - above.top < 1.9 * above.size
    same = abs(line.size - above.size) < 0.5 and line.bold == above.bold
    return near and same and above.text[-1] not in ")）" and not numbering.parse(line.text)


def _depths(
    candidates: list[Line], named: list[Line], found: Headings, body: float
) -> dict[int, int]:
    """Return the depths of headings that only look like some, among those that are named."""
    known = _known(found)
    base = max(found.depths.values(), default=-1) + 1
    numbers = {id(line): numbering.parse(line.text) for line in candidates}
    depths = numbering.Depths([number for number in numbers.values() if number])
    sizes: dict[int, list[float]] = defaultdict(list)
    for line in named:
        sizes[found.depths[id(line)]].append(line.size)
    result: dict[int, int] = {}
    for line in candidates:
        number = numbers[id(line)]
        if number:
            depth = known.get(number.key, base + depths.of(number))
            result[id(line)] = depth
            sizes[depth].append(line.size)
    usual = {depth: median(values) for depth, values in sizes.items()}
    if sum(map(len, sizes.values())) < _FEWEST:
        usual = {}
    ranks = _ranks(candidates)
    for line in candidates:
        if id(line) not in result:
            result[id(line)] = _depth(line, usual, body) if usual else ranks[round(line.size)]
    return result


def _depth(line: Line, usual: dict[int, float], body: float) -> int:
    """Return the depth of a heading without a number among numbered ones of these sizes."""
    for depth in sorted(usual):
        if line.size > usual[depth] + 0.6:
            return depth
        if abs(line.size - usual[depth]) <= 0.6 and line.size > 1.15 * body:
            return depth
    return max(usual) + 1


def _ranks(candidates: list[Line]) -> dict[int, int]:
    sizes = sorted({round(line.size) for line in candidates}, reverse=True)
    return {size: min(rank, 5) for rank, size in enumerate(sizes)}


def body_size(lines: Iterable[Line]) -> float:
    """Return the size most characters have, points."""
    sizes: Counter[float] = Counter()
    for line in lines:
        for word in line.words:
            sizes[round(word.size * 2) / 2] += len(word.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _looks(line: Line, body: float, below: Line | None) -> bool:
    text = line.text
    if not _may_be(line):
        return False
    number = numbering.parse(text)
    if not number and not faults.heading(text) and (_LABELLED.match(text) or _wordy(text)):
        return False
    if line.size > 1.15 * body and len(text) >= 2:
        return True
    if not line.bold or line.size < 0.95 * body or len(text) > _LONG:
        return False
    alone = below is None or below.page != line.page or not below.bold
    return bool(number) or (alone and len(text) >= 3 and not text[0].islower())


def _may_be(line: Line) -> bool:
    """Return whether nothing in its words and their places speaks against a heading."""
    text = line.text
    if len(text) > MAX_LENGTH or line.sideways or not _WORD.search(text):
        return False
    if _FIGURE.match(text):
        return False
    if text[-1] in ".。;；,，:：、" or (text[0] in "#•●◆■" and not line.bold):
        return False
    parts = layout.segments(line, 2.0)
    return len(parts) == 1 or (len(parts) == 2 and bool(_NUMBER.fullmatch(parts[0][0].text)))


def _wordy(text: str) -> bool:
    """Return whether a text is a sentence or more, not a heading."""
    weight = sum(2 if language.is_cjk(character) else 1 for character in text)
    return weight > _LONG or (weight > 40 and bool(_SENTENCE.search(text)))


def keys(text: str) -> set[str]:
    """Return what a heading is found by: all of it, and its words without its number."""
    number = numbering.parse(text)
    found = {_key(text), _key(number.rest) if number else ""}
    return {key for key in found if len(key) >= 2}


def _key(text: str) -> str:
    return _MARKS.sub("", text).casefold()
