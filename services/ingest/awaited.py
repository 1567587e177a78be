"""Documents that should answer and are being read again (no database)."""

from __future__ import annotations


class Awaited:
    """Which they are, from the start of this process on."""

    def __init__(self) -> None:
        self._ids: set[str] | None = None

    def add(self, doc_id: str) -> None:
        """Take note of one that is to be read again."""
        self._ids = {*(self._ids or ()), doc_id}

    def count(self, in_work: set[str]) -> int:
        """Return how many there still are.

        Args:
            in_work: ids of all documents that are. At the first call they are taken for some
                that an earlier process was to read again.
        """
        self._ids = in_work if self._ids is None else self._ids & in_work
        return len(self._ids)
