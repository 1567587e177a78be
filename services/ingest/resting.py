"""Ends the service when nothing is left to do, where the box starts it only when there is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from services.runtime.process import Context

REASON = "it rests: nothing is left to read, and a new document or a request wakes it"
_LOOKS = 10


async def rest(context: Context, idle_s: float, quiet: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it was quiet for so long, and stop the service.

    Args:
        context: of the service.
        idle_s: seconds.
        quiet: whether no document is in work and none is to come, by all one knows.
    """
    loop = asyncio.get_running_loop()
    since = loop.time()
    while loop.time() - since < idle_s:
        await asyncio.sleep(idle_s / _LOOKS)
        if context.server.busy or context.health.reason or not await quiet():
            since = loop.time()
        since = max(since, context.server.asked_at)
    context.health.rests(REASON)
    context.stopping.set()
