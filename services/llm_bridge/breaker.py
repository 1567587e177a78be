"""Spares the next request a model that fails (pure).

After some failures in a row it opens: nobody is sent to the model. When the rest is over one
request may try; its success closes the breaker, its failure opens it for longer.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "probing"]


class Breaker:
    """Counts failures; times are seconds of a clock that does not step back."""

    def __init__(
        self,
        *,
        failures: int = 3,
        rest_s: float = 5.0,
        most_s: float = 60.0,
        between: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Begin closed.

        Args:
            failures: in a row, at which it opens.
            rest_s: how long it is open; doubled each time the try fails.
            most_s: and no longer than this.
            between: draws each rest, from three quarters of it to all.
        """
        self._failures = failures
        self._rest_s = rest_s
        self._most_s = most_s
        self._between = between
        self._count = 0
        self._opened = 0
        self._until: float | None = None
        self._trying: object | None = None
        self.reason = ""
        """Why the latest failed."""

    def state(self, now: float) -> State:
        """Return `open` while nobody may ask, `probing` from then until one has succeeded."""
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "probing"

    def left_s(self, now: float) -> float:
        """Return how long it stays open, seconds."""
        return max((self._until or now) - now, 0.0)

    def admits(self, now: float) -> bool:
        """Return whether a request would be let through now."""
        state = self.state(now)
        return state == "closed" or (state == "probing" and self._trying is None)

    def begin(self, now: float, who: object) -> bool:
        """Return whether a request may go to the model; where it has to be tried, only one may."""
        if self._trying is who:
            return True
        admitted = self.admits(now)
        if admitted and self._until is not None:
            self._trying = who
        return admitted

    def succeeded(self) -> None:
        """The model answered."""
        self._count = self._opened = 0
        self._until, self._trying, self.reason = None, None, ""

    def failed(self, now: float, who: object, reason: str) -> None:
        """The model did not answer."""
        if self._until is None:
            self._count += 1
            self.reason = reason
            if self._count >= self._failures:
                self._open(now)
        elif self._trying is who:  # the others began before it opened
            self._trying, self.reason = None, reason
            self._open(now)

    def left(self, who: object) -> None:
        """A request ended without a verdict; if it was the try, another may."""
        if self._trying is who:
            self._trying = None

    def restarted(self, now: float) -> None:
        """The server is a new one: what the old one did says nothing, and one may try at once."""
        if self._until is not None:
            self._until = min(self._until, now)

    def _open(self, now: float) -> None:
        rest = min(self._rest_s * 2.0 ** min(self._opened, 30), self._most_s)
        self._opened += 1
        self._until = now + self._between(rest * 0.75, rest)
