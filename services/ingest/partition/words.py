"""Characters of a page of a PDF to words, by pdfium.

A page has thousands of characters, and each question to pdfium costs: a word is taken from the
boxes of its first and last character wherever these show that nothing odd is between.
"""

from __future__ import annotations

import bisect
import ctypes
import itertools
import math
import re
from collections import Counter, defaultdict
from typing import Any

from pypdfium2 import raw

from services.ingest.partition import layout
from services.ingest.partition.characters import clean
from services.ingest.partition.page import Rule, Word
from services.ingest.partition.rulings import Turn
from services.ingest.partition.shades import Box

_HYPHENS = "\x02\xad\ufffe"
"""What pdfium gives for a hyphen that a line's end put there."""
_RUN = re.compile(r"[^\s\x00-\x20\x7f\xad\ufffe]+")
_SAMPLES = 60
"""Characters of a page whose direction is looked at to tell how the page is to be held."""
_WIDEST = 1.3
"""A character is at most this many line heights wide."""


def find(textpage: Any, turn: Turn, rules: list[Rule]) -> list[Word]:
    """Return the words of a page; a line that runs up, down or upside down is one word."""
    return _Reader(textpage, turn, rules).words()


def held(textpage: Any, turn: Turn) -> Turn:
    """Return the page turned so that most of its text reads from left to right."""
    count = raw.FPDFText_CountChars(textpage)
    found: Counter[int] = Counter()
    for index in range(0, count, max(1, count // _SAMPLES)):
        if raw.FPDFText_GetUnicode(textpage, index) > 0x20:
            found[_direction(textpage, index)] += 1
    (direction, often), *_ = found.most_common(1) or [(0, 0)]
    extra = (-direction - turn.rotation) % 360
    return turn.turned(extra) if extra and often > 0.6 * found.total() else turn


def _direction(textpage: Any, index: int) -> int:
    """Return which way a character runs before the page is rotated: 0, 90, 180 or 270 degrees."""
    angle = raw.FPDFText_GetCharAngle(textpage, index)
    return round(math.degrees(angle) / 90) * 90 % 360 if angle > 0 else 0


def _text(textpage: Any) -> str:
    """Return a page's characters, exactly one for each that pdfium counts."""
    count = raw.FPDFText_CountChars(textpage)
    if count <= 0:
        return ""
    buffer = (ctypes.c_ushort * (count + 1))()
    length = raw.FPDFText_GetText(textpage, 0, count, buffer)
    text = bytes(buffer)[: 2 * max(0, length - 1)].decode("utf-16-le", "surrogatepass")
    if len(text) == count and not re.search("[\ud800-\udfff\U00010000-\U0010ffff]", text):
        return text
    codes = (raw.FPDFText_GetUnicode(textpage, index) for index in range(count))
    return "".join(chr(code) if code < 0x110000 else "\x00" for code in codes)


class _Reader:
    """Makes the words of one page."""

    def __init__(self, textpage: Any, turn: Turn, rules: list[Rule]) -> None:
        self._textpage = textpage
        self._turn = turn
        self._walls = _Walls(rules)
        self._rect = raw.FS_RECTF()
        self._fonts = _Fonts(textpage)
        self._found: list[Word] = []
        self._sideways: dict[int, list[Word]] = defaultdict(list)

    def words(self) -> list[Word]:
        """Return the words."""
        text = _text(self._textpage)
        for match in _RUN.finditer(text):
            start, end = match.span()
            hyphen = end < len(text) and text[end] in _HYPHENS
            letters = f"{match[0]}-" if hyphen else match[0]
            word = self._at_once(letters, start, end, hyphen)
            if word:
                self._found.append(word)
                continue
            turn = self._turns_at(start)
            into = self._sideways[turn] if turn else self._found
            into += self._slowly(match[0], start, hyphen, turn)
        for turn, words in self._sideways.items():
            self._found += self._lines(words, turn)
        return self._found

    def _box(self, index: int, turn: Turn) -> Box | None:
        rect = self._rect
        if not raw.FPDFText_GetLooseCharBox(self._textpage, index, rect):
            return None
        box = turn.box(rect.left, rect.bottom, rect.right, rect.top)
        return box if all(map(math.isfinite, box)) else None

    def _at_once(self, letters: str, start: int, end: int, hyphen: bool) -> Word | None:
        """Return the word from its first and last character, None when it must be looked into."""
        first, last = self._box(start, self._turn), self._box(end - 1, self._turn)
        if first is None or last is None or (end == start + 1 and self._turns_at(start)):
            return None
        x0, top, x1, bottom = first
        size = bottom - top
        if end > start + 1:
            overlap = min(bottom, last[3]) - max(top, last[1])
            if overlap <= 0.3 * size or last[0] <= x0:
                return None
            top, x1, bottom = min(top, last[1]), max(x1, last[2]), max(bottom, last[3])
            if x1 - x0 > _WIDEST * (end - start) * size:
                return None
            if self._walls.between(x0 + 0.1 * size, x1 - 0.1 * size, (top + bottom) / 2):
                return None
        bold = self._fonts.bold(start)
        text = letters if letters.isascii() else clean(letters).strip()
        return Word(text, x0, top, x1, bottom, round(size, 1), bold, hyphen) if text else None

    def _turns_at(self, index: int) -> int:
        """Return the degrees by which the page must be turned to read a character upright."""
        return (-_direction(self._textpage, index) - self._turn.rotation) % 360

    def _slowly(self, letters: str, start: int, hyphen: bool, turn: int) -> list[Word]:
        """Return the words of a run of characters, each looked at, the page turned so far."""
        runs: list[_Run] = []
        turned = self._turn.turned(turn)
        walls = _NO_WALLS if turn else self._walls
        for index, letter in enumerate(letters, start):
            box = self._box(index, turned)
            if box is None:
                continue
            if runs and runs[-1].takes(box, walls):
                runs[-1].add(letter, box)
            else:
                runs.append(_Run(letter, box, self._fonts.bold(index)))
        if runs and hyphen:
            runs[-1].letters.append("-")
            runs[-1].hyphen = True
        return [word for run in runs if (word := run.word())]

    def _lines(self, words: list[Word], turn: int) -> list[Word]:
        """Return the lines of text that runs another way than the page's, each as one word."""
        turned = self._turn.turned(turn)
        found = []
        for line in layout.lines(words, 0):
            if len(line.text) < 2:
                continue
            box = self._turn.box(*turned.unturned(line.x0, line.top, line.x1, line.bottom))
            found.append(Word(line.text, *box, line.size, line.bold, sideways=True))
        return found


class _Run:
    """Characters of a word as they come."""

    __slots__ = ("bold", "bottom", "hyphen", "letters", "size", "top", "x0", "x1")

    def __init__(self, letter: str, box: Box, bold: bool) -> None:
        self.letters = [letter]
        self.x0, self.top, self.x1, self.bottom = box
        self.size = box[3] - box[1]
        self.bold = bold
        self.hyphen = False

    def takes(self, box: Box, walls: _Walls) -> bool:
        """Return whether a character at this place goes on with the word."""
        x0, top, _, bottom = box
        if x0 - self.x1 > 0.05 * self.size and walls.between(self.x1, x0, (top + bottom) / 2):
            return False
        size = max(self.size, 1.0)
        overlap = min(self.bottom, bottom) - max(self.top, top)
        return (
            overlap > 0.3 * min(self.size, max(bottom - top, 0.1))
            and x0 - self.x1 < 0.8 * size
            and x0 > self.x0 - 0.3 * size
        )

    def add(self, letter: str, box: Box) -> None:
        """Append a character."""
        self.letters.append(letter)
        self.x1 = max(self.x1, box[2])
        self.top = min(self.top, box[1])
        self.bottom = max(self.bottom, box[3])

    def word(self) -> Word | None:
        """Return the word, None when nothing readable is in it."""
        text = clean("".join(self.letters)).strip()
        if not text:
            return None
        size = round(self.size, 1)
        return Word(text, self.x0, self.top, self.x1, self.bottom, size, self.bold, self.hyphen)


class _Walls:
    """Upright ruling lines: no word runs across one, however narrow the cells."""

    def __init__(self, rules: list[Rule]) -> None:
        self._walls = sorted((r.x0, r.top, r.bottom) for r in rules if not r.horizontal)

    def between(self, left: float, right: float, middle: float) -> bool:
        """Return whether a line stands between two places at this height."""
        if not self._walls:
            return False
        start = bisect.bisect_left(self._walls, (left - 0.5,))
        for x, top, bottom in itertools.islice(self._walls, start, None):
            if x > right + 0.5:
                return False
            if top <= middle <= bottom:
                return True
        return False


_NO_WALLS = _Walls([])


class _Fonts:
    """Whether characters are bold: by their font's weight and name, or drawn with an outline."""

    def __init__(self, textpage: Any) -> None:
        self._textpage = textpage
        self._buffer = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()
        self._bold: dict[int, bool] = {}

    def bold(self, index: int) -> bool:
        """Return whether the character is bold."""
        drawn = raw.FPDFText_GetTextObject(self._textpage, index)
        key = ctypes.cast(drawn, ctypes.c_void_p).value or 0
        bold = self._bold.get(key)
        if bold is None or not key:
            bold = self._bold[key] = self._is_bold(index, drawn)
        return bold

    def _is_bold(self, index: int, drawn: Any) -> bool:
        if (
            drawn
            and raw.FPDFTextObj_GetTextRenderMode(drawn) == raw.FPDF_TEXTRENDERMODE_FILL_STROKE
        ):
            return True
        if raw.FPDFText_GetFontWeight(self._textpage, index) >= 600:
            return True
        length = raw.FPDFText_GetFontInfo(self._textpage, index, self._buffer, 128, self._flags)
        return 0 < length <= 128 and b"bold" in self._buffer.value.lower()
