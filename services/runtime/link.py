"""One connection: a paho client driven by the running asyncio loop.

A link is used once. Each connection gets a fresh paho client, so that nothing of the last one
(unsent messages, message ids, a second `on_disconnect`) reaches into the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import LogLevel, MQTTErrorCode

from services.runtime.address import BrokerAddress
from services.runtime.paho_client import PahoClient

log = logging.getLogger(__name__)

TICK_S = 1.0
"""How often paho looks at its keepalive."""
_GOODBYE_S = 1.0
"""Limit for the broker to take our DISCONNECT and close."""
_READS_AT_ONCE = 64
"""Packets taken from the buffer before other tasks have their turn."""


class Link:
    """Reads, writes and ends one connection of `client`."""

    def __init__(self, client: PahoClient) -> None:
        self.client = client
        self.error = ""
        """What paho logged last while connecting: the only place it names TLS errors."""
        self.accepted = False
        """Whether the broker's CONNACK said yes."""
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[int] = self._loop.create_future()
        """Done when the connection is over; the DISCONNECT's reason, or 0 without one."""
        self._socket: Any = None
        self._writing = False
        self._flushing = False
        client.on_log = self._log

    async def open(self, address: BrokerAddress, connect: Callable[[], MQTTErrorCode]) -> None:
        """Connect and send CONNECT, in a thread, since paho's connect blocks.

        Raises:
            OSError: nobody listens, or TLS failed.
        """
        opening = self._loop.run_in_executor(None, connect)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread cannot be stopped; wait for it, or its socket would be left open.
            with contextlib.suppress(OSError, ValueError):
                await opening
            self.drop()
            raise
        self._socket = self.client.socket()
        if self._socket is None:
            raise ConnectionError(self.error or f"{address} closed the connection")
        self.client.on_socket_close = self._closing
        self._loop.add_reader(self._socket, self._readable)
        self.flush()

    def accept(self) -> None:
        """The broker has accepted us."""
        self.accepted = True
        self.client.on_log = None  # or paho would format a line for each packet

    def flush(self) -> None:
        """After any call of the client: what it has to say goes out at the end of this turn.

        All of it in one system call: a batch of faults is acked in one piece.
        """
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self.client.want_write():
            self.client.loop_write()
        self._watch_writable()

    def tick(self) -> None:
        """To be called every `TICK_S`: pings, and finds a broker that stopped answering."""
        self.client.loop_misc()
        self.flush()

    async def goodbye(self) -> None:
        """Send DISCONNECT, so that the broker does not publish the will, and close."""
        leaving = self.client.socket()
        if leaving is None:
            return
        # paho closes at once after its DISCONNECT. When the broker is just sending, the kernel
        # then resets the connection, and our last acks and the DISCONNECT are lost on arrival.
        # A second handle keeps it open until the broker has read them and closes.
        with socket.socket(fileno=os.dup(leaving.fileno())) as kept:
            kept.setblocking(False)
            self.client.disconnect()
            self._flush()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await asyncio.shield(self.lost)
                    while await self._loop.sock_recv(kept, 65_536):
                        pass
        self.drop()

    def drop(self) -> None:
        """Close without a goodbye. Not from inside a callback of the client."""
        broken = self.client.socket()
        if broken is None:
            return
        if self._socket is not None:
            self._closing(self.client, None, broken)
        self.client.on_socket_close = None
        self.client.forget()
        # paho has no way to close without a DISCONNECT. Reading from a closed socket, it finds
        # the connection lost, and tidies up.
        broken.close()
        self.client.loop_read()

    def end(self, reason: int) -> bool:
        """The connection is over. False when that was known: paho reports it twice at times."""
        if self.lost.done():
            return False
        self.lost.set_result(reason)
        return True

    def _readable(self) -> None:
        try:
            self.client.loop_read()
            self._read_on()
            self.flush()
        except Exception:
            # A packet that paho cannot take apart. Raised here it would come again for ever.
            log.exception("cannot read what the broker sent; connecting anew")
            self.drop()

    def _read_on(self) -> None:
        """Read what is out of the socket already: the selector does not see it."""
        for _ in range(_READS_AT_ONCE):
            if not self.client.has_more:
                return
            self.client.loop_read()
        self._loop.call_soon(self._again)

    def _again(self) -> None:
        if self._socket is not None and self.client.has_more:
            self._readable()

    def _writable(self) -> None:
        self.client.loop_write()
        self._watch_writable()

    def _watch_writable(self) -> None:
        wanted = self._socket is not None and self.client.want_write()
        if wanted and not self._writing:
            self._loop.add_writer(self._socket, self._writable)
        elif not wanted and self._writing and self._socket is not None:
            self._loop.remove_writer(self._socket)
        self._writing = wanted

    def _closing(self, _client: Client, _userdata: object, closing: Any) -> None:
        self._loop.remove_reader(closing)
        self._loop.remove_writer(closing)
        self._socket = None
        self._writing = False

    def _log(self, _client: Client, _userdata: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self.error = text
