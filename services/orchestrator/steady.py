"""Time that does not step, but for what passed while nobody looked."""

from __future__ import annotations

import time
from collections.abc import Callable

_SET_S = 1_704_067_200.0
"""2024: a clock that says less was never set."""


def onward(
    wall: Callable[[], float] = time.time,
    passing: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
) -> Callable[[], float]:
    """Return a clock that begins with the wall clock's time and that nobody sets afterwards.

    Args:
        wall: s since 1970.
        passing: s since anything, sleep of the machine included.
    """
    offset = wall() - passing()
    return lambda: passing() + offset


class Steady:
    """Makes a wall clock's time one that only goes on.

    Where the clock steps back no time passes, and from there it goes on at the clock's pace.
    A step forward that makes up for more than half of what the clock lacks is taken for the clock
    being set right, not for time that passed: a box that starts in 1970 and learns the time later
    does not find all its alarms to be decades old. Nor does the next start, which knows the time.
    """

    def __init__(self, latest: float = 0.0) -> None:
        """Begin at the latest time known from before, s since 1970."""
        self._latest = latest
        self._at = latest
        self._unset = 0.0

    def time(self, at: float) -> float:
        """Return the time to count with, s; never less than before.

        Args:
            at: what the clock says, s since 1970.
        """
        at -= self._unset
        if 0 < self._at < _SET_S <= at:  # no time that passed: until now the clock was not set
            self._unset += at - self._at
            at = self._at
        lacks, passed = self._latest - self._at, at - self._at
        self._at = at
        if at >= self._latest:
            self._latest = at
        elif 0 < 2 * passed <= lacks:
            self._latest += passed
        return self._latest
