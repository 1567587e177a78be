"""OLE files made by hand: what old Excel and Outlook write, without either."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

SECTOR = 512
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_LEAST = 4096
"""Shorter streams would need a second table."""


@dataclass
class Storage:
    """Streams and further storages by their name."""

    parts: dict[str, bytes | Storage] = field(default_factory=dict)


def write(root: Storage) -> bytes:
    """The file."""
    entries: list[tuple[str, int, int, bytes]] = []
    children: dict[int, list[int]] = {}

    def enter(name: str, part: bytes | Storage) -> int:
        index = len(entries)
        data = part if isinstance(part, bytes) else b""
        entries.append((name, 2 if isinstance(part, bytes) else (1 if index else 5), 0, data))
        if isinstance(part, Storage):
            children[index] = [enter(key, value) for key, value in part.parts.items()]
        return index

    enter("Root Entry", root)
    directory = -(-len(entries) * 128 // SECTOR)
    sectors: list[bytes] = []
    chains: list[int] = []

    def store(data: bytes) -> int:
        first = len(sectors)
        count = -(-len(data) // SECTOR)
        for number in range(count):
            sectors.append(data[number * SECTOR : (number + 1) * SECTOR].ljust(SECTOR, b"\0"))
            chains.append(first + number + 1 if number < count - 1 else END)
        return first

    store(bytes(directory * SECTOR))
    starts = [store(data.ljust(_LEAST, b"\0")) if data else END for *_, data in entries]
    raw = b""
    for index, (name, kind, _, data) in enumerate(entries):
        below = children.get(index, [])
        # A tree that leans to the right: each entry's sibling is the next.
        siblings = next((group for group in children.values() if index in group), [])
        after = siblings[siblings.index(index) + 1 :] if siblings else []
        encoded = (name + "\0").encode("utf-16-le")
        raw += struct.pack(
            "<64sHBBIII16sI8s8sIQ",
            encoded,
            len(encoded),
            kind,
            1,
            FREE,
            after[0] if after else FREE,
            below[0] if below else FREE,
            b"",
            0,
            b"",
            b"",
            starts[index],
            max(len(data), _LEAST) if data else 0,
        )
    raw = raw.ljust(directory * SECTOR, b"\0")
    for number in range(directory):
        sectors[number] = raw[number * SECTOR : (number + 1) * SECTOR]
    tables = 1
    while (len(chains) + tables) > tables * 128:
        tables += 1
    fat = chains + [FAT] * tables
    fat += [FREE] * (tables * 128 - len(fat))
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"",
        0x3E,
        3,
        0xFFFE,
        9,
        6,
        b"",
        0,
        tables,
        0,
        0,
        _LEAST,
        END,
        0,
        END,
        0,
    )
    difat = [len(chains) + n for n in range(tables)] + [FREE] * (109 - tables)
    return (
        header
        + struct.pack("<109I", *difat)
        + b"".join(sectors)
        + struct.pack(f"<{len(fat)}I", *fat)
    )


def workbook(rows: list[list[str | float]], name: str = "Alarms") -> bytes:
    """An .xls file of one sheet (BIFF 8)."""

    def record(kind: int, data: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    body = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0x0DBB, 0x07CC, 0, 0x600))
    for r, cells in enumerate(rows):
        for c, value in enumerate(cells):
            if isinstance(value, str):
                text = value.encode("utf-16-le")
                body += record(0x204, struct.pack("<HHHHB", r, c, 0, len(value), 1) + text)
            else:
                body += record(0x203, struct.pack("<HHHd", r, c, 0, value))
    body += record(0x0A)
    begin = record(0x809, struct.pack("<HHHHII", 0x600, 0x05, 0x0DBB, 0x07CC, 0, 0x600))
    begin += record(0x42, struct.pack("<H", 1200))
    begin += record(
        0x31, struct.pack("<HHHHHBBBBBB", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0, 5, 0) + b"Arial"
    )
    begin += record(0xE0, struct.pack("<HHHBBBBIIH", 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0))
    title = name.encode("latin-1")
    length = len(begin) + 4 + 8 + len(title) + 4
    begin += record(0x85, struct.pack("<IBBBB", length, 0, 0, len(title), 0) + title)
    begin += record(0x0A)
    return write(Storage({"Workbook": begin + body}))


def message(subject: str, sender: str, text: str) -> bytes:
    """A .msg file."""
    parts: dict[str, bytes | Storage] = {"__nameid_version1.0": Storage()}
    values = {0x0037: subject, 0x0C1A: sender, 0x1000: text, 0x001A: "IPM.Note"}
    table = bytes(32)
    for tag, value in values.items():
        data = value.ljust(_LEAST // 2).encode("utf-16-le")
        parts[f"__substg1.0_{tag:04X}001F"] = data
        table += struct.pack("<HHIII", 0x1F, tag, 6, len(data) + 2, 0)
    parts["__properties_version1.0"] = table
    return write(Storage(parts))
