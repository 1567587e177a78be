"""A lock that is had in the order it was asked for.

`threading.Lock` goes to whoever comes first when it is free, which is mostly the thread that has
just let go of it: one that works slice by slice would keep all others waiting for many slices.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """Hands over to the one who has waited longest; a context manager, not reentrant."""

    def __init__(self) -> None:
        """Begin free."""
        self._guard = threading.Lock()
        self._taken = False
        self._queue: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """Return how many wait for their turn."""
        return len(self._queue)

    def __enter__(self) -> None:
        """Wait for the turn."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._queue.append(mine)
        mine.acquire()

    def __exit__(self, *_: object) -> None:
        """Give it to the next."""
        with self._guard:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False
