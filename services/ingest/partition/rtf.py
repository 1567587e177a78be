"""RTF to elements: paragraphs, headings by their style, tables.

unstructured's own partitioner runs it through pandoc, a program of 155 MB.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from unstructured.documents.elements import (
    Element,
    ElementMetadata,
    ListItem,
    NarrativeText,
    Table,
    Title,
)

from services.ingest import tables
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected

MAX_BYTES = 256 * 2**20
MAX_DEPTH = 1_000
"""Groups within each other; more is damage."""
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+"
    rb"|([^\\{}\r\n]+)",
)
_SKIPPED = {
    "colortbl", "pict", "object", "info", "generator", "header", "headerl", "headerr", "headerf",
    "footer", "footerl", "footerr", "footerf", "footnote", "annotation", "themedata", "datastore",
    "xmlnstbl", "listtable", "listoverridetable", "rsidtbl", "fldinst", "bkmkstart", "bkmkend",
    "pntext", "pntxta", "pntxtb", "nonshppict", "latentstyles", "filetbl", "revtbl",
    "colorschememapping", "mmathPr", "template",
}  # fmt: skip
_LETTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ",
    "qmspace": " ", "page": "\n",
}  # fmt: skip
_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "cp950",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
    204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
_HEADING = re.compile(r"(?i)^(?:heading|überschrift|标题|titre)\s*(\d)")


@dataclass(slots=True)
class _State:
    """What holds within a group."""

    skipped: bool = False
    into: str = ""
    """Table of fonts or styles, title, or empty for the text itself."""
    encoding: str = "cp1252"
    after_unicode: int = 1
    """Characters that stand for a \\u for programs that do not know it."""
    level: int | None = None
    """Depth of the heading, None for text."""
    in_table: bool = False
    listed: bool = False
    number: int = 0
    """Of the font or style that is being defined."""


@dataclass(slots=True)
class _Reading:
    """What was read so far."""

    elements: list[Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    """Bytes not yet decoded: a character may be two of them."""
    cells: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    title: str = ""


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a text in the Rich Text Format.

    Raises:
        Rejected: it is too large, or damaged.
    """
    if path.stat().st_size > MAX_BYTES:
        raise Rejected("read RTF", f"the file is larger than {MAX_BYTES // 2**20} MB")
    reader = _Reader()
    reader.run(path.read_bytes())
    progress(1, 1)
    return Document(reader.found.elements, reader.found.title)


class _Reader:
    """Goes through the groups and control words."""

    def __init__(self) -> None:
        self.found = _Reading()
        self._state = _State()
        self._stack: list[_State] = []
        self._standard = "cp1252"
        self._fonts: dict[int, str] = {}
        self._styles: dict[int, int] = {}
        self._ignore = 0
        self._first = False
        """Whether the next control word is the first of its group."""

    def run(self, data: bytes) -> None:
        """Read the whole file.

        Raises:
            Rejected: its groups are nested without end.
        """
        position = 0
        while match := _TOKEN.match(data, position):  # the end, or a backslash there
            position = match.end()
            word, number, code, symbol, brace, text = match.groups()
            if word == b"bin":
                position += max(0, int(number or 0))
            elif word is not None:
                self._word(word.decode(), int(number) if number else None)
            elif symbol is not None:
                self._symbol(symbol)
            elif brace is not None:
                self._brace(brace)
            else:
                self._bytes(bytes([int(code, 16)]) if code else text or b"")
            self._first = brace == b"{" or (self._first and symbol == b"*")
        self._flush()
        self._paragraph()
        self._table()

    def _brace(self, brace: bytes) -> None:
        self._flush()
        if brace == b"}":
            self._close()
        elif len(self._stack) >= MAX_DEPTH:
            raise Rejected("read RTF", "its groups are nested without end")
        else:
            self._stack.append(self._state)
            self._state = replace(self._state)

    def _close(self) -> None:
        state = self._state
        if self._stack:
            self._state = self._stack.pop()
            # Of a paragraph's look nothing is lost at the end of a group within it.
            if not self._state.into and not state.into and not state.skipped:
                self._state.level = self._state.level if state.level is None else state.level

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*" and self._first:
            self._state.skipped = True
        elif symbol in b"\\{}":
            self._bytes(symbol)
        elif symbol == b"~":
            self._put("\u00a0")
        elif symbol == b"_":
            self._put("-")
        elif symbol in b"\r\n":
            self._paragraph()

    def _word(self, name: str, number: int | None) -> None:
        state = self._state
        if name == "u" and number is not None:
            self._flush()
            self._put(chr(number % 65536))
            self._ignore = state.after_unicode
            return
        if name == "uc":
            state.after_unicode = max(0, min(number or 0, 8))
            return
        self._flush()
        if name == "ansicpg" and number:
            self._standard = state.encoding = _known(f"cp{number}" if number != 936 else "gb18030")
        elif name in _SKIPPED:
            state.skipped = name != "info"
            state.into = name
        elif name == "title" and state.into == "info":
            state.into = "title"
        elif name in ("fonttbl", "stylesheet"):
            state.into = name
        elif state.into == "fonttbl" or name == "f":
            self._font(name, number or 0)
        elif name == "s" and state.into == "stylesheet":
            state.number = number or 0
        elif not state.skipped and not state.into:
            self._layout(name, number)

    def _font(self, name: str, number: int) -> None:
        state = self._state
        if name == "fcharset":
            found = _CHARSETS.get(number, self._standard)
            self._fonts[state.number] = self._standard if number < 2 else found
        elif name == "f" and state.into == "fonttbl":
            state.number = number
        elif name == "f":
            state.encoding = self._fonts.get(number, self._standard)

    def _layout(self, name: str, number: int | None) -> None:
        state = self._state
        match name:
            case "s":
                state.level = self._styles.get(number or 0)
            case "par" | "sect":
                self._paragraph()
            case "pard":
                state.level, state.in_table, state.listed = None, False, False
            case "plain":
                state.encoding = self._standard
            case "outlinelevel" if number is not None and 0 <= number < 9:
                state.level = number
            case "ls" | "pnlvlblt" | "pnlvlbody" | "intbl":
                state.listed = state.listed or name != "intbl"
                state.in_table = state.in_table or name == "intbl"
            case "cell" | "nestcell":
                self.found.cells.append(self._taken())
            case "row" | "nestrow":
                self._row()
            case _ if name in _LETTERS:
                self._put(_LETTERS[name])

    def _row(self) -> None:
        if self.found.cells:
            self.found.rows.append(self.found.cells)
        self.found.cells = []

    def _bytes(self, data: bytes) -> None:
        skip = min(self._ignore, len(data))
        self._ignore -= skip
        self.found.raw += data[skip:]

    def _put(self, text: str) -> None:
        state = self._state
        self._flush()
        if not state.skipped and not state.into:
            self.found.text.append(text)

    def _flush(self) -> None:
        """Decode the bytes that came since the last control word."""
        if not self.found.raw:
            return
        text = self.found.raw.decode(self._state.encoding, errors="replace")
        self.found.raw.clear()
        state = self._state
        if state.into == "stylesheet":
            match = _HEADING.match(text.strip())
            if match:
                self._styles[state.number] = int(match[1]) - 1
        elif state.into == "title":
            self.found.title += text.strip()
        elif not state.skipped and not state.into:
            self.found.text.append(text)

    def _taken(self) -> str:
        self._flush()
        joined = "".join(self.found.text)
        self.found.text.clear()
        # Surrogates come as two \\u.
        joined = joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return joined.strip()

    def _paragraph(self) -> None:
        state = self._state
        if state.in_table:
            self._put("\n")
            return
        text = self._taken()
        if not text:
            return
        self._table()
        if state.level is not None and len(text) <= 300:
            metadata = ElementMetadata(category_depth=state.level)
            self.found.elements.append(Title(text=text, metadata=metadata))
        else:
            kind = ListItem if state.listed else NarrativeText
            self.found.elements.append(kind(text=text))

    def _table(self) -> None:
        """Put the rows before this place down as a table."""
        rows, self.found.rows = self.found.rows, []
        width = max(map(len, rows), default=0)
        if not width:
            return
        cells: list[list[tables.GridCell | None]] = [
            [tables.GridCell(text) for text in [*row, *[""] * (width - len(row))]] for row in rows
        ]
        for found in tables.understand(tables.Grid(cells)):
            metadata = ElementMetadata(text_as_html=tables.to_html(found))
            text = "\n".join(tables.row_text(found.header, row.cells) for row in found.rows)
            self.found.elements.append(
                Table(text=text or " ".join(found.header), metadata=metadata)
            )


def _known(name: str) -> str:
    """Return a code page, cp1252 for one that nobody knows."""
    try:
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name
