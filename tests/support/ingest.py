"""What the tests of ingest share: data folders, a counter of tokens, small PDFs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from services.runtime.config import Ingest

TOKENIZER = Ingest().tokenizer


def names_in(folder: Path) -> list[str]:
    """The files of a folder, by name."""
    return sorted(path.name for path in folder.iterdir())


def words(text: str) -> int:
    """Count tokens as words, for tests that need no model."""
    return len(text.split())


class Drawn:
    """A PDF drawn line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._canvas = Canvas(str(path), pagesize=A4, invariant=1)
        self.y = 0.0
        self.top()

    def top(self) -> None:
        """Go to the first line of a page."""
        self.y = A4[1] - 72

    def line(self, text: str, *, x: float = 72, size: float = 10, bold: bool = False) -> None:
        """One line, and down."""
        self._canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)
        self._canvas.drawString(x, self.y, text)
        self.y -= 1.3 * size

    def skip(self, points: float = 14) -> None:
        """Leave room."""
        self.y -= points

    def at(self, x: float, y: float, text: str, size: float = 8) -> None:
        """Text anywhere."""
        self._canvas.setFont("Helvetica", size)
        self._canvas.drawString(x, y, text)

    def table(self, rows: Sequence[Sequence[str]], edges: Sequence[float], height: float) -> None:
        """A ruled table; a cell's lines are separated by a line feed."""
        top = self.y + 10
        self._canvas.setFont("Helvetica", 9)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                for index, text in enumerate(cell.split("\n")):
                    self._canvas.drawString(
                        edges[column] + 4, top - number * height - 12 - 10 * index, text
                    )
        bottom = top - len(rows) * height
        for number in range(len(rows) + 1):
            y = top - number * height
            self._canvas.line(edges[0], y, edges[-1], y)
        for edge in edges:
            self._canvas.line(edge, top, edge, bottom)
        self.y = bottom - 16

    def bookmark(self, title: str, level: int = 0) -> None:
        """An outline entry that points here."""
        key = f"{title}{self.y}{self._canvas.getPageNumber()}"
        self._canvas.bookmarkHorizontal(key, 0, self.y + 12)
        self._canvas.addOutlineEntry(title, key, level)

    def title(self, text: str) -> None:
        """The title in the metadata."""
        self._canvas.setTitle(text)

    def page(self) -> None:
        """End the page."""
        self._canvas.showPage()
        self.top()

    def save(self) -> Path:
        """Write the file."""
        self._canvas.save()
        return self.path
