"""Sparkplug B on the wire: topics, payloads, and the request for a rebirth (pure).

A reader of our own for the one protobuf message Sparkplug has, `Payload` of Eclipse Tahu's
sparkplug_b.proto: what a fault needs, and nothing else. Metrics with tables and templates as
values are read as having none.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import msgspec

from services.runtime.errors import Rejected

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
"""The metric that tells an edge node to send its births again (Sparkplug 3.0, 6.4.24)."""

Value = str | int | float | bool | bytes | None
Kind = Literal["BIRTH", "DATA", "DEATH"]

_DO = "read Sparkplug message"
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
"""Bits of Int8, Int16, Int32, Int64 by data type: they travel as unsigned two's complement."""
_BOOLEAN = 11
_COMPRESSED = "SPBV1.0_COMPRESSED"
_MAX_FIELD = 2**29 - 1
_MASK_64 = 2**64 - 1


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Who a message is from and what it is."""

    group: str
    """Group id."""
    edge: str
    """Edge node id."""
    device: str = ""
    """Device id; empty for the edge node itself."""
    kind: Kind
    """What it tells."""

    @property
    def asset(self) -> str:
        """Return the place of the machine: `<group>/<edge>[/<device>]`."""
        return "/".join(filter(None, (self.group, self.edge, self.device)))


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a payload."""

    name: str = ""
    """Name; empty where only the alias is sent."""
    alias: int | None = None
    """Number that stands for the name since the birth."""
    timestamp: int | None = None
    """When the value was taken, milliseconds since 1970."""
    datatype: int | None = None
    """Index of the Sparkplug data type; often in the birth only."""
    is_historical: bool = False
    """Whether the value is an old one, sent late."""
    is_null: bool = False
    """Whether it says that there is no value."""
    value: Value = None
    """The value; integers are signed only where `datatype` says so. None for null, tables,
    templates."""


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A message's content."""

    timestamp: int | None = None
    """When it was sent, milliseconds since 1970."""
    seq: int | None = None
    """Number of the message, 0 to 255; None in a death of an edge node."""
    metrics: tuple[Metric, ...] = ()
    """The values, in the order they were sent."""


def address(topic: str) -> Address | None:
    """Return who a topic speaks of; None for commands and states of hosts, which are not ours.

    Raises:
        Rejected: not a topic of Sparkplug B.
    """
    levels = topic.split("/")
    if levels[0] == NAMESPACE and len(levels) > 2:
        if levels[1] == "STATE" or levels[2] in {"STATE", "NCMD", "DCMD"}:
            return None
        source, kind = levels[2][:1], levels[2][1:]
        known = source in {"N", "D"} and kind in {"BIRTH", "DATA", "DEATH"}
        # Some edge nodes send N messages for a device: the level is there, so it counts.
        if known and all(levels) and len(levels) in ((4, 5) if source == "N" else (5,)):
            return Address(
                group=levels[1],
                edge=levels[3],
                device=levels[4] if len(levels) == 5 else "",
                kind=cast("Kind", kind),
            )
    raise Rejected(
        _DO,
        f"the topic {topic[:80]!r} is not one of Sparkplug B",
        f"publish on {NAMESPACE}/<group>/<NBIRTH, NDATA, DBIRTH, DDATA, …>/<edge>[/<device>]",
    )


def decode(payload: bytes) -> Payload:
    """Return what a payload says.

    Raises:
        Rejected: damaged, or compressed.
    """
    timestamp: int | None = None
    seq: int | None = None
    metrics: list[Metric] = []
    for number, wire, value in _fields(payload):
        match number, wire:
            case 1, 0:
                timestamp = cast("int", value)
            case 2, 2:
                metrics.append(_metric(cast("bytes", value)))
            case 3, 0:
                seq = cast("int", value)
            case 4, 2 if value == _COMPRESSED.encode():
                hint = "switch compression off in the edge node"
                raise Rejected(_DO, "the payload is compressed", hint)
    return Payload(timestamp=timestamp, seq=seq, metrics=tuple(metrics))


def signed(value: Value, datatype: int | None) -> Value:
    """Return an integer with the sign its data type gives it; anything else unchanged."""
    bits = _SIGNED.get(datatype or 0)
    if bits is None or type(value) is not int:
        return value
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def rebirth(timestamp: int) -> bytes:
    """Return the command that asks an edge node for its births.

    Args:
        timestamp: now, milliseconds since 1970.
    """
    name = REBIRTH.encode()
    metric = b"".join(
        (
            _key(1, _LEN) + _varint(len(name)) + name,
            _key(3, _VARINT) + _varint(timestamp),
            _key(4, _VARINT) + _varint(_BOOLEAN),
            _key(14, _VARINT) + _varint(1),
        )
    )
    # No sequence number: a command must not have one (tck-id-payloads-ncmd-seq).
    return _key(1, _VARINT) + _varint(timestamp) + _key(2, _LEN) + _varint(len(metric)) + metric


def rebirth_topic(group: str, edge: str) -> str:
    """Return where the command goes."""
    return f"{NAMESPACE}/{group}/NCMD/{edge}"


def _text(raw: Any) -> str:
    try:
        return cast("bytes", raw).decode()
    except UnicodeDecodeError as error:
        raise Rejected(_DO, f"a name or text is not UTF-8: {error.reason}") from error


def _low_32(raw: Any) -> int:
    # Some writers extend the sign of an Int32 to 64 bits; the field has 32.
    return int(raw) & 0xFFFF_FFFF


def _nothing(_raw: Any) -> None:
    return None


_METRIC: dict[tuple[int, int], tuple[str, Callable[[Any], Value]]] = {
    (1, _LEN): ("name", _text),
    (2, _VARINT): ("alias", int),
    (3, _VARINT): ("timestamp", int),
    (4, _VARINT): ("datatype", _low_32),
    (5, _VARINT): ("is_historical", bool),
    (7, _VARINT): ("is_null", bool),
    (10, _VARINT): ("value", _low_32),
    (11, _VARINT): ("value", int),
    (12, _I32): ("value", lambda raw: struct.unpack("<f", raw)[0]),
    (13, _I64): ("value", lambda raw: struct.unpack("<d", raw)[0]),
    (14, _VARINT): ("value", bool),
    (15, _LEN): ("value", _text),
    (16, _LEN): ("value", bytes),
    (17, _LEN): ("value", _nothing),
    (18, _LEN): ("value", _nothing),
    (19, _LEN): ("value", _nothing),
}
"""Fields of a metric by number and wire type; others, and other wire types, are skipped."""


def _metric(data: bytes) -> Metric:
    found: dict[str, Any] = {}
    for number, wire, raw in _fields(data):
        if known := _METRIC.get((number, wire)):
            name, read = known
            found[name] = read(raw)
    value = None if found.get("is_null") else found.get("value")
    return Metric(**{**found, "value": signed(value, found.get("datatype"))})


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield number, wire type and raw value of each field of a protobuf message.

    Nothing is nested here: a message inside is bytes until somebody reads it, so no input can
    make the reader go deeper than a metric in a payload.
    """
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number <= _MAX_FIELD:
            raise Rejected(_DO, f"damaged: field number {number} at byte {at}")
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            yield number, wire, value
            continue
        if wire == _LEN:
            size, at = _read_varint(data, at)
        elif wire in {_I64, _I32}:
            size = 8 if wire == _I64 else 4
        else:
            raise Rejected(_DO, f"damaged: wire type {wire} at byte {at}")
        if size > len(data) - at:
            raise Rejected(_DO, f"cut off: {size} bytes announced, {len(data) - at} are left")
        yield number, wire, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of up to 64 bits and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Rejected(_DO, "cut off inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK_64, at
    raise Rejected(_DO, f"damaged: a number longer than 10 bytes at byte {at}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)
