"""Documents that should answer and are being read again (no database)."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.knowledge import DocumentState

_SETTLED = {"ready", "needs-ocr", "failed", "removed"}


class Awaited:
    """Which they are, from the start of this process on."""

    def __init__(self) -> None:
        self._ids: set[str] | None = None

    def add(self, doc_id: str) -> None:
        """Take note of one that is to be read again."""
        self._ids = {*(self._ids or ()), doc_id}

    def count(self, states: Iterable[DocumentState]) -> int:
        """Return how many there still are.

        Args:
            states: of all documents. At the first call those in work are taken for some that an
                earlier process was to read again.
        """
        open_ = {one.doc_id for one in states if one.state not in _SETTLED}
        self._ids = open_ if self._ids is None else self._ids & open_
        return len(self._ids)
