"""Recorded faults again: what a line means and when it is due. Pure: no clock, no socket.

Two forms are read, mixed as they come:

- a message: `{"at": RFC 3339 or seconds, "topic": "…", "payload": object or text}`, the payload
  as `payload_base64` where it is not text;
- a line of the ledger's history: `{"table": "event", "kind": "fault", "received": …, "topic": …,
  "payload": …}`; its other tables and kinds are passed over.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.runtime.errors import Rejected

_TOPIC_BYTES = 65_535  # MQTT 5, 1.5.4
_READ = "read recording"
_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Message:
    """One recorded message."""

    at: float
    """When it came; seconds, only differences count."""
    topic: str
    """Its topic, without wildcards."""
    payload: bytes
    """Its content, as it was."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that cannot be sent."""

    line: int
    """Its number, from 1."""
    reason: str
    """What is wrong with it."""


class _Line(msgspec.Struct):
    """What may stand in a line; anything else is passed over."""

    table: Any = None
    kind: Any = None
    at: Any = None
    received: Any = None
    topic: Any = None
    payload: msgspec.Raw = msgspec.Raw()  # as it was written: an object is sent unchanged
    payload_base64: Any = None


_decode = msgspec.json.Decoder(_Line).decode


def parse(line: bytes) -> Message | None:
    """Return the message of a line; None for a blank one, or one of the history without a fault.

    Raises:
        Rejected: it is neither form; the reason says what is missing.
    """
    if not line.strip():
        return None
    try:
        found = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(_READ, f"not a JSON object: {error}") from error
    if found.table is not None:
        if found.table != "event" or found.kind != "fault":
            return None
        if not found.payload and found.payload_base64 is None:
            return None  # cleared with another alarm by one message, whose line has it
        at = _at(found.received, "received")
    else:
        at = _at(found.at, "at")
    return Message(at, _topic(found.topic), _payload(found))


def read(lines: Iterable[bytes]) -> Iterator[Message | Reject | None]:
    """Yield what each line is: a message, why it is none, or None where it is passed over."""
    for number, line in enumerate(lines, start=1):
        try:
            yield parse(line)
        except Rejected as error:
            yield Reject(number, error.reason)


def record(topic: str, payload: bytes, at: str) -> bytes:
    """Return a message as a line, newline included; `parse` gives it back byte for byte."""
    line: dict[str, Any] = {"at": at, "topic": topic}
    try:
        line["payload"] = payload.decode("utf-8")
    except UnicodeDecodeError:
        line["payload_base64"] = base64.b64encode(payload).decode()
    return _encode(line) + b"\n"


class Timing:
    """When messages are due, in seconds from the first."""

    def __init__(self, speed: float) -> None:
        """`speed` divides the time between messages; 0: everything is due at once."""
        self._speed = speed
        self._first: float | None = None
        self._due = 0.0

    def due(self, at: float) -> float:
        """Return when a message is due; one that was recorded out of order at once."""
        if self._first is None:
            self._first = at
        if self._speed:
            self._due = max(self._due, (at - self._first) / self._speed)
        return self._due


def check_topic(topic: str) -> None:
    """Check that a message can be published on a topic.

    Raises:
        Rejected: it has wildcards or a NUL, or is too long.
    """
    if any(sign in topic for sign in "+#\0"):
        raise Rejected(_READ, f"nothing can be published on {topic[:80]!r}: it has +, # or NUL")
    if len(topic.encode()) > _TOPIC_BYTES:
        raise Rejected(_READ, f"the topic is longer than {_TOPIC_BYTES} bytes")


def _at(value: Any, name: str) -> float:
    seconds = math.nan
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    if not math.isfinite(seconds):
        raise Rejected(_READ, f"`{name}` is {_shown(value)}; allowed: RFC 3339 or seconds")
    return seconds


def _topic(topic: Any) -> str:
    if not isinstance(topic, str) or not topic:
        raise Rejected(_READ, f"`topic` is {_shown(topic)}; allowed: text")
    check_topic(topic)
    return topic


def _payload(line: _Line) -> bytes:
    if line.payload_base64 is not None:
        try:
            return base64.b64decode(line.payload_base64, validate=True)
        except (ValueError, TypeError) as error:
            raise Rejected(_READ, f"`payload_base64`: {error}") from error
    raw = bytes(line.payload)
    if not raw:
        raise Rejected(_READ, "`payload` is missing")
    return msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
