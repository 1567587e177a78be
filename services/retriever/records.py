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
    r"\b(?:code|display|error|alarm|fault|parameter|param|msg|message)s?\b|代码|代碼|编码|故障码|"
    r"报警号|显示|参数|功能码|コード|エラー",
    re.IGNORECASE,
)
_FAULTS = re.compile(
    r"fault|alarm|error|trip|warning|故障|报警|告警|错误|异常|報警|錯誤|異常|エラー", re.IGNORECASE
)
_PARTED = re.compile(r"[,，、;；\n]| / ")
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
    title = " ".join(title_tokens(document))
    return [
        Record(
            passage=passage,
            content=content_of(passage),
            head=head_of(title, passage),
            body=" ".join(tokens(passage.text)),
            codes=tuple(
                (canonical, loose_form(canonical), strength)
                for canonical, strength in passage_codes(passage).items()
            ),
        )
        for passage in passages
    ]


def head_of(title: str, passage: Passage) -> str:
    """Return the tokens of title and section; those of the title are given."""
    return " ".join((title, *tokens(passage.section))).strip()


def text_to_embed(title: str, passage: Passage) -> str:
    """Return what the embedding model reads: where it stands, then what it says."""
    return "\n".join(part for part in (title, passage.section, passage.text) if part)


def passage_codes(passage: Passage) -> dict[str, int]:
    """Return the codes of a passage, canonical form and strength."""
    found: dict[str, int] = {}
    if passage.kind != "text":
        found |= _defined(passage)
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


def _defined(passage: Passage) -> dict[str, int]:
    """Return the codes a row or entry is about: those under `Code`, else of its first cell."""
    names = [field.name for field in passage.fields]
    about_faults = _FAULTS.search(" ".join([passage.section, *names])) is not None
    for said in (True, False):
        for place, field in enumerate(passage.fields):
            if said != (_CODE_HEADER.search(field.name) is not None) or (place and not said):
                continue
            cells = [cell_code(part) for part in _PARTED.split(field.value)]
            found = [cell for cell in cells if cell]
            bare = all(cell[0] == "#" for cell in found)
            if len(found) < len(cells) or not (
                said or (about_faults if bare else all(map(_telling, found)))
            ):
                continue
            # A bare number is a fault's where the table is about faults; else it may be anything.
            return {c: DEFINES if about_faults or c[0] != "#" else LEADS for c in found}
    first = passage.fields[0].value if passage.fields else passage.text[:80]
    leading = [c.canonical for c in codes(first) if c.certain and c.start <= 2]
    if not leading and passage.kind == "entry":
        leading = [c.canonical for c in codes(passage.text[:80]) if c.certain]
    # The rest of an entry over the limit repeats its title, but does not define the code.
    rest = passage.text.partition("\n")[0].endswith("(continued)")
    return dict.fromkeys(leading[:1], LEADS if rest else DEFINES)


def _telling(cell: str) -> bool:
    """Return whether a cell looks like a code where no header says that it is one."""
    return any(map(str.isdigit, cell)) and any(map(str.isalpha, cell))


def title_tokens(document: DocumentRef) -> list[str]:
    """Return the tokens of a document's title and file name, each once."""
    name = document.file.rpartition("/")[2].rpartition(".")[0] or document.file
    return list(dict.fromkeys(tokens(f"{document.title} {name.replace('_', ' ')}")))
