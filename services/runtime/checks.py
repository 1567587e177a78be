"""Values of config.yaml that have the right type and still cannot work. Pure.

Everything here would otherwise show up later, as a box that does not connect, or a trigger that
never fires.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from services.runtime.explain import Step, shown

if TYPE_CHECKING:
    from services.runtime.config import Alarms, Broker, Config, Trigger

Trouble = tuple[list[Step], str]
"""Where, and what was found and is allowed there."""

_BROKERS = "mqtt://host:1883, mqtts://host:8883 or unix:///run/mosquitto/mqtt.sock"
_SERVERS = "http://host:8080 or https://host:8443"
_MAX_TOPIC = 65535  # bytes; MQTT 5, 1.5.4
_SHORTEST_LEASE_S = 1.0  # less, and a worker that is busy for a moment loses its job to another


def troubles(config: Config) -> Iterator[Trouble]:
    """Yield everything that cannot work, in the order of the file."""
    yield from _not_finite(config, [])
    yield from _broker(config.broker)
    orchestrator = config.orchestrator
    for number, trigger in enumerate(orchestrator.triggers):
        for steps, text in _trigger(trigger, config.prefix):
            yield ["orchestrator", "triggers", number, *steps], text
    if orchestrator.lease_s < _SHORTEST_LEASE_S:
        yield (
            ["orchestrator", "lease_s"],
            f"found {orchestrator.lease_s:g}; allowed: a number, at least {_SHORTEST_LEASE_S:g}",
        )
    yield from _alarms(orchestrator.alarms)
    embedding = config.retriever.embedding
    yield from _server(["retriever", "embedding", "url"], embedding.url)
    if embedding.backend == "llama-server" and not embedding.url:
        yield (
            ["retriever", "embedding", "backend"],
            f"found llama-server without an address; allowed with `url` beside it: {_SERVERS}",
        )
    yield from _server(["retriever", "rerank_url"], config.retriever.rerank_url)
    yield from _server(["llm_bridge", "url"], config.llm_bridge.url)
    ingest = config.ingest
    if ingest.overlap_tokens >= ingest.chunk_tokens:
        found = f"found {ingest.overlap_tokens} with chunk_tokens {ingest.chunk_tokens}"
        yield ["ingest", "overlap_tokens"], f"{found}; allowed: less than chunk_tokens"


def _alarms(alarms: Alarms) -> Iterator[Trouble]:
    where: list[Step] = ["orchestrator", "alarms"]
    if alarms.stale_after_s < alarms.flood_window_s:
        # Otherwise an alarm could be stale and still counted as new.
        found = f"found {alarms.stale_after_s:g} with flood_window_s {alarms.flood_window_s:g}"
        yield [*where, "stale_after_s"], f"{found}; allowed: at least flood_window_s"
    if alarms.flood_fewer_than > alarms.flood_more_than:
        # Otherwise a flood would begin and end with every alarm.
        found = f"found {alarms.flood_fewer_than} with flood_more_than {alarms.flood_more_than}"
        yield [*where, "flood_fewer_than"], f"{found}; allowed: at most flood_more_than"


def _not_finite(section: msgspec.Struct, steps: list[Step]) -> Iterator[Trouble]:
    """Find `.inf`: it passes every lower bound, and no timer can count it."""
    for name in section.__struct_fields__:
        value: Any = getattr(section, name)
        if isinstance(value, msgspec.Struct):
            yield from _not_finite(value, [*steps, name])
        elif isinstance(value, float) and not math.isfinite(value):
            yield [*steps, name], f"found {value}; allowed: a number with an end"


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address, None where it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.port != 0 and not re.search(r"\s", url)
    except ValueError:
        return None
    return parts if usable else None


def _broker(broker: Broker) -> Iterator[Trouble]:
    parts = _split(broker.url)
    if "@" in broker.url:
        # The address is not repeated: it holds a password, and this text ends in a log.
        text = "found a user name in it; allowed: the keys username and password_file instead"
        yield ["broker", "url"], text
    elif parts is None or not _reaches_broker(parts):
        yield ["broker", "url"], f"found {shown(broker.url)}; allowed: {_BROKERS}"
    yield from _tls(broker)
    yield from _secrets(broker)


def _tls(broker: Broker) -> Iterator[Trouble]:
    if bool(broker.cert) != bool(broker.key):
        given, other = ("cert", "key") if broker.cert else ("key", "cert")
        yield ["broker", given], f"found it without `{other}`; allowed: both, or neither"
    if not broker.url.startswith("mqtts:"):
        for name in ("ca", "cert", "key"):
            if getattr(broker, name):
                text = "found without TLS; allowed: with an url that begins with mqtts:// only"
                # Without this the connection would go out unencrypted, and nobody would notice.
                yield ["broker", name], text


def _secrets(broker: Broker) -> Iterator[Trouble]:
    if broker.password and broker.password_file:
        yield ["broker", "password"], "found with password_file; allowed: one of the two"
    for name in ("username", "password_file"):
        value: str = getattr(broker, name)
        if wrong := re.findall(r"\{(?!service\})[^{}]*\}", value):
            text = "allowed in braces: {service}, the name of the process"
            yield ["broker", name], f"found {shown(wrong[0])}; {text}"
    for name in ("password", "password_file"):
        if getattr(broker, name) and not broker.username:
            yield ["broker", name], "found without username; allowed: both, or neither"


def _reaches_broker(parts: SplitResult) -> bool:
    if parts.query or parts.fragment:
        return False
    if parts.scheme == "unix":
        path = parts.path
        return not parts.netloc and path.startswith("/") and not path.endswith("/")
    named = bool(parts.hostname) and parts.path in {"", "/"}
    return named and parts.scheme in {"mqtt", "mqtts"}


def _server(steps: list[Step], url: str) -> Iterator[Trouble]:
    """Check the address of an HTTP server; empty is none."""
    if not url:
        return
    parts = _split(url)
    if (
        parts is None
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        yield steps, f"found {shown(url)}; allowed: {_SERVERS}, or empty for none"


def _topic(trigger: Trigger, prefix: str) -> Iterator[Trouble]:
    if wrong := _wrong_filter(trigger.topic):
        yield ["topic"], f"found {shown(trigger.topic)}, {wrong}; allowed: such as `plant/+/fault`"
    elif trigger.topic == prefix or trigger.topic.startswith(f"{prefix}/"):
        text = f"found {shown(trigger.topic)}; allowed: no topic of Andon's own, `{prefix}/…`"
        yield ["topic"], text
    elif trigger.format == "sparkplug" and not _brings_births(trigger.topic):
        text = "allowed for Sparkplug: such as `spBv1.0/#` or `spBv1.0/<group>/+/<edge>/#`"
        yield ["topic"], f"found {shown(trigger.topic)}, which misses births or devices; {text}"


def _trigger(trigger: Trigger, prefix: str) -> Iterator[Trouble]:
    yield from _topic(trigger, prefix)
    levels = trigger.topic.count("/") + 1
    open_ended = trigger.topic.endswith("#")
    for name in ("asset", "question"):
        template: str = getattr(trigger, name)
        places = re.findall(r"\{([^{}]*)\}", template)
        if re.search(r"[{}]", re.sub(r"\{[^{}]+\}", "", template)):
            text = "allowed: text with `{1}` for a topic level, `{name}` for a value of the payload"
            yield [name], f"found {shown(template)}, a brace that does not close; {text}"
        for place in places:
            if place.isdecimal() and not open_ended and not 1 <= int(place) <= levels:
                text = f"found `{{{place}}}`; allowed: {{1}} to {{{levels}}}, the levels of `topic`"
                yield [name], text
    for name in ("cleared", "priorities"):
        for value in getattr(trigger, name):
            if value != value.lower():
                text = f"found {shown(value)}; allowed: lower case, as it is compared"
                yield [name], text


def _brings_births(topic: str) -> bool:
    """Return whether a filter brings all of an edge node's messages.

    They are numbered through, and those that follow a birth make no sense without it.
    """
    levels = topic.split("/")
    every = levels[2:3] in (["+"], ["#"], [])
    return levels[0] == "spBv1.0" and levels[-1] == "#" and len(levels) <= 5 and every


def _wrong_filter(topic: str) -> str:
    """Return what is wrong with a topic filter; empty when it is right (MQTT 5, 4.7)."""
    levels = topic.split("/")
    if "#" in topic and (levels[-1] != "#" or "#" in "".join(levels[:-1])):
        return "where `#` is not the whole last level"
    if any("+" in level and level != "+" for level in levels):
        return "where `+` is not a whole level"
    if re.search("[\0\ud800-\udfff]", topic):
        return "with a character in it that MQTT forbids"
    if topic != topic.strip():
        return "with a space at its end"
    if len(topic.encode()) > _MAX_TOPIC:
        return "which is too long"
    return ""
