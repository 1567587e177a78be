"""An edge node of Sparkplug B for tests: a writer of payloads independent of the reader."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

INT32, INT64, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING = 3, 4, 8, 9, 10, 11, 12


def varint(value: int) -> bytes:
    value %= 2**64
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def field(number: int, value: Any, *, wire: int | None = None) -> bytes:
    """A field of a message: numbers as varint, floats as double, the rest with its length."""
    match value:
        case float():
            return varint(number << 3 | 1) + struct.pack("<d", value)
        case int():
            return varint(number << 3 | (wire or 0)) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    if wire is not None:
        return varint(number << 3 | wire) + raw
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def metric(name: str = "", value: Any = None, **more: Any) -> bytes:
    """One metric; `alias`, `datatype`, `historical`, `null`, and `raw` for further fields."""
    parts = [field(1, name)] if name else []
    for number, key in ((2, "alias"), (3, "timestamp"), (4, "datatype"), (5, "historical")):
        parts += [field(number, int(more[key]))] if key in more else []
    parts += [field(7, 1)] if more.get("null") else []
    match value:
        case bool():
            parts.append(field(14, int(value)))
        case int() if more.get("datatype") in {INT64, UINT64}:
            parts.append(field(11, value))
        case int():
            parts.append(field(10, value % 2**32))
        case float() if more.get("datatype") == FLOAT:
            parts.append(field(12, struct.pack("<f", value), wire=5))
        case float():
            parts.append(field(13, value))
        case str():
            parts.append(field(15, value))
    return b"".join([*parts, more.get("raw", b"")])


def payload(*metrics: bytes, seq: int | None = None, timestamp: int = 1_700_000_000_000) -> bytes:
    """A whole message."""
    parts = [field(1, timestamp), *(field(2, one) for one in metrics)]
    return b"".join(parts if seq is None else [*parts, field(3, seq)])


def real_data() -> Path | None:
    """The folder of real Sparkplug messages; None where it is not there."""
    roots = [Path(__file__).resolve(), *Path(__file__).resolve().parents]
    given = os.environ.get("ANDON_DATA")
    places = [Path(given)] if given else [root / "shared" / "data" for root in roots]
    found = (place / "mqtt" / "sparkplug_b" for place in places)
    return next((place for place in found if place.is_dir()), None)
