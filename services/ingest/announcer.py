"""States of documents to the bus: each change, progress a few times a second, in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Protocol

from schemas.channels import DOCUMENT
from schemas.knowledge import DocumentState
from services.runtime.errors import Retryable
from services.runtime.retained import Retained

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 0.25
"""Seconds between two messages about the same step of a document."""
_QUIET_S = 1.0
_WAIT_S = 5.0


class Publisher(Protocol):
    """The part of the bus that is needed here."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Send a message."""

    async def wait_connected(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for the broker."""


class Announcer:
    """Publishes states retained; nothing is lost while the broker is away but old progress."""

    def __init__(self, bus: Publisher, prefix: str) -> None:
        self._bus = bus
        self._prefix = prefix
        self._due: dict[str, deque[DocumentState | None]] = {}
        self._last: dict[str, tuple[str, int, bool]] = {}
        self._sent_at: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._retained: Retained | None = None

    def look_after(self, retained: Retained) -> None:
        """Have `retained` know what the broker confirms, and when nothing more comes."""
        self._retained = retained

    def say(self, state: DocumentState) -> None:
        """Publish a state; progress within a step replaces progress that has not left yet."""
        due = self._due.setdefault(state.doc_id, deque())
        if due and due[-1] is not None and _step(due[-1]) == _step(state):
            due[-1] = state
        else:
            due.append(state)
        self._idle.clear()
        self._wake.set()

    def clear(self, doc_id: str) -> None:
        """Take the retained state of a document back, after what is due of it."""
        self._due.setdefault(doc_id, deque()).append(None)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Send what is due, forever."""
        while True:
            await self._wait()
            self._wake.clear()
            pause = await self._round()
            if pause is not None:
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    self._wake.set()

    async def drained(self) -> None:
        """Wait until nothing is due."""
        await self._idle.wait()

    async def _wait(self) -> None:
        """Wait for something to say; after a quiet moment, that all was said is said once."""
        try:
            async with asyncio.timeout(_QUIET_S):
                await self._wake.wait()
        except TimeoutError:
            # Older than any step that is thinned; of a large library it would be megabytes.
            self._last.clear()
            self._sent_at.clear()
            if self._retained:
                with contextlib.suppress(Retryable):  # the next quiet moment does it
                    await self._retained.mark()
            await self._wake.wait()

    async def _round(self) -> float | None:
        """Send what may leave now; return seconds until the next may, None when nothing waits."""
        now = asyncio.get_running_loop().time()
        pause: float | None = None
        for doc_id in list(self._due):
            due = self._due[doc_id]
            while due:
                state = due[0]
                left = self._sent_at.get(doc_id, 0.0) + PROGRESS_EVERY_S - now
                if state is not None and _step(state) == self._last.get(doc_id) and left > 0:
                    pause = left if pause is None else min(pause, left)
                    break
                if not await self._send(doc_id, state):
                    return 0.0
                # While it was sent, newer progress may have taken its place.
                if due[0] is state:
                    due.popleft()
                now = asyncio.get_running_loop().time()
                self._note(doc_id, state, now)
            if not due:
                del self._due[doc_id]
        if not self._due:
            self._idle.set()
        return pause

    def _note(self, doc_id: str, state: DocumentState | None, now: float) -> None:
        if state is None:
            self._last.pop(doc_id, None)
            self._sent_at.pop(doc_id, None)
        else:
            self._last[doc_id] = _step(state)
            self._sent_at[doc_id] = now

    async def _send(self, doc_id: str, state: DocumentState | None) -> bool:
        topic = DOCUMENT.topic(self._prefix, doc_id=doc_id)
        payload = DOCUMENT.encode(state) if state else b""
        try:
            await self._bus.publish(topic, payload, retain=True)
        except Retryable as error:
            log.debug("%s: %s", topic, error)
            try:
                await self._bus.wait_connected(_WAIT_S)
            except Retryable:
                log.info("the broker is away; %d documents have news", len(self._due))
            return False
        if self._retained:
            self._retained.sent()
        return True


def _step(state: DocumentState) -> tuple[str, int, bool]:
    return state.state, state.revision, state.searchable
