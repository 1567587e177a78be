"""How often an edge node is asked to introduce itself again (pure)."""

from __future__ import annotations

FIRST_S = 10.0
"""Shortest time between two requests to one edge node, seconds."""
MOST_S = 320.0
"""Longest; doubled from the shortest while a node does not do as asked."""


class Rebirths:
    """Who was asked when: a node that cannot or may not answer is not asked for ever as often.

    Moments are seconds on any one clock.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], tuple[float, float]] = {}

    def due(self, node: tuple[str, str], at: float) -> bool:
        """Return whether the edge node, by group and id, may be asked now."""
        last, pause = self._asked.get(node, (-MOST_S, FIRST_S))
        return not 0 <= at - last < pause

    def asked(self, node: tuple[str, str], at: float) -> None:
        """Take note that it was asked."""
        last, pause = self._asked.get(node, (at, 0.0))
        # One that was quiet for long did as asked, and something new has happened.
        again = min(2 * pause, MOST_S) if at - last < 4 * pause else FIRST_S
        self._asked = {n: (t, p) for n, (t, p) in self._asked.items() if 0 <= at - t < 4 * p}
        self._asked[node] = at, again
