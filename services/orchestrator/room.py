"""Which alarm makes room where there are too many to remember (pure)."""

from __future__ import annotations

from collections import OrderedDict

from services.orchestrator.alarms import RANK, Standing

_CLEARED, _STALE, _ACTIVE = 0, 1, 2


class Room:
    """Alarms in the order in which they may be forgotten; every step takes the same time.

    First what cleared, then what is stale, then the least urgent; of several the one not heard of
    for longest.
    """

    def __init__(self) -> None:
        ranks = _ACTIVE + len(RANK)
        self._ranks: tuple[OrderedDict[tuple[str, str], None], ...] = tuple(
            OrderedDict() for _ in range(ranks)
        )
        self._rank: dict[tuple[str, str], int] = {}

    def put(self, key: tuple[str, str], standing: Standing | None) -> None:
        """Take in an alarm that was just heard of, or changed; None where it is gone."""
        old = self._rank.pop(key, None)
        if old is not None:
            del self._ranks[old][key]
        if standing is not None:
            self._rank[key] = rank = _rank(standing)
            self._ranks[rank][key] = None

    def first(self) -> tuple[str, str]:
        """Return the alarm to forget first; there must be one."""
        return next(key for keys in self._ranks for key in keys)


def _rank(standing: Standing) -> int:
    if not standing.active:
        return _CLEARED
    if standing.alarm.stale:
        return _STALE
    return _ACTIVE + max(RANK.values()) - RANK[standing.alarm.priority]
