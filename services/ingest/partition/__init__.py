"""Files to elements: one reader a format, chosen by what the file holds, not by its name."""

from __future__ import annotations

import importlib
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from services.ingest.partition import encoding
from services.ingest.partition.effort import Effort
from services.runtime.errors import Rejected

if TYPE_CHECKING:
    from services.ingest.partition.document import Document

SUPPORTED = "PDF, DOCX, HTML, Markdown, CSV, JSON and plain text"
"""What can be read, as told to people."""

Progress = Callable[[int, int | None], None]
"""Called with pages read and pages in all, None while unknown."""

_READERS = {
    "pdf": ("pdf", "read"),
    "image": ("image", "read"),
    "docx": ("office", "read"),
    "html": ("html", "read_html"),
    "markdown": ("html", "read_markdown"),
    "csv": ("table", "read"),
    "json": ("records", "read"),
    "text": ("text", "read"),
}
_PAGES = ("pdf", "image")
"""Formats whose pages may be pictures of text."""
_NAMES = {
    "pdf": "PDF",
    "image": "picture",
    "docx": "Word document",
    "html": "web page",
    "markdown": "Markdown text",
    "csv": "table",
    "json": "JSON file",
    "text": "plain text",
}
_EXTENSIONS = {
    ".pdf": ("pdf",),
    ".docx": ("docx",),
    ".docm": ("docx",),
    ".html": ("html",),
    ".htm": ("html",),
    ".xhtml": ("html",),
    ".md": ("markdown", "html"),
    ".markdown": ("markdown", "html"),
}
_TEXTS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
}
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*")
_BINARY = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "a database"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = re.compile(
    rb"^\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)


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
        _name_tables(document, name)
    if not any(element.text.strip() for element in document.elements):
        raise Rejected("read", f"the {_NAMES[kind]} holds no text")
    return document


def _name_tables(document: Document, name: str) -> None:
    """Put the file's name over a table that stands under no heading.

    `alarm_servo.json` holds rows of `id` and `description`: that these are alarms, only its
    name says.
    """
    words = " ".join(PurePath(name).stem.replace("_", " ").split())
    first = next(iter(document.elements), None)
    if first is None or first.category != "Table" or not words:
        return
    from unstructured.documents.elements import ElementMetadata, Title  # noqa: PLC0415  (heavy)

    document.elements.insert(0, Title(text=words, metadata=ElementMetadata(category_depth=0)))


def sniff(path: Path, name: str) -> str:
    """Return the kind of a file: pdf, docx, html, markdown, csv, json or text.

    Raises:
        Rejected: it is empty, unsupported, encrypted, or not what its name says.
    """
    with path.open("rb") as file:
        head = file.read(8192)
    if not head.strip(b"\x00 \t\r\n"):
        raise Rejected("read", "the file is empty" if not head else "the file holds no data")
    if PurePath(name).name.startswith("~$"):
        raise Rejected(
            "read",
            "this is the mark a word processor leaves while a document is open",
            "add the document itself",
        )
    extension = PurePath(name).suffix.lower()
    kind = _kind(path, head, extension)
    allowed = _EXTENSIONS.get(extension)
    if allowed and kind not in allowed:
        raise Rejected(
            "read",
            f"the name ends in {extension}, but the content is {_article(_NAMES[kind])}",
            "give the file the name of what it is, or export it again",
        )
    return kind


def _kind(path: Path, head: bytes, extension: str) -> str:
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    if head.startswith(_OLE):
        raise _ole(path)
    if head.startswith(_IMAGES) or (head.startswith(b"BM") and b"\x00" in head[:512]):
        return "image"
    for magic, what in _BINARY:
        if head.startswith(magic) and (len(magic) > 2 or b"\x00" in head[:512]):
            raise _unsupported(what)
    if extension == ".pdf":
        return _late_pdf(path, head)
    if extension in (".docx", ".docm"):
        raise Rejected(
            "read Word document",
            f"the name ends in {extension}, but the content is no Word document",
        )
    return _text_kind(head, extension)


def _text_kind(head: bytes, extension: str) -> str:
    try:
        encoding.decode(head)
    except Rejected as error:
        raise _unsupported("binary data of an unknown kind") from error
    if _HTML.match(head) or extension in (".html", ".htm", ".xhtml"):
        return "html"
    return _TEXTS.get(extension, "text")


def _late_pdf(path: Path, head: bytes) -> str:
    """Return `pdf` for a file that is one but for its beginning: pdfium may mend it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2048))
        if b"%PDF" in head or b"%%EOF" in file.read():
            return "pdf"
    raise Rejected("read PDF", "the name ends in .pdf, but the content is no PDF")


def _zip_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist()[:10_000])
            content = archive.read("[Content_Types].xml") if _small(archive) else b""
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise Rejected(
            "read",
            "the file is a damaged archive: it breaks off or was copied badly",
            "copy it again from where it came from",
        ) from error
    if "word/document.xml" in names or b"wordprocessingml.document.main" in content:
        return "docx"
    if any(name.startswith("xl/") for name in names):
        raise _unsupported("an Excel workbook")
    if any(name.startswith("ppt/") for name in names):
        raise _unsupported("a PowerPoint presentation")
    if "content.xml" in names:
        raise _unsupported("an OpenDocument file")
    raise _unsupported("a ZIP archive")


def _small(archive: zipfile.ZipFile) -> bool:
    try:
        return archive.getinfo("[Content_Types].xml").file_size < 2**20
    except KeyError:
        return False


def _ole(path: Path) -> Rejected:
    """Return what is wrong with an OLE file: encrypted, or one of the old office formats."""
    with path.open("rb") as file:
        data = file.read(2**20)
    if "EncryptedPackage".encode("utf-16-le") in data:
        return Rejected(
            "read",
            "the document is encrypted and needs a password",
            "save a copy without a password and add that",
        )
    streams = (
        ("WordDocument", "a Word document of the old .doc format"),
        ("Workbook", "an Excel workbook of the old .xls format"),
        ("PowerPoint Document", "a presentation of the old .ppt format"),
    )
    for stream, what in streams:
        if stream.encode("utf-16-le") in data:
            return _unsupported(what)
    return _unsupported("a document of an old office format")


def _unsupported(what: str) -> Rejected:
    return Rejected(
        "read",
        f"the file is {what}, which cannot be read",
        f"supported are {SUPPORTED}; export it as one of these and add that",
    )


def _article(name: str) -> str:
    return name if name == "plain text" else f"a {name}"
