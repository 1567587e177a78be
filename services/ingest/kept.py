"""Which document states the broker retains, compared with the library."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from schemas.channels import DOCUMENT
from schemas.knowledge import DocumentState
from services.ingest.announcer import Announcer

_PAGE = 200
"""Documents compared at once: what is said of them is held in memory until the broker has it."""


class Kept:
    """An owner for `runtime.retained`: the library's documents, and no others, are retained."""

    def __init__(
        self,
        announcer: Announcer,
        prefix: str,
        states: Callable[[str, int], Awaitable[Sequence[DocumentState]]],
    ) -> None:
        """Prepare.

        Args:
            announcer: says what is missing, and takes back what is too much.
            prefix: of Andon's topics.
            states: what the library has, by id: behind an id, so many at most.
        """
        self._announcer = announcer
        self._prefix = prefix
        self._states = states
        self.begin()

    @property
    def filters(self) -> Sequence[str]:
        """See `retained.Owner.filters`."""
        return [DOCUMENT.filter(self._prefix)]

    def begin(self) -> None:
        """See `retained.Owner.begin`."""
        self._seen: dict[str, int] = {}
        """Hash of each payload by document: the payloads of a large library are many megabytes."""

    def seen(self, topic: str, payload: bytes) -> None:
        """See `retained.Owner.seen`."""
        found = DOCUMENT.parameters(topic, self._prefix)
        if found and payload:
            self._seen[found["doc_id"]] = hash(payload)

    async def settle(self) -> int:
        """See `retained.Owner.settle`."""
        seen, wrong, last = deque(sorted(self._seen.items())), 0, ""
        self.begin()
        while True:
            page = await self._states(last, _PAGE)
            # Nothing is awaited until all of a page is said: news that come meanwhile go behind.
            before = wrong
            for state in page:
                last = state.doc_id
                wrong += self._clear(seen, until=last)
                known = seen.popleft()[1] if seen and seen[0][0] == last else None
                if known != hash(DOCUMENT.encode(state)):
                    self._announcer.say(state)
                    wrong += 1
            if not page:
                return wrong + self._clear(seen)
            if wrong > before:
                await self._announcer.drained()

    def _clear(self, seen: deque[tuple[str, int]], until: str | None = None) -> int:
        """Take back documents that come before this one and are not in the library."""
        cleared = 0
        while seen and (until is None or seen[0][0] < until):
            self._announcer.clear(seen.popleft()[0])
            cleared += 1
        return cleared
