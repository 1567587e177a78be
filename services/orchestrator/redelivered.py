"""Which deliveries the broker sends again although the ledger has them (pure)."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable

from services.runtime.messages import Delivery

REMEMBERED = 1000
"""Deliveries remembered: more than the broker has unacknowledged at one time, which is 200."""


def digest_of(delivery: Delivery) -> bytes:
    """Return what a delivery is known by, 8 bytes: its message id, topic and payload.

    A message that is sent again keeps its id (MQTT 5, 4.4), and another one of the same words has
    another, until 65,535 later the ids are used up.
    """
    mid = delivery.token.mid if delivery.token else 0
    digest = hashlib.blake2b(mid.to_bytes(2, "big"), digest_size=8)
    digest.update(f"{delivery.topic}\0".encode())
    digest.update(delivery.payload)
    return digest.digest()


class Redelivered:
    """The latest deliveries that are in the ledger, each known by its digest."""

    def __init__(self, kept: Iterable[bytes] = (), *, most: int = REMEMBERED) -> None:
        """Begin with what an earlier process took in, oldest first."""
        self._latest = deque(kept, maxlen=most)

    def new(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Leave out what is known already."""
        known: set[bytes] | None = None
        fresh = []
        for delivery in deliveries:
            if delivery.duplicate and known is None:
                known = set(self._latest)
            if not (delivery.duplicate and known and digest_of(delivery) in known):
                fresh.append(delivery)
        return fresh

    def taken(self, deliveries: Iterable[Delivery]) -> None:
        """Take note that these are in the ledger."""
        self._latest.extend(digest_of(one) for one in deliveries if one.qos)
