"""What a file is, by its content: its name decides only between kinds of text."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePath

from services.ingest.partition import encoding
from services.runtime.errors import Rejected

SUPPORTED = (
    "PDF, pictures (PNG, JPEG, TIFF, BMP, GIF), DOCX, PPTX, XLSX, XLS, OpenDocument (ODT, ODS, "
    "ODP), RTF, EPUB, e-mail (EML, MSG), HTML, Markdown, reStructuredText, CSV, JSON and plain text"
)
"""What can be read, as told to people."""

NAMES = {
    "pdf": "PDF",
    "image": "picture",
    "docx": "Word document",
    "pptx": "presentation",
    "xlsx": "Excel workbook",
    "xls": "workbook of the old .xls format",
    "odf": "OpenDocument file",
    "rtf": "RTF document",
    "epub": "EPUB",
    "eml": "message",
    "msg": "Outlook message",
    "html": "web page",
    "markdown": "Markdown text",
    "csv": "table",
    "json": "JSON file",
    "text": "plain text",
}
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif")
_EXTENSIONS = {
    ".pdf": ("pdf",),
    ".docx": ("docx",),
    ".docm": ("docx",),
    ".pptx": ("pptx",),
    ".pptm": ("pptx",),
    ".ppsx": ("pptx",),
    ".xlsx": ("xlsx",),
    ".xlsm": ("xlsx",),
    # Programs export web pages and tables under this name, and old ones open everything.
    ".xls": ("xls", "xlsx", "html", "text", "csv"),
    ".odt": ("odf",),
    ".ods": ("odf",),
    ".odp": ("odf",),
    # Word keeps RTF under its own name when asked for the old format.
    ".doc": ("rtf", "docx", "html"),
    ".rtf": ("rtf",),
    ".epub": ("epub",),
    ".msg": ("msg",),
    ".html": ("html",),
    ".htm": ("html",),
    ".xhtml": ("html",),
    ".md": ("markdown", "html"),
    ".markdown": ("markdown", "html"),
    **dict.fromkeys(_PICTURES, ("image",)),
}
_TEXTS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".eml": "eml",
}
_BINARY = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "a database"),
)
_OLE_LOOKED_AT = 16 * 2**20
_OLE_KINDS = {"__properties_version1.0": "msg", "Workbook": "xls", "Book": "xls"}
"""Streams of OLE files and what they make them."""
_OLD = (
    ("WordDocument", "a Word document of the old .doc format", "DOCX or PDF"),
    ("PowerPoint Document", "a presentation of the old .ppt format", "PPTX or PDF"),
)
_OPC = {
    b"wordprocessingml.document.main": "docx",
    b"wordprocessingml.template.main": "docx",
    b"ms-word.document.macroEnabled.main": "docx",
    b"presentationml.presentation.main": "pptx",
    b"presentationml.slideshow.main": "pptx",
    b"presentationml.template.main": "pptx",
    b"ms-powerpoint.presentation.macroEnabled.main": "pptx",
    b"spreadsheetml.sheet.main": "xlsx",
    b"spreadsheetml.template.main": "xlsx",
    b"ms-excel.sheet.macroEnabled.main": "xlsx",
}
"""What [Content_Types].xml calls the main part of each."""
_PARTS = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
_MIMETYPES = {
    b"application/epub+zip": "epub",
    b"application/vnd.oasis.opendocument.text": "odf",
    b"application/vnd.oasis.opendocument.spreadsheet": "odf",
    b"application/vnd.oasis.opendocument.presentation": "odf",
}
_LAST = {"META-INF/container.xml": "epub", "content.xml": "odf"}
"""Parts that tell where nothing else does."""
_HTML = re.compile(
    rb"^\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_MAIL = re.compile(
    rb"(?:(?:from|to|cc|subject|date|message-id|mime-version|received|return-path|delivered-to"
    rb"|content-type|x-[\w-]+|dkim-signature|reply-to):[^\n]*\n(?:[ \t][^\n]*\n)*){3}",
    re.IGNORECASE,
)
"""Three header lines in a row begin a message; a text may begin with one."""


def likely(name: str) -> str:
    """Return the kind that a file of this name mostly is."""
    extension = PurePath(name).suffix.lower()
    return _EXTENSIONS.get(extension, (_TEXTS.get(extension, "text"),))[0]


def sniff(path: Path, name: str) -> str:
    """Return the kind of a file: a key of `_READERS`.

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
            f"the name ends in {extension}, but the content is {_article(NAMES[kind])}",
            "give the file the name of what it is, or export it again",
        )
    return kind


def _kind(path: Path, head: bytes, extension: str) -> str:
    if b"%PDF-" in head[:1024]:
        return "pdf"
    for magic, found in _MAGIC:
        if head.startswith(magic) and (len(magic) > 2 or b"\x00" in head[:512]):
            return found(path) if callable(found) else found
    for magic, what in _BINARY:
        if head.startswith(magic) and (len(magic) > 2 or b"\x00" in head[:512]):
            raise _unsupported(what)
    if extension == ".pdf":
        return _late_pdf(path, head)
    kind = _text_kind(head, extension)
    allowed = _EXTENSIONS.get(extension, (kind,))
    if kind not in allowed and kind == "text":
        raise Rejected(
            "read", f"the name ends in {extension}, but the content is no {NAMES[allowed[0]]}"
        )
    return kind


def _text_kind(head: bytes, extension: str) -> str:
    try:
        encoding.decode(head)
    except Rejected as error:
        raise _unsupported("binary data of an unknown kind") from error
    if _HTML.match(head) or extension in (".html", ".htm", ".xhtml"):
        return "html"
    if _MAIL.match(head.lstrip()):
        return "eml"
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
            content = _member(archive, "[Content_Types].xml")
            mimetype = _member(archive, "mimetype")
    except (
        zipfile.BadZipFile,
        ValueError,
        OSError,
        RuntimeError,
        NotImplementedError,
        EOFError,
        zlib.error,
    ) as error:
        raise Rejected(
            "read",
            "the file is a damaged archive: it breaks off or was copied badly",
            "copy it again from where it came from",
        ) from error
    marks = [kind for part, kind in _PARTS.items() if part in names]
    marks += [kind for mark, kind in _OPC.items() if mark in content]
    marks += [kind for mark, kind in _MIMETYPES.items() if mimetype.startswith(mark)]
    marks += [kind for part, kind in _LAST.items() if part in names]
    if marks:
        return marks[0]
    if "xl/workbook.bin" in names:
        raise _unsupported("a binary Excel workbook (.xlsb)")
    raise _unsupported("a ZIP archive")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a small part of an archive, empty where there is none."""
    try:
        small = archive.getinfo(name).file_size < 2**20
    except KeyError:
        return b""
    return archive.read(name) if small else b""


def _ole_kind(path: Path) -> str:
    """Return the kind of an OLE file: one of the old office formats, or a message.

    Raises:
        Rejected: it is encrypted, or of a kind that cannot be read.
    """
    names = _streams(path)
    if "EncryptedPackage" in names:
        raise Rejected(
            "read",
            "the document is encrypted and needs a password",
            "save a copy without a password and add that",
        )
    for name, what, better in _OLD:
        if name in names:
            raise Rejected(
                "read",
                f"the file is {what}, which cannot be read",
                f"open it in Word, PowerPoint or LibreOffice, save it as {better} and add that",
            )
    for name, kind in _OLE_KINDS.items():
        if name in names:
            return kind
    raise _unsupported("a document of an old office format")


def _streams(path: Path) -> set[str]:
    """Return what an OLE file holds at its top; by their mere presence where it is damaged."""
    import olefile  # noqa: PLC0415

    try:
        with olefile.OleFileIO(str(path)) as file:
            found = {entry[0] for entry in file.listdir()}
    except (OSError, ValueError, IndexError, TypeError, struct.error, RecursionError):
        found = set()
    known = {"EncryptedPackage", *(name for name, _, _ in _OLD), *_OLE_KINDS}
    if not found & known:
        with path.open("rb") as file:
            data = file.read(_OLE_LOOKED_AT)
        found = {name for name in known if name.encode("utf-16-le") in data}
    return found


def _unsupported(what: str) -> Rejected:
    return Rejected(
        "read",
        f"the file is {what}, which cannot be read",
        f"supported are {SUPPORTED}; export it as one of these and add that",
    )


def _article(name: str) -> str:
    if name == "plain text":
        return name
    return f"an {name}" if name[0] in "AEIOU" or name.startswith("RTF") else f"a {name}"


_MAGIC: tuple[tuple[bytes, str | Callable[[Path], str]], ...] = (
    (b"PK\x03\x04", _zip_kind),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _ole_kind),
    (b"{\\rtf", "rtf"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"BM", "image"),
)
"""First bytes and what they mean; two are too few without a zero near them."""
