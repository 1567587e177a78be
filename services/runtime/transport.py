"""The connection that messages travel over: what it must be able to do, and what it tells."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from services.runtime.calls import Acked, Calls
from services.runtime.errors import Retryable, Unavailable
from services.runtime.messages import Delivery, Inbox, Properties
from services.runtime.routing import Router

log = logging.getLogger(__name__)

MAX_PACKET = 2 * 1024 * 1024
"""Bytes of a message, both ways: a larger one would cost a process its memory. The broker ends
the connection of who sends it one."""


class Transport(ABC):
    """One connection to the broker that comes and goes.

    An async context manager: entering starts it and does not wait for the broker, leaving says
    goodbye to the broker (no will) and ends every task.
    """

    def __init__(
        self,
        client_id: str,
        *,
        reply_topic: str,
        on_connection: Callable[[bool], None] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            client_id: the broker's name for our session; one process at a time may use it.
            reply_topic: where replies to our requests come, by custom
                `<prefix>/reply/<client_id>`. Nobody else may subscribe or publish there but
                the services we ask.
            on_connection: called in the loop with True when messages flow, False when not.
        """
        self.client_id = client_id
        self.last_error: str | None = None
        """Why the broker is not connected, in words for a person; None while it is."""
        self.disputed: str | None = None
        """What was said of another client with our client id, until we had peace for a while."""
        self._on_connection = on_connection
        self._most = MAX_PACKET
        self._online = asyncio.Event()
        self._number = 0
        self._newly = asyncio.Event()
        self._reply_topic = reply_topic
        self._router = Router(self._confirm)
        self._router.add(Inbox([reply_topic], qos=1))
        self._calls = Calls()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the broker has us and our subscriptions."""
        return self._online.is_set()

    async def wait_connected(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until `connected`, at most `timeout` seconds. Raises Unavailable after that."""
        try:
            async with asyncio.timeout(timeout):
                await self._online.wait()
        except TimeoutError:
            raise Unavailable("connect", self.last_error or "the broker does not answer") from None

    async def next_connection(self, last: int = 0) -> int:
        """Wait until connected, and not by connection number `last`; return the number."""
        while not self.connected or self._number == last:
            await self._newly.wait()
        return self._number

    # -- what each kind of transport supplies --------------------------------------------------

    @abstractmethod
    async def start(self) -> None:
        """Start connecting, and keep connecting until `close`. Does not wait for the broker."""

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye and stop; nothing waits in the process afterwards."""

    @abstractmethod
    async def failed(self) -> None:
        """Wait for the bus to break for a reason of its own, and raise that.

        Nothing flows any more then, and nothing else would tell: whoever runs a bus in a process
        that shall live waits for this beside its work.
        """

    @abstractmethod
    async def _subscribe(self, inbox: Inbox) -> None:
        """Subscribe a new inbox if connected, and wait for the broker's word."""

    @abstractmethod
    def _unsubscribe(self, inbox: Inbox) -> None:
        """Tell the broker, if connected, that nobody reads these filters any more."""

    @abstractmethod
    def _send(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties | None,
        acked: Acked | None,
    ) -> None:
        """Send at once or raise Unavailable; tell `acked` later what became of it (QoS 1)."""

    @abstractmethod
    def _confirm(self, mid: int) -> None:
        """Send the PUBACK for message `mid` of the present connection."""

    # -- what each kind of transport reports ---------------------------------------------------

    def _session(self, *, present: bool) -> None:
        """A connection begins; `present`: the broker still has our session."""
        if present:
            self._router.resumed()
        else:
            self._calls.fail(Retryable, "the broker lost our session, and the reply with it")

    def _set_online(self, online: bool) -> None:
        """Messages flow now, or do not any more."""
        if online == self._online.is_set():
            return
        if online:
            # A broker sends again what was not acked before it confirms a subscription; inside
            # one process that takes a turn of the loop.
            asyncio.get_running_loop().call_soon(self._router.settled)
            self.last_error = None
            self._online.set()
            self._number += 1
            newly, self._newly = self._newly, asyncio.Event()
            newly.set()
        else:
            self._online.clear()
        if self._on_connection:
            # Not from inside the transport's own callbacks, where an exception would hurt.
            asyncio.get_running_loop().call_soon(self._on_connection, online)

    def _lost(self) -> None:
        """The connection is gone."""
        self._router.lost()
        self._set_online(False)

    def _shut(self) -> None:
        """No connection will come again: end what still waits."""
        self._router.close()
        self._calls.fail(Unavailable, "this process is stopping")

    def _arrived(self, delivery: Delivery, mid: int, identifiers: Sequence[int]) -> None:
        """A message came; see `Router.route`."""
        if delivery.topic != self._reply_topic:
            self._router.route(delivery, mid, identifiers)
            return
        if delivery.qos:
            self._confirm(mid)
        properties = delivery.properties
        if call := self._calls.find(properties.correlation):
            call.replied(delivery.payload, properties.get("status") or "ok")
        else:
            log.debug("a reply came too late on %s", delivery.topic)
