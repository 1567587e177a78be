"""How much of a list one reply takes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

ROOM = 512 * 1024
"""Bytes of a page: a quarter of what the bus takes, and little for who reads many of them."""

_encode = msgspec.msgpack.Encoder().encode


def fitting(items: Sequence[object], limit: int) -> int:
    """Return how many of these go into one reply: at least one, or nobody got past it.

    Args:
        items: messages, or groups of them that stay together.
        limit: how many at most.
    """
    room = ROOM
    for number, item in enumerate(items[:limit]):
        room -= len(_encode(item))
        if room < 0:
            return max(1, number)
    return min(limit, len(items))
