"""Pages of a PDF by pdfium: characters to words, the outline to bookmarks."""

from __future__ import annotations

import bisect
import ctypes
import itertools
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
from pypdfium2 import raw

from services.ingest.partition import rulings
from services.ingest.partition.effort import Effort
from services.ingest.partition.page import Page, Rule, Word
from services.ingest.partition.rulings import Turn
from services.ingest.partition.scans import Scans
from services.runtime.errors import Rejected

_HYPHENS = {0x02, 0xAD, 0xFFFE}
"""What pdfium gives for a hyphen that a line's end put there."""


@dataclass(slots=True, frozen=True)
class Bookmark:
    """An entry of the document's outline."""

    title: str
    page: int
    """Physical page, from 1."""
    level: int
    """Depth, from 0."""
    top: float | None
    """Distance from the page's top edge, points; None where the bookmark names only the page."""


class Pdf:
    """An open PDF; close it after use."""

    def __init__(self, path: Path, effort: Effort) -> None:
        """Open a file; `effort` limits recognition of the pages that are pictures.

        Raises:
            Rejected: it needs a password, is damaged beyond reading, or has no pages.
        """
        try:
            self._document = pdfium.PdfDocument(path)
        except pdfium.PdfiumError as error:
            text = str(error)
            if "assword" in text or "ecurity" in text:
                raise Rejected(
                    "read PDF",
                    "the PDF is encrypted and needs a password",
                    "save a copy without a password and add that",
                ) from error
            raise Rejected(
                "read PDF",
                "the file is damaged: no PDF can be made out of it",
                "open it in a PDF viewer, save it anew and add that",
            ) from error
        self._scans = Scans(effort)
        self.pages = len(self._document)
        if self.pages == 0:
            self.close()
            raise Rejected("read PDF", "the PDF has no pages")

    def close(self) -> None:
        """Close the file."""
        self._scans.close()
        self._document.close()

    @property
    def title(self) -> str:
        """Return the title in the file's metadata, empty where there is none."""
        return clean(self._document.get_metadata_value("Title") or "").strip()

    def bookmarks(self, limit: int = 20_000) -> list[Bookmark]:
        """Return the outline in its order, at most `limit` entries."""
        found = []
        for item in self._document.get_toc(max_depth=8):
            destination = item.get_dest()
            index = destination.get_index() if destination else None
            title = clean(item.get_title()).strip()
            if index is None or not 0 <= index < self.pages or not title:
                continue
            mode, view = destination.get_view()
            y = view[1] if mode == raw.PDFDEST_VIEW_XYZ and len(view) > 1 else None
            top = None if y is None else self._document.get_page_size(index)[1] - y
            found.append(Bookmark(title, index + 1, item.level, top))
            if len(found) >= limit:
                break
        return found

    def read(self) -> Iterator[Page]:
        """Yield the pages; one that pdfium cannot load comes as an empty one."""
        for index in range(self.pages):
            try:
                page = self._document[index]
            except pdfium.PdfiumError:
                yield Page(index + 1, "", 0, 0, [])
                continue
            try:
                found = _page(page, index + 1, self._document.get_page_label(index))
                yield self._scans.read(page, found)
            finally:
                page.close()


def clean(text: str) -> str:
    """Return text without soft hyphens and control characters, look-alikes resolved.

    Ligatures, CJK compatibility forms and radicals, full-width letters and digits become the
    plain characters people type (NFKC); full-width punctuation, superscripts and units stay.
    """
    text = _LOOKALIKES.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text.translate(_SYMBOLS))
    return text if _PLAIN.fullmatch(text) else "".join(filter(_readable, text))


def _readable(character: str) -> bool:
    return character in "\t\n" or unicodedata.category(character) not in _DROPPED


_PLAIN = re.compile(r"[\x20-\x7e\t\n\u4e00-\u9fff]*")
_LOOKALIKES = re.compile(
    "[\u00a0\u2000-\u200a\u2e80-\u2fdf\ufb00-\ufb4f\uf900-\ufaff\ufe30-\ufe4f"
    "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u2126\u212a\u212b]+"
)
_SYMBOLS = {0x00AD: None, 0xF0B7: "•", 0xF06C: "•", 0xF06E: "•", 0xF0A7: "•", 0xF0D8: "•"}
"""Soft hyphens, and the bullets of the Symbol and Wingdings fonts in the private use area."""
_DROPPED = {"Cc", "Cs", "Co", "Cn", "Cf"}


def _page(page: Any, number: int, label: str) -> Page:
    width, height = page.get_size()
    turn = Turn(page)
    textpage = page.get_textpage()
    try:
        rules, pictures = rulings.find(page.raw, turn)
        words = _words(textpage.raw, turn, _Walls(rules))
    finally:
        textpage.close()
    return Page(number, clean(label), width, height, words, rules, pictures)


class _Run:
    """Characters of a word as they come."""

    __slots__ = ("bold", "bottom", "hyphen", "letters", "size", "top", "x0", "x1")

    def __init__(self, letter: str, box: tuple[float, float, float, float], bold: bool) -> None:
        self.letters = [letter]
        self.x0, self.top, self.x1, self.bottom = box
        self.size = box[3] - box[1]
        self.bold = bold
        self.hyphen = False

    def takes(self, box: tuple[float, float, float, float], walls: _Walls) -> bool:
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

    def add(self, letter: str, box: tuple[float, float, float, float]) -> None:
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
        return Word(
            text,
            self.x0,
            self.top,
            self.x1,
            self.bottom,
            round(self.size, 1),
            self.bold,
            self.hyphen,
        )


class _Walls:
    """Upright ruling lines: no word runs across one, however narrow the cells."""

    def __init__(self, rules: list[Rule]) -> None:
        self._walls = sorted((r.x0, r.top, r.bottom) for r in rules if not r.horizontal)

    def between(self, left: float, right: float, middle: float) -> bool:
        """Return whether a line stands between two places at this height."""
        start = bisect.bisect_left(self._walls, (left - 0.5,))
        for x, top, bottom in itertools.islice(self._walls, start, None):
            if x > right + 0.5:
                return False
            if top <= middle <= bottom:
                return True
        return False


def _words(textpage: Any, turn: Turn, walls: _Walls) -> list[Word]:
    rect = raw.FS_RECTF()
    words: list[Word] = []
    run: _Run | None = None
    fonts = _Fonts(textpage)

    def close() -> None:
        nonlocal run
        word = run.word() if run else None
        if word:
            words.append(word)
        run = None

    for index in range(raw.FPDFText_CountChars(textpage)):
        code = raw.FPDFText_GetUnicode(textpage, index)
        if code in _HYPHENS:
            if run:
                run.letters.append("-")
                run.hyphen = True
            close()
            continue
        letter = chr(code) if code < 0x110000 else ""
        if code <= 0x20 or letter.isspace():
            close()
            continue
        if not raw.FPDFText_GetLooseCharBox(textpage, index, rect):
            continue
        box = turn.box(rect.left, rect.bottom, rect.right, rect.top)
        if not all(map(math.isfinite, box)):
            continue
        if run and run.takes(box, walls):
            run.add(letter, box)
        else:
            close()
            run = _Run(letter, box, fonts.bold(index))
    close()
    return words


class _Fonts:
    """Whether characters are bold, by their font's weight and name."""

    def __init__(self, textpage: Any) -> None:
        self._textpage = textpage
        self._buffer = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()

    def bold(self, index: int) -> bool:
        """Return whether the character is bold."""
        if raw.FPDFText_GetFontWeight(self._textpage, index) >= 600:
            return True
        length = raw.FPDFText_GetFontInfo(self._textpage, index, self._buffer, 128, self._flags)
        return 0 < length <= 128 and b"bold" in self._buffer.value.lower()
