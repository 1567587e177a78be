"""Parameters that are described together: each gets what is said of all of them (pure).

Manuals print the codes of like parameters one below the other, each with its own range or none,
and then describe them once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from services.ingest import parameters
from services.ingest.units import Entry, Part

MAX_COPIED = 3000
"""Characters of a description that each of its parameters repeats: those of a longer one are an
entry together."""


def shared(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the entries, those of parameters with what they share."""
    start = 0
    while start < len(entries):
        end = start + 1
        while end < len(entries) and _leads(entries[end - 1], entries[end]):
            end += 1
        yield from _group(entries[start:end])
        start = end


def _leads(entry: Entry, following: Entry) -> bool:
    """Return whether what follows `following` is said of `entry` as well."""
    if not (entry.parameter and following.parameter) or entry.end != following.start:
        return False
    if parameters.RESERVED.fullmatch(entry.heads[-1][1]) or _described(entry):
        return False
    own, other = _values(entry), _values(following)
    if not own.keys() & {"range", "unit"}:
        return True
    options = next((part.text for part in following.parts if not _is_set(part)), "")
    if options and parameters.is_option(options):
        return own == other
    return own.get("unit", own.get("range")) == other.get("unit", other.get("range"))


def _group(members: Sequence[Entry]) -> Iterator[Entry]:
    last = members[-1]
    told = [part for part in last.parts if not _is_set(part)]
    for member, following in reversed(list(pairwise(members))):
        if not _values(member).keys() & {"range", "unit"}:
            have = _values(member)
            lines = [part for part in following.parts if _is_set(part)]
            member.parts += [part for part in lines if parameters.kind(part.name) not in have]
    if sum(len(part.text) for part in told) > MAX_COPIED and len(members) > 1:
        yield _together(members, told)
        return
    for member in members[:-1]:
        member.parts += told
    yield from members


def _together(members: Sequence[Entry], told: list[Part]) -> Entry:
    """Return one entry of all the parameters."""
    first, last = members[0], members[-1]
    codes = ", ".join(member.heads[0][1] for member in members)
    names = " / ".join(dict.fromkeys(member.heads[1][1] for member in members))
    entry = Entry(first.start, last.end, [("Code", codes), ("Name", names)], first.printed)
    entry.parts = [part for part in first.parts if _is_set(part)]
    for member in members[1:]:
        lines = [f"{part.name}: {part.text}" for part in member.parts if _is_set(part)]
        words = "; ".join([member.heads[1][1], *lines])
        entry.parts.append(Part(member.heads[0][1], [(member.start, words)]))
    entry.parts += told
    entry.tables = [table for member in members for table in member.tables]
    return entry


def _described(entry: Entry) -> bool:
    return any(part.text and not _is_set(part) for part in entry.parts) or bool(entry.tables)


def _is_set(part: Part) -> bool:
    return not part.name or parameters.is_name(part.name)


def _values(entry: Entry) -> dict[str, str]:
    """Return what is set for a parameter by the kind of the names."""
    return {
        parameters.kind(part.name): "".join(part.text.split()).rstrip("*")
        for part in entry.parts
        if _is_set(part)
    }
