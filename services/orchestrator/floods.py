"""How many new alarms an area has, and when they are a flood (pure).

The usual limits, more than 10 in 10 minutes and fewer than 5 in 10 minutes, are those of
ISA-18.2, its clause on monitoring, and EEMUA 191.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from schemas.faults import Flood
from services.runtime.config import Alarms as Limits

_SPANS = 60
"""The window is counted in as many parts once there are too many alarms to keep each."""


class Raise(msgspec.Struct, frozen=True, array_like=True):
    """One new alarm of the area."""

    at: float
    """When, s."""
    asset: str
    """The machine."""
    key: str
    """Which of its alarms."""
    name: str
    """Asset and code for people, `plant/motor7 E005`."""


class Span(msgspec.Struct, frozen=True, array_like=True):
    """New alarms counted together."""

    begin: float
    """The first of them, s."""
    end: float
    """The last of them, s."""
    count: int
    """How many."""


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """The new alarms of one area: a row of the ledger."""

    area: str
    """First levels of its assets."""
    recent: tuple[Raise, ...] = ()
    """The newest last; as many as it takes to begin a flood."""
    spans: tuple[Span, ...] = ()
    """All in the window, in at most about 60 parts."""
    first: Raise | None = None
    """The first-out alarm of the flood that goes on."""
    since: str = ""
    """When that flood began, RFC 3339 UTC."""
    told_at: float = 0.0
    """When it was last published, s."""


Step = tuple[Area | None, Flood | None]
"""The area afterwards, None where nothing needs to be remembered, and what is to be published."""


def area_of(asset: str, levels: int) -> str:
    """Return the area of an asset: its first `levels` levels, or all but the last for 0."""
    area = "/".join(asset.split("/")[:levels]) if levels else asset.rpartition("/")[0]
    return area or asset


def count(area: Area, new: Raise, received: str, limits: Limits) -> Step:
    """Take in one new alarm.

    Args:
        area: the area before.
        new: the alarm.
        received: its time, RFC 3339 UTC.
        limits: from the configuration.
    """
    at = max([new.at, *(r.at for r in area.recent[-1:])])
    new = replace(new, at=at)
    area = replace(
        area,
        recent=(*area.recent, new)[-limits.flood_more_than - 1 :],
        spans=_added(area.spans, at, limits),
    )
    if area.first is None:
        young = [r for r in area.recent if at < r.at + limits.flood_window_s]
        if len(young) <= limits.flood_more_than:
            return area, None
        area = replace(area, first=young[0], since=received, told_at=at)
    elif at < area.told_at + limits.flood_update_s:
        return area, None
    area = replace(area, told_at=at)
    return area, _flood(area, at, limits, active=True)


def due(area: Area, limits: Limits) -> float:
    """Return when the area changes without an alarm, s."""
    # The flood ends when the last alarm that keeps it up leaves the window.
    keeps = limits.flood_fewer_than if area.first else 1
    return area.recent[-min(keeps, len(area.recent))].at + limits.flood_window_s


def elapse(area: Area, at: float, limits: Limits) -> Step:
    """Return the area after the one change that is due; unchanged where none is."""
    if at < due(area, limits):
        return area, None
    if area.first is None:
        return None, None
    return replace(area, first=None, since=""), _flood(area, at, limits, active=False)


def standing(area: Area, at: float, limits: Limits) -> Flood | None:
    """Return the flood that goes on in an area, as it would be published now."""
    return _flood(area, at, limits, active=True) if area.first else None


def in_window(area: Area, at: float, limits: Limits) -> int:
    """Return how many new alarms the window holds.

    Exact up to what begins a flood; beyond, what left the window less than a sixtieth of its
    length ago may still be counted.
    """
    young = sum(at < r.at + limits.flood_window_s for r in area.recent)
    if young <= limits.flood_more_than:
        return young
    return sum(s.count for s in area.spans if at < s.end + limits.flood_window_s)


def _added(spans: tuple[Span, ...], at: float, limits: Limits) -> tuple[Span, ...]:
    last = spans[-1] if spans else None
    if last is not None and at < last.begin + limits.flood_window_s / _SPANS:
        return (*spans[:-1], Span(last.begin, at, last.count + 1))
    kept = tuple(s for s in spans if at < s.end + limits.flood_window_s)
    return (*kept, Span(at, at, 1))


def _flood(area: Area, at: float, limits: Limits, *, active: bool) -> Flood:
    return Flood(
        active=active,
        since=area.since,
        alarms_in_window=in_window(area, at, limits),
        first_out=area.first.name if area.first else "",
    )
