"""A passage made ready for the corpus: tokens, codes and the text to embed (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas.retrieval import DocumentRef, Passage
from services.retriever.codes import cell_code, codes, loose_form
from services.retriever.tokens import tokens

DEFINES, LEADS, MENTIONS = 3, 2, 1
"""Strength of a code in a passage: defined here, begins a line, mentioned."""

_CODE_HEADER = re.compile(
    r"code|alarm|fault|error|\bno\b\.?|number|display|parameter|func|代码|代碼|编号|编码|故障|报警|告警|"
    r"显示|参数|功能码|序号|コード|番号|エラー",
    re.IGNORECASE,
)
_LINE_LEAD = 24
"""A code within so many characters of a line's beginning leads it; manuals put marks before it."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Passage).decode


@dataclass(frozen=True, slots=True)
class Record:
    """A passage as the corpus keeps it."""

    passage: Passage
    """The passage."""
    content: bytes
    """The passage, MessagePack."""
    head: str
    """Tokens of the document's title and the section, joined by spaces."""
    body: str
    """Tokens of the text, joined by spaces."""
    codes: tuple[tuple[str, str, int], ...]
    """Canonical form, loose form, strength."""


def content_of(passage: Passage) -> bytes:
    """Return the bytes under which a passage is kept and compared."""
    return _encode(passage)


def passage_of(content: bytes) -> Passage:
    """Return the passage kept under these bytes."""
    return _decode(content)


def prepare(document: DocumentRef, passages: Sequence[Passage]) -> list[Record]:
    """Return the records of passages; about a millisecond each, so call it in a thread."""
    title = _title_tokens(document)
    return [
        Record(
            passage=passage,
            content=content_of(passage),
            head=" ".join((title, *tokens(passage.section))).strip(),
            body=" ".join(tokens(passage.text)),
            codes=tuple(
                (canonical, loose_form(canonical), strength)
                for canonical, strength in passage_codes(passage).items()
            ),
        )
        for passage in passages
    ]


def text_to_embed(title: str, passage: Passage) -> str:
    """Return what the embedding model reads: where it stands, then what it says."""
    return "\n".join(part for part in (title, passage.section, passage.text) if part)


def passage_codes(passage: Passage) -> dict[str, int]:
    """Return the codes of a passage, canonical form and strength."""
    found: dict[str, int] = {}
    if passage.kind != "text":
        for canonical in _defined(passage):
            found[canonical] = DEFINES
    text = passage.text
    for code in codes(text):
        line = text.rfind("\n", 0, code.start) + 1
        alone = not any(c.isalnum() for c in text[line : code.start])
        leads = passage.kind == "text" and alone and code.start - line <= _LINE_LEAD
        strength = LEADS if leads else MENTIONS
        found[code.canonical] = max(strength, found.get(code.canonical, 0))
    for code in codes(passage.section.rpartition(" > ")[2]):
        if code.certain:
            found[code.canonical] = max(LEADS, found.get(code.canonical, 0))
    return found


def _defined(passage: Passage) -> list[str]:
    """Return the codes a row or entry is about: its first cell, or the cell under `Code`."""
    for number, field in enumerate(passage.fields):
        if number and not _CODE_HEADER.search(field.name):
            continue
        cells = [cell_code(part) for part in re.split(r"[,，、;\n]| / ", field.value)]
        named = [cell for cell in cells if cell]
        if named and len(named) == len(cells):
            # A bare number is a code only where the table says so.
            if all(cell[0] == "#" for cell in named) and not _CODE_HEADER.search(field.name):
                continue
            return named
    first = passage.fields[0].value if passage.fields else passage.text[:80]
    found = [code.canonical for code in codes(first) if code.certain and code.start <= 2]
    if not found and passage.kind == "entry":
        found = [code.canonical for code in codes(passage.text[:80]) if code.certain]
    return found[:1]


def _title_tokens(document: DocumentRef) -> str:
    name = document.file.rpartition("/")[2].rpartition(".")[0] or document.file
    words = dict.fromkeys(tokens(f"{document.title} {name.replace('_', ' ')}"))
    return " ".join(words)
