"""The registry as an AsyncAPI 3.0.0 document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from schemas import shapes, topics
from schemas.channel import DEFAULT_PREFIX, Channel, Rpc
from schemas.channels import CHANNELS, PROBLEM, REPLY, RPCS

VERSION = "1.0.0"
"""Version of the wire, by semantic versioning: a reader of 1.0 understands every 1.x."""

PARAMETERS = {
    "machine": "The machine's name in its topic; other topics by `triggers:` in config.yaml.",
    "client": "Name of the asking client, such as `scanner3`.",
    "answer_id": "The `id` of the answer that is spoken of.",
    "asset": "The machine, topic levels such as `plant/motor7`; `ask/<client>` where a person "
    "asked. May have several levels.",
    "area": "The part of the plant, topic levels. May have several.",
    "doc_id": "The library's id of the document.",
    "service": "Name of the service, such as `retriever`.",
    "client_id": "MQTT client id of the asking service.",
}
"""What the parameters of the addresses mean."""

_ABOUT = (
    "Andon answers machine faults from the plant's own manuals. Public topics carry JSON in "
    "UTF-8; requests between services carry MessagePack of the same shapes. The first level "
    f"`{DEFAULT_PREFIX}` is the key `prefix` of config.yaml. Generated from schemas/; change it "
    "there."
)
_MIME_JSON, _MIME_MSGPACK = "application/json", "application/vnd.msgpack"
_MESSAGE_BINDING = "0.2.0"
_OPERATION_BINDING = "0.2.0"


def document() -> dict[str, Any]:
    """Return the contract as an AsyncAPI 3.0.0 document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Andon",
            "version": VERSION,
            "description": _ABOUT,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": _MIME_JSON,
        "servers": {
            "plain": _server("mqtt", "1883", "The broker, inside the plant's network."),
            "tls": _server("mqtts", "8883", "The broker over TLS."),
        },
        "channels": {
            **{channel.name: _channel(channel) for channel in CHANNELS},
            **{_name(rpc): _rpc_channel(rpc) for rpc in RPCS},
        },
        "operations": dict(_operations()),
        "components": {
            "messages": _messages(),
            "schemas": shapes.components(_types(), "#/components/schemas/{name}"),
        },
    }


def _server(protocol: str, port: str, description: str) -> dict[str, Any]:
    return {
        "host": "{host}:{port}",
        "protocol": protocol,
        "protocolVersion": "5.0",
        "description": f"{description} Clients of public topics may speak MQTT 3.1.1.",
        "variables": {
            "host": {"default": "localhost", "description": "Name or address of the box."},
            "port": {"default": port, "description": "TCP port of the broker."},
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    # A wildcard is a subscription, not an address: here each level has a name.
    address = channel.address.replace("+", "{machine}")
    found: dict[str, Any] = {
        "address": f"{DEFAULT_PREFIX}/{address}" if channel.prefixed else address,
        "summary": channel.summary,
        "messages": {name: _ref("components", "messages", name) for name in _carried(channel)},
    }
    names = re.findall(r"\{(\w+)\}", address)
    if names:
        found["parameters"] = {name: {"description": PARAMETERS[name]} for name in names}
    return found


def _rpc_channel(rpc: Rpc) -> dict[str, Any]:
    name = _packed(rpc.request)
    return {
        "address": rpc.topic(),
        "summary": rpc.summary,
        "messages": {name: _ref("components", "messages", name)},
    }


def _carried(channel: Channel) -> list[str]:
    """Return the names of the messages a channel carries."""
    if channel is REPLY:
        kinds = [kind for rpc in RPCS for kind in _replies(rpc)] + [PROBLEM]
        return list(dict.fromkeys(_packed(kind) for kind in kinds))
    return [channel.type.__name__ if topics.is_message(channel.type) else f"{channel.name}_payload"]


def _replies(rpc: Rpc) -> tuple[Any, ...]:
    """Return the structs a reply may be, each piece of a streamed one."""
    return get_args(rpc.reply) or (rpc.reply,)


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for channel in CHANNELS:
        if channel is REPLY:
            continue
        mqtt = {"qos": channel.qos, "bindingVersion": _OPERATION_BINDING}
        common: dict[str, Any] = {
            "channel": _ref("channels", channel.name),
            "summary": channel.summary,
            "messages": [_ref("channels", channel.name, "messages", n) for n in _carried(channel)],
        }
        yield (
            f"{channel.owner}_sends_{channel.name}",
            {
                "action": "send",
                **common,
                "bindings": {"mqtt": {**mqtt, "retain": channel.retain}},
            },
        )
        for reader in channel.readers:
            yield (
                f"{reader}_receives_{channel.name}",
                {"action": "receive", **common, "bindings": {"mqtt": mqtt}},
            )
    for rpc in RPCS:
        yield f"{rpc.service}_answers_{rpc.verb}", _request(rpc)


def _request(rpc: Rpc) -> dict[str, Any]:
    replies = [_packed(kind) for kind in (*_replies(rpc), PROBLEM)]
    description = (
        "The MQTT 5 message expiry is the deadline; the reply goes to the response topic with "
        "the same correlation data. `Problem` comes instead of a reply when the request failed."
    )
    if rpc.streamed:
        description += " Several replies come; an empty one follows the last."
    return {
        "action": "receive",
        "channel": _ref("channels", _name(rpc)),
        "summary": rpc.summary,
        "description": description,
        "messages": [_ref("channels", _name(rpc), "messages", _packed(rpc.request))],
        "bindings": {"mqtt": {"qos": 1, "bindingVersion": _OPERATION_BINDING}},
        "reply": {
            "channel": _ref("channels", REPLY.name),
            "messages": [_ref("channels", REPLY.name, "messages", name) for name in replies],
        },
    }


def _name(rpc: Rpc) -> str:
    return f"rpc_{rpc.service}_{rpc.verb}"


def _packed(kind: type) -> str:
    """Return the name of a struct's message in MessagePack, where its JSON form has one too."""
    public = any(channel.type is kind for channel in CHANNELS)
    return f"{kind.__name__}_msgpack" if public else kind.__name__


def _ref(*steps: str) -> dict[str, str]:
    return {"$ref": "/".join(("#", *steps))}


def _types() -> list[Any]:
    public = [channel.type for channel in CHANNELS if topics.is_message(channel.type)]
    return [*public, *(kind for rpc in RPCS for kind in (rpc.request, *_replies(rpc))), PROBLEM]


def _messages() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for channel in CHANNELS:
        if topics.is_message(channel.type):
            found[channel.type.__name__] = _message(channel.type, channel.content_type)
        elif channel is not REPLY:
            found[f"{channel.name}_payload"] = _plain(channel)
    for rpc in RPCS:
        response = {
            "responseTopic": {"type": "string", "description": "Where the reply goes."},
            "correlationData": {"type": "string", "description": "Comes back with the reply."},
        }
        found[_packed(rpc.request)] = _message(rpc.request, _MIME_MSGPACK, **response)
    correlation = {
        "correlationData": {"type": "string", "description": "The request's, unchanged."}
    }
    for kind in (*(kind for rpc in RPCS for kind in _replies(rpc)), PROBLEM):
        found[_packed(kind)] = _message(kind, _MIME_MSGPACK, **correlation)
    return dict(sorted(found.items()))


def _message(kind: type, content_type: str, **properties: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": (kind.__doc__ or "").strip(),
        "contentType": content_type,
        "payload": _ref("components", "schemas", kind.__name__),
    }
    if properties:
        mqtt = {**properties, "bindingVersion": _MESSAGE_BINDING}
        found["bindings"] = {"mqtt": mqtt}
    return found


def _plain(channel: Channel) -> dict[str, Any]:
    """Return the message of a channel that carries no struct."""
    if channel.encoding == "text":
        return {
            "summary": channel.summary,
            "contentType": "text/plain; charset=utf-8",
            "payload": {"type": "string"},
        }
    return {
        "summary": channel.summary,
        "payload": {"type": ["object", "string", "number"]},
    }
