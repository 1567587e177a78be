"""Which document states the broker retains, compared with the library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from schemas.channels import DOCUMENT
from schemas.knowledge import DocumentState
from services.ingest.announcer import Announcer


class Kept:
    """An owner for `runtime.retained`: the library's documents, and no others, are retained."""

    def __init__(
        self,
        announcer: Announcer,
        prefix: str,
        states: Callable[[], Awaitable[Sequence[DocumentState]]],
    ) -> None:
        """Prepare.

        Args:
            announcer: says what is missing, and takes back what is too much.
            prefix: of Andon's topics.
            states: what the library has.
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
        self._seen: dict[str, bytes] = {}

    def seen(self, topic: str, payload: bytes) -> None:
        """See `retained.Owner.seen`."""
        found = DOCUMENT.parameters(topic, self._prefix)
        if found and payload:
            self._seen[found["doc_id"]] = payload

    async def settle(self) -> int:
        """See `retained.Owner.settle`."""
        states = {state.doc_id: state for state in await self._states()}
        missing = [s for i, s in states.items() if DOCUMENT.encode(s) != self._seen.get(i)]
        for state in missing:
            self._announcer.say(state)
        orphans = self._seen.keys() - states.keys()
        for doc_id in orphans:
            self._announcer.clear(doc_id)
        self.begin()
        return len(missing) + len(orphans)
