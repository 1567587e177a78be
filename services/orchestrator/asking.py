"""Asking the language model through the bridge: an answer, or what stands in its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from schemas.channels import GENERATE, URGE
from schemas.faults import Priority
from schemas.generation import Generate, Generated, Urge
from services.runtime.errors import AndonError, Ended, Retryable, Unavailable
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

_URGE_S = 5.0
_BACK_S = 10.0
"""How long a bridge that ended may take to serve again, seconds."""
_LOOK_S = 0.25

Tell = Callable[[str], Awaitable[None]]


class Asking:
    """The bridge, as the orchestrator asks it."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._urging: set[asyncio.Task[None]] = set()

    async def generate(
        self,
        request: Generate,
        *,
        deadline_s: float,
        tell: Tell | None = None,
    ) -> Generated:
        """Return the model's answer.

        A bridge that ends in the middle of it is asked a second time when it is back.

        Args:
            request: What is asked.
            deadline_s: How long it may take.
            tell: Told each piece of readable text as it is written.

        Raises:
            Retryable, Rejected: As the bridge says, or it ended without an answer.
        """
        told = False

        async def first(text: str) -> None:
            nonlocal told
            told = True
            if tell:
                await tell(text)

        try:
            return await self._once(request, deadline_s, first)
        except Ended as ended:
            log.info("%s is asked for again: %s", request.id, ended)
        # Its text is not sent a second time: what counts is the answer.
        return await self._again(request, deadline_s, None if told else tell)

    async def _again(self, request: Generate, deadline_s: float, tell: Tell | None) -> Generated:
        """Ask a bridge that starts again; once, as the request may be what ended it."""
        clock = asyncio.get_running_loop().time
        until = clock() + _BACK_S
        while True:
            try:
                return await self._once(request, deadline_s, tell)
            except Ended:
                raise
            except Unavailable:
                if clock() > until:
                    raise
            await asyncio.sleep(_LOOK_S)

    async def _once(self, request: Generate, deadline_s: float, tell: Tell | None) -> Generated:
        stream = self._caller.stream(GENERATE, request, deadline_s=deadline_s)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generated):
                    return piece
                if tell:
                    await tell(piece.text)
        raise Retryable("generate", "the bridge ended without an answer")

    def urge(self, request_id: str, priority: Priority | None) -> None:
        """Tell the bridge how urgent a request is now, None for not at all; it need not hear it."""

        async def tell() -> None:
            urge = Urge(id=request_id, priority=priority)
            try:
                await self._caller.call(URGE, urge, deadline_s=_URGE_S)
            except Unavailable as error:
                # It is away, or ends: what it wrote ends with it.
                log.debug("the bridge is not told that %s changed: %s", request_id, error)
            except AndonError as error:
                log.info("the bridge does not know that %s changed: %s", request_id, error)

        task = asyncio.create_task(tell(), name=f"urge {request_id}")
        self._urging.add(task)
        task.add_done_callback(self._urging.discard)
