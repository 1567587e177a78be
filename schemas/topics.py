"""The registry as a table for people, kept between two markers of the README."""

from __future__ import annotations

import re

import msgspec

from schemas.channel import DEFAULT_PREFIX, Channel
from schemas.channels import CHANNELS, REPLY

BEGIN, END = "<!-- topics:begin -->", "<!-- topics:end -->"

_NAMES = {"plc": "PLC", "client": "anyone", "service": "each service"}
_HEADER = """\
| topic | from → to | what | payload | QoS | retained |
|---|---|---|---|---|---|
"""
_RPC = (
    f"| `{DEFAULT_PREFIX}/rpc/<service>/<verb>` | service → service | "
    "A request; the reply comes on the MQTT 5 response topic. | MessagePack | 1 | no |\n"
)


def table() -> str:
    """Return the topics as a Markdown table; the parameters stand in angle brackets."""
    rows = [_row(channel) for channel in CHANNELS if channel is not REPLY]
    return _HEADER + "".join(rows) + _RPC


def _row(channel: Channel) -> str:
    topic = re.sub(r"\{(\w+)\}", r"<\1>", channel.address)
    if channel.prefixed:
        topic = f"{DEFAULT_PREFIX}/{topic}"
    owner = _NAMES.get(channel.owner, channel.owner)
    readers = ", ".join(_NAMES.get(reader, reader) for reader in channel.readers)
    retained = "yes" if channel.retain else "no"
    return (
        f"| `{topic.replace('_', ' ')}` | {owner} → {readers} | {channel.summary} | "
        f"{_payload(channel)} | {channel.qos} | {retained} |\n"
    )


def _payload(channel: Channel) -> str:
    if is_message(channel.type):
        return f"JSON [`{channel.type.__name__}`](docs/schemas/{channel.type.__name__}.json)"
    return "UTF-8 text" if channel.encoding == "text" else "JSON, text or number"


def is_message(kind: object) -> bool:
    """Return whether a channel's type is a struct, not plain text or bytes."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def written_into(text: str) -> str:
    """Return a text with the table between its markers; unchanged where it has none.

    Raises:
        ValueError: only one of the markers is there, or they are in the wrong order.
    """
    if BEGIN not in text and END not in text:
        return text
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{BEGIN} and {END} belong together, in this order")
    return f"{before}{BEGIN}\n{table()}{END}{after}"
