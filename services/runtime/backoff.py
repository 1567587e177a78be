"""Waits between tries, spread at random so that clients do not come back all at once."""

from __future__ import annotations

import random

import msgspec


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before the next connect: at random, between zero and a limit."""

    first_s: float = 0.1
    """Limit of the first wait, in seconds; it doubles with each try that fails."""
    most_s: float = 30.0
    """The limit grows no further than this, in seconds."""
    patient_s: float = 60.0
    """After a refusal, or when another client took our session: half to all of this."""

    def delay_s(self, failures: int, *, patient: bool) -> float:
        """Seconds to wait after `failures` tries in a row, 1 or more, that failed."""
        if patient:
            return random.uniform(self.patient_s / 2, self.patient_s)  # noqa: S311  # no secret
        limit = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return random.uniform(0, limit)  # noqa: S311  # spreads the load, hides nothing
