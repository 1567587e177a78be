"""Time that does not step back (pure)."""

from __future__ import annotations


class Steady:
    """Makes a wall clock's time one that only goes on.

    Where the clock steps back no time passes, and from there it goes on at the clock's pace.
    Once the clock is ahead of all it ever said, it is believed again: a box that started in 1970
    and is set later comes out at the right time.
    """

    def __init__(self, latest: float = 0.0) -> None:
        """Begin at the latest time known from before, s since 1970."""
        self._latest = latest
        self._behind = 0.0

    def time(self, at: float) -> float:
        """Return the time to count with, s; never less than before."""
        if at >= self._latest:
            self._behind = 0.0
        elif at + self._behind < self._latest:
            self._behind = self._latest - at
        self._latest = max(self._latest, at + self._behind)
        return self._latest
