"""What the blocks of an entry add to its parts (pure)."""

from __future__ import annotations

import re

from services.ingest import parameters
from services.ingest.units import Entry, Part

_PART = re.compile(
    r"^[【\[]?(?:description|explanation|index|dependency|values?|recommendation|functions?"
    r"|功能(?:说明|描述)?|参数说明|说明|描述|内容)[】\]]?\s*(?:[:：]\s*|$)",
    re.IGNORECASE,
)
"""What parts of a parameter begin with, beside range, unit and default."""
_NOTE = re.compile(
    r"^[【\[]?(?:notes?|notice|caution|注|注意|备注|提示)[】\]]?\s*[:：]\s*", re.IGNORECASE
)
"""A part too where a parameter's description has a label of its own."""
_DESCRIBED = ("description", "功能说明", "功能描述", "参数说明", "说明", "描述")
_BIT = re.compile(r"(?:bits?|位)\s?\d{1,2}\b", re.IGNORECASE)
SOME = 2
"""Names of parts that make a parameter's lines."""


def add(entry: Entry, index: int, text: str, label: re.Match[str] | None) -> None:
    """Add the text of a block to its part; `label` is what it begins with."""
    line = parameters.within(text) if entry.parameter else None
    if entry.parameter and not label:
        labelled = any(part.name.casefold() in _DESCRIBED for part in entry.parts)
        label = _PART.match(text) or (_NOTE.match(text) if labelled else None)
    if line:
        add_line(entry, index, line)
    elif label:
        name = text[: label.end()].strip(" :：【】[]\n")
        entry.parts.append(Part(name, [(index, text[label.end() :])]))
    elif entry.parts and not (entry.parameter and _is_set(entry.parts[-1])):
        entry.parts[-1].texts.append((index, text))
    else:
        entry.parts.append(Part("Description", [(index, text)]))


def is_line(text: str) -> bool:
    """Return whether a table is of one row, a parameter's range and default."""
    line = None if "\n" in text else parameters.settings(text)
    return line is not None and len(line.parts) >= SOME


def is_bits(text: str) -> bool:
    """Return whether a table lists the bits of a word: what a fault's value means."""
    lines = text.splitlines()
    return bool(lines) and all(map(_BIT.match, lines))


def add_line(entry: Entry, index: int, line: parameters.Line) -> None:
    """Add range, unit and default to a parameter."""
    if line.before:
        entry.parts.append(Part("", [(index, line.before)]))
    entry.parts += [Part(name, [(index, value)]) for name, value in line.parts]
    if line.rest:
        add(entry, index, line.rest, None)


def _is_set(part: Part) -> bool:
    """Return whether a part is a value of a parameter's lines, so that nothing goes on in it."""
    return bool(part.text) and (not part.name or parameters.is_name(part.name))
