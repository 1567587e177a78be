"""EPUB to elements: its chapters in the order of the spine, each read as a web page.

unstructured's own partitioner runs them through pandoc, a program of 155 MB.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from services.ingest.partition import archive, html, markup
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected

_CONTAINER = "META-INF/container.xml"
_ENCRYPTED = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html")
MAX_CHAPTERS = 5_000


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read an electronic book.

    Raises:
        Rejected: it is damaged, protected, or unpacks to more than any manual has.
    """
    archive.check(path, "EPUB")
    elements: list[Any] = []
    try:
        with zipfile.ZipFile(path) as book:
            folder, root = _package(book)
            chapters = _chapters(root, folder)
            title = next((t.strip() for t in markup.texts(root, "title") if t.strip()), "")
            for index, name in enumerate(chapters, start=1):
                if name in book.NameToInfo:
                    elements += html.elements(book.read(name))
                progress(index, len(chapters))
    except (MemoryError, RecursionError, Rejected):
        raise
    except Exception as error:
        raise Rejected(
            "read EPUB",
            f"the book is damaged ({type(error).__name__})",
            "open it in the program it comes from, save it anew and add that",
        ) from error
    return Document(elements, title)


def _package(book: zipfile.ZipFile) -> tuple[str, Any]:
    """Return the folder of the book's description, and the description."""
    container = markup.parse(book.read(_CONTAINER))
    names = [item.get("full-path") for item in markup.walk(container, "rootfile")]
    name = next(filter(None, names))
    root = markup.parse(book.read(name))
    if _ENCRYPTED in book.NameToInfo and any(
        "enc#" in (item.get("Algorithm") or "") and "font" not in (item.get("Algorithm") or "")
        for item in markup.walk(markup.parse(book.read(_ENCRYPTED)), "EncryptionMethod")
    ):
        protected = "its text is encrypted by the shop it comes from"
        raise Rejected("read EPUB", protected, "ask the maker for a copy without protection")
    return posixpath.dirname(name), root


def _chapters(root: Any, folder: str) -> list[str]:
    items = {
        item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        for item in markup.walk(root, "item")
        if item.get("media-type") in _PAGES
    }
    order = [items.get(item.get("idref")) for item in markup.walk(root, "itemref")]
    return [name for name in order if name][:MAX_CHAPTERS]
