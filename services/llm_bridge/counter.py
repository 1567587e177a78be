"""How many tokens a text has, asked once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b

_KEPT = 512
"""Counts kept; the texts themselves are not."""


class TokenCounter:
    """Counts with a callable and remembers the latest counts."""

    def __init__(self, count: Callable[[str], Awaitable[int]]) -> None:
        self._count = count
        self._known: OrderedDict[bytes, int] = OrderedDict()

    async def __call__(self, text: str) -> int:
        """Return the tokens of the text; raises as the callable does."""
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key not in self._known:
            self._known[key] = await self._count(text)
        self._known.move_to_end(key)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._known[key]
