"""A PDF by pdfium: its pages, and its outline as bookmarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
from pypdfium2 import raw

from services.ingest.partition import rulings, words
from services.ingest.partition.characters import clean
from services.ingest.partition.effort import Effort
from services.ingest.partition.page import Page
from services.ingest.partition.rulings import Turn
from services.ingest.partition.scans import Scans
from services.runtime.errors import Rejected


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
        self._turned: dict[int, Turn] = {}
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
        """Return the outline in its order, at most `limit` entries; read the pages first."""
        found = []
        for item in self._document.get_toc(max_depth=8):
            destination = item.get_dest()
            index = destination.get_index() if destination else None
            title = clean(item.get_title()).strip()
            if index is None or not 0 <= index < self.pages or not title:
                continue
            mode, view = destination.get_view()
            place = view[:2] if mode == raw.PDFDEST_VIEW_XYZ and len(view) > 1 else (None, None)
            found.append(Bookmark(title, index + 1, item.level, self._top(index, *place)))
            if len(found) >= limit:
                break
        return found

    def _top(self, index: int, x: float | None, y: float | None) -> float | None:
        """Return how far below the top edge of a page that was read a place is, points."""
        turn = self._turned.get(index)
        if turn:
            return None if x is None or y is None else turn.box(x, y, x, y)[1]
        return None if y is None else self._document.get_page_size(index)[1] - y

    def read(self) -> Iterator[Page]:
        """Yield the pages; one that pdfium cannot load comes as an empty one."""
        for index in range(self.pages):
            try:
                page = self._document[index]
            except pdfium.PdfiumError:
                yield Page(index + 1, "", 0, 0, [])
                continue
            try:
                yield self._scans.read(page, self._page(page, index))
            finally:
                page.close()

    def _page(self, page: Any, index: int) -> Page:
        textpage = page.get_textpage()
        try:
            turn = words.held(textpage.raw, Turn.of(page))
            if turn.rotation:
                self._turned[index] = turn
            rules, pictures = rulings.find(page.raw, turn)
            found = words.find(textpage.raw, turn, rules)
        finally:
            textpage.close()
        label = clean(self._document.get_page_label(index))
        return Page(index + 1, label, *turn.size, found, rules, pictures)
