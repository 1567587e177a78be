"""What a channel and a request are: their topics, made and read back, and their messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec

Encoding = Literal["json", "text", "msgpack", "any"]

DEFAULT_PREFIX = "andon"

_PARAMETER = re.compile(r"\{(\w+)\}")
_MANY_LEVELS = ("asset", "area", "client")
_FORBIDDEN = re.compile("[+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
MAX_LEVELS = 200
"""Topic levels Mosquitto takes; a publisher of more is disconnected."""
MAX_TOPIC = 1024
"""Characters of a topic we publish on."""


class Undecodable(msgspec.DecodeError):
    """A payload that is no message of its channel, for a reason msgspec has no error for."""


def topic_trouble(topic: str) -> str:
    """Return why a broker would not take this topic for publishing; empty where it would.

    A broker closes the connection of whoever publishes on a topic with control characters
    (MQTT 5, 1.5.4 and 3.3.2.1) or too many levels: a topic from outside is looked at first.
    """
    if not topic:
        return "it is empty"
    if _FORBIDDEN.search(topic):
        return "it has +, # or control characters"
    if len(topic) > MAX_TOPIC:
        return f"it is longer than {MAX_TOPIC} characters"
    if topic.count("/") >= MAX_LEVELS:
        return f"it has more than {MAX_LEVELS} levels"
    return ""


@cache
def _pattern(address: str) -> re.Pattern[str]:
    """Return what the topics of an address look like."""
    text = re.sub(
        r"\\\{(\w+)\\\}",
        lambda m: f"(?P<{m[1]}>{'.+' if m[1] in _MANY_LEVELS else '[^/]+'})",
        re.escape(address),
    )
    return re.compile(text, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of topic."""

    name: str
    """Name in code and documents."""
    address: str
    """Topic with parameters in braces; the prefix is not part of it."""
    type: Any
    """Message struct, or `str` for plain text, or `bytes` where anything may come."""
    encoding: Encoding
    """How it is written on the wire."""
    owner: str
    """Who publishes it: a service, or `plc`, `client`, `service` (each its own)."""
    readers: tuple[str, ...]
    """Who is meant to read it."""
    summary: str
    """One line for the documents."""
    qos: int = 1
    """MQTT quality of service."""
    retain: bool = False
    """Whether the last message stands for late subscribers."""
    prefixed: bool = True
    """Whether the configurable prefix comes before it."""

    def topic(self, prefix: str = DEFAULT_PREFIX, **parameters: str) -> str:
        """Return the topic for these parameters.

        Raises:
            ValueError: a parameter is missing, empty, has wildcards or control characters in it,
                or `/` where it stands for one level; or the topic is too long.
        """

        def value(match: re.Match[str]) -> str:
            name = match[1]
            text = parameters.get(name, "")
            levels = name in _MANY_LEVELS
            if not text or _FORBIDDEN.search(text) or ("/" in text and not levels):
                what = "topic levels" if levels else "one topic level"
                raise ValueError(f"{self.name}: {name} must be {what}, found {text!r}")
            return text

        topic = self._prefixed(prefix, _PARAMETER.sub(value, self.address))
        if "{" in self.address and (why := topic_trouble(topic)):
            raise ValueError(f"{self.name}: {why}")
        return topic

    def filter(self, prefix: str = DEFAULT_PREFIX) -> str:
        """Return the subscription that covers all its topics."""
        text = _PARAMETER.sub(lambda m: "#" if m[1] in _MANY_LEVELS else "+", self.address)
        return self._prefixed(prefix, text)

    def parameters(self, topic: str, prefix: str = DEFAULT_PREFIX) -> dict[str, str] | None:
        """Return the parameters a topic was made with, None where it is not of this channel."""
        match = _pattern(self._prefixed(prefix, self.address)).fullmatch(topic)
        return match.groupdict() if match else None

    def encode(self, message: Any) -> bytes:
        """Return the message as it goes on the wire."""
        if self.encoding == "json":
            return msgspec.json.encode(message)
        if self.encoding == "msgpack":
            return msgspec.msgpack.encode(message)
        return message.encode() if isinstance(message, str) else bytes(message)

    def decode(self, payload: bytes) -> Any:
        """Return the typed message.

        Raises:
            msgspec.ValidationError: the shape is wrong; names the field's path.
            msgspec.DecodeError: not JSON, MessagePack or UTF-8 at all, or nested without end.
        """
        try:
            if self.encoding == "json":
                return msgspec.json.decode(payload, type=self.type)
            if self.encoding == "msgpack":
                return msgspec.msgpack.decode(payload, type=self.type)
            return payload.decode() if self.encoding == "text" else payload
        except UnicodeDecodeError as error:
            raise Undecodable(f"not UTF-8: {error}") from error
        except RecursionError as error:
            raise Undecodable("nested too deeply") from error

    @property
    def content_type(self) -> str:
        """Return the MIME type for MQTT 5's content type property."""
        return {
            "json": "application/json",
            "msgpack": "application/vnd.msgpack",
            "text": "text/plain; charset=utf-8",
            "any": "application/octet-stream",
        }[self.encoding]

    def _prefixed(self, prefix: str, rest: str) -> str:
        return f"{prefix}/{rest}" if self.prefixed else rest


@dataclass(frozen=True, slots=True)
class Rpc:
    """A request one service answers for the others, MQTT 5 response topic and correlation data."""

    service: str
    """Who answers."""
    verb: str
    """What is asked."""
    request: Any
    """Request struct."""
    reply: Any
    """Reply struct, or the union a streamed reply is made of."""
    summary: str
    """One line for the documents."""
    streamed: bool = False
    """Whether several replies come, ended by the last."""

    @property
    def name(self) -> str:
        """Return `service/verb`."""
        return f"{self.service}/{self.verb}"

    def topic(self, prefix: str = DEFAULT_PREFIX) -> str:
        """Return the topic requests go to."""
        return f"{prefix}/rpc/{self.service}/{self.verb}"
