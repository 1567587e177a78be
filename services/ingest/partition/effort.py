"""What text recognition may cost, what it came to, and what to say where there is none."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from services.ingest.partition import tesseract
from services.runtime.errors import Rejected


class NeedsOcr(Rejected):
    """The document can be read only with a program that is not here."""

    kind = "needs-ocr"


@dataclass(slots=True)
class Effort:
    """How much recognition may cost, and what it came to."""

    pages: int = 200
    """Pages recognised in a document at most."""
    seconds: float = 30.0
    """Time for a page; larger ones than usual have more."""
    total: float = math.inf
    """Time for all of them, seconds from now on: after it what was read must still become
    passages before the reader is ended."""
    able: bool | None = None
    """Whether there is recognition on this machine; None while nobody asked."""
    read: int = 0
    """Pages recognised."""
    over: list[int] = field(default_factory=list)
    """Pages left out because there were too many."""
    late: list[int] = field(default_factory=list)
    """Pages, or parts of them, left out because the time for the document was over."""
    slow: list[int] = field(default_factory=list)
    """Pages, or parts of them, left out because they took too long."""
    missed: list[int] = field(default_factory=list)
    """Pages left out because there is no recognition on this machine."""

    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.total

    def left(self) -> float:
        """Return the time left for the document, seconds; 0 when it is over."""
        return max(self._end - time.monotonic(), 0.0)

    def note(self) -> str:
        """Return what people should know, empty when all pages were read."""
        parts = []
        if self.missed:
            parts.append(
                f"{_pages(self.missed)} not read: text recognition is missing; install the Debian "
                f"packages {tesseract.missing() or 'tesseract-ocr'} and start ingest again"
            )
        if self.over:
            parts.append(
                f"{_pages(self.over)} not read: more than the {self.pages} pictures of pages "
                "allowed (ingest.ocr_pages)"
            )
        if self.late:
            parts.append(
                f"{_pages(self.late)} not read: recognition had taken the time for the document "
                "(ingest.reader_seconds)"
            )
        if self.slow:
            parts.append(
                f"{_pages(self.slow)} not read to the end: recognition took more than "
                f"{self.seconds:g} s (ingest.ocr_seconds)"
            )
        return "; ".join(parts)

    def may(self, page: int) -> bool:
        """Return whether a page can still be recognised; one that cannot is noted."""
        if self.able is None:
            self.able = not tesseract.missing()
        if not self.able:
            self.missed.append(page)
        elif self.read >= self.pages:
            self.over.append(page)
        elif not self.left():
            self.late.append(page)
        else:
            self.read += 1
            return True
        return False


def _pages(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:8])) + (", …" if len(numbers) > 8 else "")
    return f"page {shown}" if len(numbers) == 1 else f"{len(numbers)} pages ({shown})"


def needed(pages: int) -> NeedsOcr:
    """Return what to tell of a document of which nothing can be read without recognition."""
    packages = tesseract.missing() or "tesseract-ocr tesseract-ocr-chi-sim"
    what = f"all of its {pages} pages are pictures" if pages > 1 else "it is a picture"
    return NeedsOcr(
        "read",
        f"{what}, and the text recognition program is missing on this machine",
        f"apt-get install {packages}, then add the document again or restart ingest",
    )
