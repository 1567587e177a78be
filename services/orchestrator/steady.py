"""Time that does not step back (pure)."""

from __future__ import annotations


class Steady:
    """Makes a wall clock's time one that only goes on.

    Where the clock steps back no time passes, and from there it goes on at the clock's pace.
    A step forward that makes up for more than half of what the clock lacks is taken for the clock
    being set right, not for time that passed: a box that starts in 1970 and learns the time later
    does not find all its alarms to be decades old.
    """

    def __init__(self, latest: float = 0.0) -> None:
        """Begin at the latest time known from before, s since 1970."""
        self._latest = latest
        self._at = latest

    def time(self, at: float) -> float:
        """Return the time to count with, s; never less than before.

        Args:
            at: what the clock says, s since 1970.
        """
        lacks, passed = self._latest - self._at, at - self._at
        self._at = at
        if at >= self._latest:
            self._latest = at
        elif 0 < 2 * passed <= lacks:
            self._latest += passed
        return self._latest
