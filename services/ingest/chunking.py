"""Elements to passages (pure): running text in pieces, table rows, fault entries."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unstructured.documents.elements import Title

from schemas.retrieval import Field, Passage, PassageKind
from services.ingest import cutting, faults, language, tables, units
from services.ingest.splitting import Count, Unit, split

MAX_ROW_TOKENS = 2048
"""A row or an entry is one passage up to this many tokens; what is longer goes on as text."""
MAX_FIELDS = 32 * 1024
"""Characters of the fields of a passage, with their names: the rest is in its text only."""
MAX_LABEL = 40
"""Characters of a printed page number."""
_TOKEN = 16
"""Characters of a token at most. A tokenizer counts a word of a megabyte, or its blanks, as one:
a passage must end all the same."""
MAX_PATH = 6
"""Levels of a section path that are kept."""
MAX_LEVEL = 160
"""Characters of one level."""


@dataclass(slots=True, frozen=True)
class Sizes:
    """How large passages of running text are, tokens."""

    tokens: int = 512
    """At most in one."""
    overlap: int = 64
    """Of these, repeated from the one before."""


@dataclass(slots=True)
class _Draft:
    """A passage without its place in the document."""

    kind: PassageKind
    text: str
    page: int | None
    label: str
    section: str
    fields: list[Field] = field(default_factory=list)


def passages(
    elements: Sequence[Any],
    count: Count,
    sizes: Sizes | None = None,
    labels: dict[int, str] | None = None,
) -> Iterator[Passage]:
    """Yield the passages of a document: ordinals from 0 without gaps, pages as found.

    Args:
        elements: unstructured's elements in reading order.
        count: Number of tokens in a text, as the embedding model counts them.
        sizes: How large passages of running text are.
        labels: Printed page numbers by physical page.
    """
    labels = labels or {}

    def counted(text: str) -> int:
        return max(count(text), len(text) // _TOKEN)

    for ordinal, draft in enumerate(_drafts(cutting.cut(elements), counted, sizes or Sizes())):
        yield Passage(
            ordinal=ordinal,
            page=draft.page,
            page_label=labels.get(draft.page or 0, "")[:MAX_LABEL],
            section=draft.section,
            kind=draft.kind,
            text=draft.text,
            fields=_fitting(draft.fields),
            lang=language.of(draft.text),
        )


def _drafts(elements: list[Any], count: Count, sizes: Sizes) -> Iterator[_Draft]:
    blocks = [
        units.Block(
            element.text,
            isinstance(element, Title),
            element.metadata.category_depth or 0,
            cutting.is_table(element),
        )
        for element in elements
    ]
    entries: dict[int, units.Entry] = {entry.start: entry for entry in faults.find(blocks)}
    path = _Path()
    text: list[Any] = []
    heads: list[Any] = []
    index = 0
    while index < len(elements):
        element = elements[index]
        entry = entries.get(index)
        if entry is None and not cutting.is_table(element):
            if isinstance(element, Title):
                path.enter(element)
            element.metadata.section_path = path.text
            text.append(element)
            index += 1
            continue
        heads = yield from _running(text, count, sizes)
        text = []
        if entry is not None and isinstance(element, Title):
            path.leave(element.metadata.category_depth or 0)
        yield from _leftover(heads, path.text, count)
        if entry is None:
            yield from _rows(element, path.text, count)
            index += 1
            continue
        above = path.text
        if isinstance(element, Title):
            path.enter(element)
        # A parameter's heading is also its section, whose words weigh more.
        section = path.text if entry.parameter else above
        yield from _entry(entry, elements, section, count)
        below = path.text if path.text != above else _below(above, entry.printed)
        for table in entry.tables:
            yield from _rows(elements[table], below, count)
        index = entry.end
    heads = yield from _running(text, count, sizes)
    yield from _leftover(heads, "", count)


class _Path:
    """The headings above the current place."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, str]] = []

    def enter(self, title: Any) -> None:
        """Go under a heading."""
        depth = title.metadata.category_depth or 0
        self.leave(depth)
        self._levels.append((depth, " ".join(title.text.split())[:MAX_LEVEL]))

    def leave(self, depth: int) -> None:
        """Leave all headings as deep as this, or deeper."""
        while self._levels and self._levels[-1][0] >= depth:
            self._levels.pop()

    @property
    def text(self) -> str:
        """Return the path."""
        return " > ".join(name for _, name in self._levels[-MAX_PATH:])


def _running(elements: list[Any], count: Count, sizes: Sizes) -> Generator[_Draft, None, list[Any]]:
    """Yield passages of running text, one section at a time; return headings without text.

    A heading with nothing below it goes with the section that follows.
    """
    waiting: list[Any] = []
    for section_parts in _sections(elements):
        parts = waiting + section_parts
        if all(isinstance(part, Title) for part in parts):
            waiting = parts
            continue
        waiting = []
        path = getattr(parts[-1].metadata, "section_path", "")
        units = [_unit(part) for part in parts]
        for piece in split(units, count, sizes.tokens, sizes.overlap):
            yield _Draft("text", piece.text, piece.page, piece.label, path)
    return waiting


def _sections(elements: list[Any]) -> Iterator[list[Any]]:
    """Yield the elements between one heading and the next, the heading first."""
    start = 0
    for index, element in enumerate(elements):
        if index > start and isinstance(element, Title):
            yield elements[start:index]
            start = index
    if elements:
        yield elements[start:]


def _leftover(heads: list[Any], following: str, count: Count) -> Iterator[_Draft]:
    """Yield headings that neither text nor the section of what follows repeats."""
    for head in heads:
        name = " ".join(head.text.split())
        if len(name) > MAX_LEVEL or name not in following.split(" > "):
            unit = _unit(head)
            section = getattr(head.metadata, "section_path", "")
            draft = _Draft("text", head.text.strip(), unit.page, unit.label, section)
            yield from _whole(draft, count)


def _unit(element: Any) -> Unit:
    return Unit(element.text, element.metadata.page_number)


def _rows(element: Any, section: str, count: Count) -> Iterator[_Draft]:
    """Yield one passage for each row of a table, with its header."""
    pages = getattr(element.metadata, "row_pages", None) or []
    groups = getattr(element.metadata, "row_groups", None) or []
    index = 0
    for table in tables.understand(tables.from_html(element.metadata.text_as_html)):
        below = _below(section, table.caption)
        if not table.rows and table.header:
            table.rows.append(tables.Row(table.header))
            table.header = []
        for row in table.rows:
            page = pages[index] if index < len(pages) else element.metadata.page_number
            group = groups[index] if index < len(groups) else row.group
            index += 1
            yield from _row(table.header, row.cells, page, _below(below, group), count)


def _row(
    header: list[str], cells: list[str], page: int | None, section: str, count: Count
) -> Iterator[_Draft]:
    text = tables.row_text(header, cells)
    if not text:
        return
    if len(cells) < 2:
        yield from _whole(_Draft("text", text, page, "", section), count)
        return
    if tables.is_bit(header, cells):
        cells = [cells[0].rstrip(" :：=)、,，"), cells[1]]
    names = [*header, *[""] * len(cells)]
    fields = [Field(name, cell) for name, cell in zip(names, cells, strict=False) if cell]
    yield from _whole(_Draft("row", text, page, "", section, fields), count)


def _below(section: str, name: str) -> str:
    name = " ".join(name.split())[:MAX_LEVEL]
    return " > ".join(filter(None, (section, name)))


def _entry(
    entry: units.Entry, elements: Sequence[Any], section: str, count: Count
) -> Iterator[_Draft]:
    """Yield the passage of an entry, whose page is its heading's.

    What is over the limit follows in passages that repeat code and title.
    """
    fields = [Field(name, value) for name, value in entry.fields if value.strip(" -–—")]
    page = elements[entry.start].metadata.page_number
    text = entry.text
    if len(text) <= MAX_ROW_TOKENS or count(text) <= MAX_ROW_TOKENS:
        yield _Draft("entry", text, page, "", section, fields)
        return
    title = (entry.printed or ": ".join(entry.heads[0]))[:MAX_LEVEL]
    again = f"{title} (continued)"
    room = MAX_ROW_TOKENS - count(again)
    lines = [Unit(title, page)]
    for part in entry.parts:
        for number, (block, words) in enumerate(part.texts):
            named = f"{part.name}: {words}" if part.name and not number else words
            lines.append(Unit(named, elements[block].metadata.page_number))
    for number, piece in enumerate(split(lines, count, room, whole=True)):
        if number == 0:
            yield _Draft("entry", piece.text, page, "", section, fields)
            continue
        rest = [Field("Title", again), Field("", piece.text)]
        yield _Draft("entry", f"{again}\n{piece.text}", piece.page, "", section, rest)


def _whole(draft: _Draft, count: Count) -> Iterator[_Draft]:
    """Yield a row as one passage, what is over the limit as running text after it."""
    if len(draft.text) <= MAX_ROW_TOKENS or count(draft.text) <= MAX_ROW_TOKENS:
        yield draft
        return
    for index, piece in enumerate(split([Unit(draft.text, draft.page)], count, MAX_ROW_TOKENS)):
        if index == 0:
            yield replace(draft, text=piece.text)
        else:
            yield replace(draft, kind="text", text=piece.text, fields=[])


def _fitting(fields: list[Field]) -> list[Field]:
    """Return the fields up to their limit, the one that reaches it cut."""
    kept = []
    room = MAX_FIELDS
    for one in fields:
        name = one.name[:MAX_LEVEL]
        room -= len(name) + 1
        if room <= 0:
            break
        kept.append(Field(name, one.value[:room]))
        room -= len(kept[-1].value)
    return kept
