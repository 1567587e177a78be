"""What the edge nodes of Sparkplug B have said so far: aliases, sequence, values (pure).

A birth names every metric, and the number that stands for it from then on; the messages that
follow carry the numbers only, and only what changed. Whatever leaves that in doubt (no birth
seen, a message missed, a number nobody named) makes a rebirth wanted, until it comes.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import msgspec

from services.orchestrator.fields import MAX_TEXT
from services.orchestrator.sparkplug import Address, Metric, Payload, Value, signed

_MAX_NODES = 1000
_MAX_DEVICES = 1000

Plain = str | int | float | bool
"""A value as templates and codes take it: text cut short, whole numbers as integers."""
Values = Mapping[str, Plain | None]
"""Metric values by name; None where it is not known any more, which is not the same as zero."""
Said = tuple[str, Plain]
"""Name and value of a metric in a message."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a message told about one edge node or device."""

    news: tuple[Said, ...] = ()
    """The watched metrics in it that have a value, in order."""
    before: Values = {}
    """The watched metrics as they were, as far as they were known."""
    now: Values = {}
    """As they are now."""
    birth: bool = False
    """Whether it says how things stand, rather than what changed."""
    born: bool = False
    """Whether the birth was seen, so that nothing is missing in `now`."""
    rebirth: bool = False
    """Whether the edge node should be asked for its births."""


@dataclass(frozen=True, slots=True)
class _Device:
    """An edge node's own metrics, or a device's, since its birth."""

    born: bool = False
    names: Mapping[int, str] = field(default_factory=dict)
    """Watched metrics by alias."""
    types: Mapping[str, int] = field(default_factory=dict)
    """Their data types by name, which later messages leave out."""
    aliases: array[int] = field(default_factory=partial(array, "Q"))
    """All aliases, sorted: eight bytes each, as a plant may have 100,000 metrics."""
    values: Values = field(default_factory=dict)
    """What the watched metrics say."""

    def knows(self, alias: int) -> bool:
        place = bisect_left(self.aliases, alias)
        return place < len(self.aliases) and self.aliases[place] == alias


@dataclass(frozen=True, slots=True)
class _Node:
    """An edge node and its devices."""

    seq: int | None = None
    """Number of its last message; None where that had none."""
    stale: bool = True
    """Whether something was missed since its birth."""
    devices: Mapping[str, _Device] = field(default_factory=dict)
    """By device id; empty for the node itself."""


class Sparkplug:
    """The edge nodes, message by message.

    Nothing in it outlives the process: after a restart nodes are asked for a rebirth.
    """

    def __init__(self, watched: Collection[str]) -> None:
        """Begin knowing nobody; `watched` are the names of the metrics that matter."""
        self._watched = frozenset(watched)
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._kept: dict[tuple[str, str], _Node] = {}

    def keep(self) -> None:
        """Make what was told so far the state `restore` goes back to."""
        self._kept = dict(self._nodes)

    def restore(self) -> None:
        """Forget what was told since `keep`."""
        self._nodes = dict(self._kept)

    def take(self, address: Address, payload: Payload) -> Told:
        """Take in a message."""
        key = address.group, address.edge
        if address.kind == "DEATH" and not address.device:
            # Whatever its bdSeq: one that comes late costs a rebirth, one ignored wrong aliases.
            self._nodes.pop(key, None)
            return Told()
        known = self._nodes.get(key, _Node())
        old = known.devices.get(address.device, _Device())
        if address.kind == "BIRTH" and not address.device:
            # Its devices are born again after it.
            node = _Node(seq=payload.seq, stale=False)
        else:
            node = _follow(known, payload.seq)
        devices = dict(node.devices)
        new, news, missing = _Device(), list[Said](), False
        if address.kind == "DEATH":
            devices.pop(address.device, None)
        else:
            birth = address.kind == "BIRTH"
            start = _born(payload.metrics, self._watched) if birth else old
            new, news, missing = self._read(start, payload)
            _put(devices, address.device, new, _MAX_DEVICES)
            missing = missing or not new.born
        node = replace(node, devices=devices, stale=node.stale or missing)
        _put(self._nodes, key, node, _MAX_NODES)
        return Told(
            news=tuple(news),
            before=old.values,
            now=new.values,
            birth=address.kind == "BIRTH",
            born=new.born,
            rebirth=node.stale,
        )

    def _read(self, device: _Device, payload: Payload) -> tuple[_Device, list[Said], bool]:
        """Return the device with a message's values, those watched, and if an alias is unknown."""
        values = dict(device.values)
        news: list[Said] = []
        missing = False
        for metric in payload.metrics:
            name = metric.name
            if not name and metric.alias is not None:
                missing = missing or not device.knows(metric.alias)
                name = device.names.get(metric.alias, "")
            if name not in self._watched or metric.is_historical:
                continue
            value = metric.value
            if metric.datatype is None:
                value = signed(value, device.types.get(name))
            values[name] = said = _plain(value)
            if said is not None:
                news.append((name, said))
        return replace(device, values=values), news, missing


def _follow(node: _Node, seq: int | None) -> _Node:
    """Return the node after one more message; stale when others are missing before it.

    The same number again is the same message again, where subscriptions overlap.
    """
    missed = None not in (seq, node.seq) and seq not in {node.seq, ((node.seq or 0) + 1) % 256}
    return replace(node, seq=seq, stale=node.stale or missed)


def _born(metrics: tuple[Metric, ...], watched: Collection[str]) -> _Device:
    """Return a device as its birth declares it, without values."""
    named = [metric for metric in metrics if metric.name]
    ours = [metric for metric in named if metric.name in watched]
    return _Device(
        born=True,
        names={metric.alias: metric.name for metric in ours if metric.alias is not None},
        types={metric.name: metric.datatype for metric in ours if metric.datatype is not None},
        aliases=array("Q", sorted({m.alias for m in named if m.alias is not None})),
    )


def _plain(value: Value) -> Plain | None:
    """Return a value as templates and codes take it; None for none."""
    if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value[:MAX_TEXT] if isinstance(value, str) else value


def _put(found: dict[_K, _V], key: _K, value: _V, most: int) -> None:
    """Set a value; the one that was first set goes when there are too many."""
    if key not in found and len(found) >= most:
        del found[next(iter(found))]
    found[key] = value
