"""A passage made ready for the corpus: tokens, codes and the text to embed (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas.retrieval import DocumentRef, Passage
from services.retriever.called import called
from services.retriever.codes import PARTED, Code, cell_code, cell_codes, codes, loose_form
from services.retriever.tokens import tokens

WORDS = 6
"""The way tokens and codes are found. Grows with each change of it: they are found anew then."""
DEFINES, LEADS, MENTIONS = 3, 2, 1
"""Strength of a code in a passage: defined here, begins a line, mentioned."""

_CODE_HEADER = re.compile(
    r"\b(?:code|display|error|alarm|fault|parameter|param|msg|message)s?\b|代码|代碼|编码|故障码|"
    r"报警号|显示|参数|功能码|コード|エラー|\$|\bpr\b|\bpar\b",
    re.IGNORECASE,
)
_FAULTS = re.compile(
    r"(?<!de)fault|alarm|error|trip|warning|故障|报警|告警|错误|异常|報警|錯誤|異常|エラー",
    re.IGNORECASE,
)
_PARAMETERS = re.compile(
    r"\b(?:(?P<pr>pr)|par|param|parameter)s?\b\.?\s*(?:no\b|nos\b|number|nr\b|code|#)?[.:]?\s*$|(?:参数|功能)(?:号|码|编号|代码)",
    re.IGNORECASE,
)
"""Headers of bare numbers that are those of parameters."""
_OF_PARAMETER = re.compile(r"[prPR]\d{3,5}(?![A-Za-z\d])")
"""Begins the heading of a parameter: the numbers under it are its bits and values."""
_RUNNING = re.compile(r"序号|序號|行|\b(?:item|row|step|page)\b", re.IGNORECASE)
"""Headers of numbers that count the rows, and are no codes even in a table of faults."""
_COUNTED = re.compile(
    r"phenomen|symptom|problem|question|trouble\b|现象|症状|问题|疑问|現象", re.IGNORECASE
)
"""Headers of what people notice: numbers beside it count the rows of a list of such."""
_VALUES = re.compile(
    r"\b(?:min|max|from|to|default|factory|range|value|unit|length|size|address|bit|byte)s?\b|"
    r"最小|最大|默认|出厂|范围|数值|位",
    re.IGNORECASE,
)
"""Headers of values and places: a number below is no code, wherever the table stands."""
_ELSEWHERE = re.compile(r"\s*(?:possible|related|see|可能|相关)", re.IGNORECASE)
"""Begins a header of codes that another row is about."""
_NO_CODE = re.compile(
    r"BI?TE?\d|BYTE|[\d.]+$"
    r"|(?![A-Z]+(?:CODE|ERR|ERROR|FAULT|ALARM|WARN|WARNING|TRIP|EXC|EVENT|MSG)\d)[A-Z]{5}"
)
"""Bits, values and words with a number: rows are about them, but nobody is told them as a code."""
_SHORT = 3
"""Characters of what may as well be a dimension in a drawing where no header says what it is."""
_TITLE = re.compile(r"[ \t:：,，.、()（）\-–—]*(?:[^\W\d_]{3}|[\u4e00-\u9fff])")
"""What follows a number on its line that it is the number of; not a signal's name, `r2133`."""
BEGINNING = 240
"""Characters within which a passage has the code that it is about."""
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
    name: str
    """Tokens of what it is called, joined by spaces."""
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
    return [_prepared(title, passage) for passage in passages]


def _prepared(title: str, passage: Passage) -> Record:
    found = codes(passage.text)
    return Record(
        passage=passage,
        content=content_of(passage),
        head=head_of(title, passage),
        body=" ".join(tokens(passage.text, found)),
        name=" ".join(tokens(called(passage))),
        codes=tuple(
            (canonical, loose_form(canonical), strength)
            for canonical, strength in passage_codes(passage, found).items()
        ),
    )


def head_of(title: str, passage: Passage) -> str:
    """Return the tokens of title and section; those of the title are given."""
    return " ".join((title, *tokens(passage.section))).strip()


def text_to_embed(title: str, passage: Passage) -> str:
    """Return what the embedding model reads: where it stands, then what it says."""
    return "\n".join(part for part in (title, passage.section, passage.text) if part)


def passage_codes(passage: Passage, there: Sequence[Code] | None = None) -> dict[str, int]:
    """Return the codes of a passage, canonical form and strength.

    Args:
        passage: the passage.
        there: the codes of its text, where they were looked for already.
    """
    found: dict[str, int] = {}
    if passage.kind != "text":
        found |= _alone(passage) | _defined(passage)
    text = passage.text
    for code in codes(text) if there is None else there:
        line = text.rfind("\n", 0, code.start) + 1
        alone = not any(c.isalnum() for c in text[line : code.start])
        leads = passage.kind == "text" and alone and code.start - line <= _LINE_LEAD
        leads = leads and (code.canonical[0] != "#" or _titled(text, code))
        strength = LEADS if leads else MENTIONS
        found[code.canonical] = max(strength, found.get(code.canonical, 0))
    heading = passage.section.rpartition(" > ")[2]
    for code in codes(heading):
        if code.certain:
            # `Fault 18` heads what is about it; `Status word faults/alarms 1` counts its words.
            loose = code.canonical[0] == "#" or code.raw[0].islower()
            named = loose and any(map(str.isalpha, heading[: code.start]))
            strength = MENTIONS if named else LEADS
            found[code.canonical] = max(strength, found.get(code.canonical, 0))
    return found


def _titled(text: str, code: Code) -> bool:
    """Return whether words follow a number on its line: `Fault 2` alone is a box of a diagram."""
    if code.start == 0:
        return True
    return _TITLE.match(text, code.end) is not None


def _alone(passage: Passage) -> dict[str, int]:
    """Return hexadecimal codes that have a cell for themselves: commands, registers."""
    cells = (cell_codes(field.value) for field in passage.fields)
    return {cell[0]: LEADS for cell in cells if len(cell) == 1 and cell[0].startswith("0X")}


def _defined(passage: Passage) -> dict[str, int]:
    """Return the codes a row or entry is about: those under `Code`, else of its first cell."""
    names = [field.name for field in passage.fields]
    # A table that goes on from another page may have a row for its header: that tells nothing.
    headers = [] if names and names[0].strip().isdigit() else names
    about = " ".join([passage.section, *headers])
    about_faults = _FAULTS.search(about) is not None and not _OF_PARAMETER.match(
        passage.section.rpartition(" > ")[2]
    )
    counted = _COUNTED.search(" ".join(names)) is not None
    for said in (True, False):
        for place, field in enumerate(passage.fields):
            if said != (_CODE_HEADER.search(field.name) is not None) or (place and not said):
                continue
            found = cell_codes(field.value)
            bare = all(cell[0] == "#" for cell in found)
            if bare and not said and (_VALUES.search(field.name) or _numbers_alone(passage)):
                continue
            if not found or not (said or (about_faults if bare else all(map(_telling, found)))):
                continue
            of_faults = about_faults and _ELSEWHERE.match(field.name) is None
            sure = of_faults and (said or not counted)
            strengths = {c: _strength(c, field.name, of_faults=sure, said=said) for c in found}
            return strengths | (_numbered(found, field.name) if bare and said else {})
    first = passage.fields[0].value if passage.fields else passage.text[:80]
    leading = [c.canonical for c in codes(first) if c.certain and c.start <= 2]
    if not leading and passage.kind == "entry":
        leading = [c.canonical for c in codes(passage.text[:80]) if c.certain]
    # The rest of an entry over the limit repeats its title, but does not define the code.
    rest = passage.text.partition("\n")[0].endswith("(continued)")
    return dict.fromkeys(leading[:1], LEADS if rest else DEFINES)


def _numbers_alone(passage: Passage) -> bool:
    """Return whether a row has nothing but numbers: it counts the columns of a diagram."""
    return not any(any(map(str.isalpha, field.value)) for field in passage.fields)


def _strength(cell: str, header: str, *, of_faults: bool, said: bool) -> int:
    """Return how surely a cell's code is what its row is about."""
    if cell[0] == "#":
        # A number is a fault's where the table is about faults; else it may be anything: a row's,
        # a command's.
        sure = of_faults and (said or _RUNNING.search(header) is None)
        return DEFINES if sure else MENTIONS
    if _NO_CODE.match(cell):
        sure = False
    else:
        sure = of_faults or (said and _ELSEWHERE.match(header) is None) or len(cell) > _SHORT
    return DEFINES if sure else LEADS


def _numbered(found: Sequence[str], header: str) -> dict[str, int]:
    """Return bare numbers with the mark that their header has for them: `$130` under `$-Code`."""
    said = _PARAMETERS.search(header)
    mark = "$" if "$" in header else "" if said is None else "PR" if said["pr"] else "PAR"
    return {f"{mark}{number[1:]}": DEFINES for number in found} if mark else {}


def _telling(cell: str) -> bool:
    """Return whether a cell looks like a code where no header says that it is one."""
    return any(map(str.isdigit, cell)) and any(map(str.isalpha, cell))


def as_printed(canonical: str, passage: Passage) -> str:
    """Return a code as a passage that has it prints it."""
    for field in passage.fields:
        if canonical in cell_codes(field.value):
            for part in PARTED.split(field.value):
                if cell_code(part) == canonical:
                    return part.strip("*_`'\" \t\n")
    for code in codes(passage.text[:BEGINNING]):
        if code.canonical == canonical and canonical[0] != "#":
            return "".join(code.raw.split())
    return canonical.removeprefix("#")


def title_tokens(document: DocumentRef) -> list[str]:
    """Return the tokens of a document's title, file name and folders, each once.

    Folders tell the product where the file's own name does not: `grbl/csv/error_codes.csv`.
    """
    name = document.file.rpartition(".")[0] or document.file
    words = name.replace("_", " ").replace("/", " ")
    return list(dict.fromkeys(tokens(f"{document.title} {words}")))
