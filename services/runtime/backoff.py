"""When to connect again: soon, spread at random, and without fighting another client for ever."""

from __future__ import annotations

import enum
import logging
import random
from collections.abc import Callable

import msgspec

_STABLE_S = 0.1
"""A connection that lasted this long was a good one: the next try comes at once, however often the
broker restarts. One that drops us as soon as we are there is not hammered."""
_SOON_S = 10.0
"""A connection that ends sooner, by nobody's word, may have been taken over."""
_SUSPICIOUS = 3
"""Such ends in a row until we suspect a second client. A failed try between them says that it is
the broker that comes and goes: it is not away while somebody else takes our session."""

_AWAY = 8
"""Failures in a row that are no start any more: some eight seconds with the usual waits."""


class Ending(enum.Enum):
    """How a try to be connected ended."""

    FAILED = enum.auto()
    """No connection came about."""
    LOST = enum.auto()
    """Connected, and then not any more."""
    REFUSED = enum.auto()
    """The broker does not want us."""
    TAKEN = enum.auto()
    """The broker said that another client took our session."""
    SUSPECTED = enum.auto()
    """Another client probably did; Mosquitto 2.0.11 closes the older connection without a word."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before the next connect, in seconds."""

    first_s: float = 0.1
    """Limit of the first wait, which is between zero and it; it doubles with each failure."""
    most_s: float = 5.0
    """The limit grows no further: a few services on one box cannot overrun a broker, and a fault
    should not wait longer for us than for it."""
    patient_first_s: float = 2.0
    """After a refusal or a takeover: half to all of this, doubled each time."""
    patient_s: float = 30.0
    """And no more than this."""
    suspicious_s: float = 5.0
    """No more than this where nobody said that it was a takeover: it may be a restless broker."""


class Retries:
    """The waits of one client, from how its connections end (pure)."""

    def __init__(
        self, backoff: Backoff, between: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._backoff = backoff
        self._between = between
        self._failures = 0
        self._flaps = 0
        self._patience = 0

    def ended(self, how: Ending, lasted_s: float) -> tuple[Ending, float]:
        """Take note of an end; return what it was, and the seconds to wait.

        Args:
            how: as far as the broker said.
            lasted_s: how long messages flowed.
        """
        self._failures = 1 if lasted_s >= _STABLE_S else self._failures + 1
        self.stood(lasted_s)
        self._flaps = self._flaps + 1 if how is Ending.LOST and lasted_s < _SOON_S else 0
        ours = self._backoff
        if self._flaps >= _SUSPICIOUS:
            how, times = Ending.SUSPECTED, self._flaps - _SUSPICIOUS + 1
            limit = _grown(ours.patient_first_s, times, ours.suspicious_s)
        elif how in {Ending.FAILED, Ending.LOST}:
            limit = _grown(ours.first_s, self._failures, ours.most_s)
            return how, self._between(0.0, limit)
        else:
            self._patience += 1
            limit = _grown(ours.patient_first_s, self._patience, ours.patient_s)
        return how, self._between(limit / 2, limit)

    def weight(self, how: Ending) -> int:
        """Return how an end that was taken note of is logged, as a level of `logging`.

        A broker that starts or restarts is nobody's business: one line. One that stays away is a
        warning, each time the failures have doubled.
        """
        if how not in {Ending.FAILED, Ending.LOST}:
            return logging.ERROR
        if self._failures == 1:
            return logging.INFO
        doubled = self._failures & (self._failures - 1) == 0
        return logging.WARNING if doubled and self._failures >= _AWAY else logging.DEBUG

    def stood(self, lasted_s: float) -> bool:
        """Return whether a connection has lasted so long that nobody disputes it any more.

        Longer than the longest wait: two of us who take turns must not begin anew each time.
        """
        if lasted_s < 2 * self._backoff.patient_s:
            return False
        self._patience = 0
        return True


def _grown(first: float, times: int, most: float) -> float:
    return float(min(most, first * 2.0 ** min(times - 1, 30)))
