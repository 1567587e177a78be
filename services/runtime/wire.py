"""Messages as they go over the wire: properties out, whole messages in."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.properties import VariableByteIntegers

from services.runtime.messages import NO_PROPERTIES, Delivery, Properties

_LENGTH = struct.Struct("!H")
_EXPIRY = struct.Struct("!BI")
_FOUR = struct.Struct("!I")


def _text(identifier: int, value: str) -> bytes:
    return _binary(identifier, value.encode())


def _binary(identifier: int, value: bytes) -> bytes:
    return bytes((identifier,)) + _LENGTH.pack(len(value)) + value


def pack(properties: Properties) -> bytes:
    """Properties of a PUBLISH as they go over the wire (MQTT 5, 3.3.2.3), length included.

    Raises:
        ValueError: a value is too long for the wire (65,535 bytes) or out of range.
    """
    try:
        parts = []
        if properties.expiry_s is not None:
            parts.append(_EXPIRY.pack(2, properties.expiry_s))
        if properties.content_type is not None:
            parts.append(_text(3, properties.content_type))
        if properties.response_topic is not None:
            parts.append(_text(8, properties.response_topic))
        if properties.correlation is not None:
            parts.append(_binary(9, properties.correlation))
        for name, value in properties.user:
            text = value.encode()
            parts.append(_text(38, name) + _LENGTH.pack(len(text)) + text)
    except struct.error as error:
        raise ValueError(f"a message property does not fit the wire: {error}") from error
    body = b"".join(parts)
    return bytes(VariableByteIntegers.encode(len(body))) + body  # type: ignore[no-untyped-call]


class _Packed(PahoProperties):
    """Properties packed already. paho's own take 50 µs a message to make and to pack."""

    packed: bytes

    def __init__(self, packed: bytes) -> None:
        # paho's constructor builds the tables for its generic packing, which we replace.
        object.__setattr__(self, "packetType", PacketTypes.PUBLISH)
        object.__setattr__(self, "packed", packed)

    def pack(self) -> bytes:
        return self.packed

    def __str__(self) -> str:
        return f"[{len(self.packed)} bytes]"


def outgoing(properties: Properties | None) -> PahoProperties | None:
    """For paho's `publish`. Raises ValueError as `pack`."""
    if properties is None or properties == NO_PROPERTIES:
        return None
    return _Packed(pack(properties))


def read_publish(header: int, packet: bytes) -> tuple[Delivery, int, list[int]]:
    """Take a PUBLISH apart (MQTT 5, 3.3).

    Args:
        header: its first byte.
        packet: what follows the length.

    Returns:
        The message, without token; its message id; the subscriptions the broker sent it for.
        A topic that is not UTF-8 comes as the empty string, which no topic is.

    Raises:
        ValueError: it is not what the standard says.
    """
    try:
        topic, at = _piece(packet, 0)
        mid = 0
        if qos := header >> 1 & 3:
            [mid] = _LENGTH.unpack_from(packet, at)
            at += 2
        properties, identifiers, at = read_properties(packet, at)
    except (struct.error, IndexError) as error:
        raise ValueError(f"a PUBLISH that ends too early: {error}") from error
    try:
        name = topic.decode()
    except UnicodeDecodeError:
        name = ""
    delivery = Delivery(
        topic=name,
        payload=packet[at:],
        qos=qos,
        retain=bool(header & 1),
        duplicate=bool(header & 8),
        properties=properties,
    )
    return delivery, mid, identifiers


def read_properties(packet: bytes, at: int) -> tuple[Properties, list[int], int]:
    """Return the properties that begin at a place, subscription identifiers, and where they end.

    Raises:
        ValueError: one that no PUBLISH has, or they end in the middle of one.
        struct.error, IndexError: the packet ends too early.
    """
    length, at = _number(packet, at)
    end = at + length
    if end > len(packet):
        raise ValueError("the properties end behind the packet")
    identifiers: list[int] = []
    user: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    while at < end:
        if (kind := packet[at]) not in _READ:
            raise ValueError(f"a PUBLISH with property {kind}")
        name, read = _READ[kind]
        value, at = read(packet, at + 1)
        if name == "identifier":
            identifiers.append(value)
        elif name == "user":
            user.append(value)
        elif name:
            found[name] = value
    if at != end:
        raise ValueError("a property ends behind the properties")
    if not (user or found):
        return NO_PROPERTIES, identifiers, at
    return Properties(**found, user=tuple(user)), identifiers, at


def _piece(packet: bytes, at: int) -> tuple[bytes, int]:
    """Return what stands at a place with its length before it, and where it ends."""
    [length] = _LENGTH.unpack_from(packet, at)
    at += 2
    if at + length > len(packet):
        raise ValueError("a text ends behind the packet")
    return packet[at : at + length], at + length


def _number(packet: bytes, at: int) -> tuple[int, int]:
    """Return the number of one to four bytes at a place (MQTT 5, 1.5.5), and where it ends."""
    value = 0
    for shift in (0, 7, 14, 21):
        byte, at = packet[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than four bytes")


def _text_at(packet: bytes, at: int) -> tuple[str, int]:
    piece, at = _piece(packet, at)
    return piece.decode(), at


def _pair(packet: bytes, at: int) -> tuple[tuple[str, str], int]:
    name, at = _text_at(packet, at)
    value, at = _text_at(packet, at)
    return (name, value), at


def _seconds(packet: bytes, at: int) -> tuple[int, int]:
    return _FOUR.unpack_from(packet, at)[0], at + 4


_READ: dict[int, tuple[str, Callable[[bytes, int], tuple[Any, int]]]] = {
    1: ("", lambda _packet, at: (None, at + 1)),  # payload format
    2: ("expiry_s", _seconds),
    3: ("content_type", _text_at),
    8: ("response_topic", _text_at),
    9: ("correlation", _piece),
    11: ("identifier", _number),
    35: ("", lambda _packet, at: (None, at + 2)),  # topic alias; we allow none
    38: ("user", _pair),
}
"""The properties of a PUBLISH (MQTT 5, 2.2.2.2) and how they are read."""
