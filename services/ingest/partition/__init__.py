"""Files to elements: one reader a format, chosen by what the file holds, not by its name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from services.ingest.partition.effort import Effort
from services.ingest.partition.sniffing import NAMES, sniff
from services.runtime.errors import Rejected

if TYPE_CHECKING:
    from services.ingest.partition.document import Document

Progress = Callable[[int, int | None], None]
"""Called with pages read and pages in all, None while unknown."""

_READERS = {
    "pdf": ("pdf", "read"),
    "image": ("image", "read"),
    "docx": ("office", "read"),
    "pptx": ("slides", "read"),
    "xlsx": ("workbook", "read_xlsx"),
    "xls": ("workbook", "read_xls"),
    "odf": ("odf", "read"),
    "rtf": ("rtf", "read"),
    "epub": ("epub", "read"),
    "eml": ("mail", "read_eml"),
    "msg": ("mail", "read_msg"),
    "html": ("html", "read_html"),
    "markdown": ("html", "read_markdown"),
    "csv": ("table", "read"),
    "json": ("records", "read"),
    "text": ("text", "read"),
}
_PAGES = ("pdf", "image")
"""Formats whose pages may be pictures of text."""


def read(path: Path, name: str, progress: Progress, effort: Effort | None = None) -> Document:
    """Read a file.

    Args:
        path: Where it lies.
        name: Its name as people know it: tells Markdown from plain text.
        progress: Told of each page.
        effort: Limits text recognition, and is told what it came to.

    Raises:
        Rejected: the content is unsupported, encrypted, damaged, empty, or not what its name says.
    """
    kind = sniff(path, name)
    module, function = _READERS[kind]
    reader = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    more = (effort or Effort(),) if kind in _PAGES else ()
    document: Document = reader(path, progress, *more)
    if kind in ("csv", "json"):
        _name_tables(document, name, kind)
    if not any(element.text.strip() for element in document.elements):
        raise Rejected("read", f"the {NAMES[kind]} holds no text")
    return document


def _name_tables(document: Document, name: str, kind: str) -> None:
    """Put the file's name over a table that stands under no heading; in CSV over its caption too.

    `alarm_servo.json` holds rows of `id` and `description`: that these are alarms, only its
    name says.
    """
    words = " ".join(PurePath(name).stem.replace("_", " ").split())
    first = next(iter(document.elements), None)
    bare = first is not None and first.category == "Table"
    if kind == "csv":
        bare = any(element.category == "Table" for element in document.elements)
    if not bare or not words:
        return
    from unstructured.documents.elements import ElementMetadata, Title  # noqa: PLC0415  (heavy)

    document.elements.insert(0, Title(text=words, metadata=ElementMetadata(category_depth=0)))
