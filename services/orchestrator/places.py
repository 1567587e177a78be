"""Which alarms an asset has, the most urgent first, without looking at all of them (pure)."""

from __future__ import annotations

from services.orchestrator.alarms import RANK, Standing

_STALE = len(RANK)
_WAITING = _STALE + 1


class Places:
    """An index of alarms by asset; every step takes the same time, however many there are."""

    def __init__(self) -> None:
        self._assets: dict[str, tuple[dict[str, None], ...]] = {}
        self._rank: dict[tuple[str, str], tuple[int, int]] = {}

    def put(self, asset: str, key: str, standing: Standing | None) -> None:
        """Take in an alarm as it is now; None where it is gone."""
        old = self._rank.pop((asset, key), None)
        rank = None if standing is None else _rank(standing)
        new = None if standing is None or rank is None else (rank, standing.heard)
        if new is not None:
            self._rank[asset, key] = new
        if new == old:
            return
        ranks = self._assets.setdefault(asset, tuple({} for _ in range(_WAITING + 1)))
        if old is not None:
            del ranks[old[0]][key]
        if new is not None:
            ranks[new[0]][key] = None
        if not any(ranks):
            del self._assets[asset]

    def top(self, asset: str) -> str | None:
        """Return the most urgent active alarm, of several the latest; stale ones come last."""
        for keys in self._assets.get(asset, ())[:_WAITING]:
            if keys:
                return next(reversed(keys))
        return None

    def active(self, asset: str) -> list[str]:
        """Return all active alarms, the most urgent first."""
        return [key for keys in self._assets.get(asset, ())[:_WAITING] for key in keys]

    def waits(self, asset: str) -> bool:
        """Return whether the answer of a cleared alarm may still stand."""
        return asset in self._assets and bool(self._assets[asset][_WAITING])


def _rank(standing: Standing) -> int | None:
    if standing.active:
        return _STALE if standing.alarm.stale else RANK[standing.alarm.priority]
    return _WAITING if standing.shown else None
