"""paho's client with a socket of ours, read and written in large pieces.

paho asks the kernel for one byte, then for the length, then for the rest of each packet, sends
each packet by itself, and builds a generic table of properties for each: 170 µs of a processor
for a fault that comes, is acked, and goes out as an alarm. What is replaced here is that; what
is said when, and what is kept until it is confirmed, stays paho's.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Literal

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode

from services.runtime.address import BrokerAddress
from services.runtime.messages import Delivery
from services.runtime.wire import read_publish

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
"""Limit for the TCP connect, for the TLS handshake, and for the broker's CONNACK and SUBACKs."""
_READ = 65_536
_SEND_MOST = 262_144
"""Bytes that wait for the socket before paho keeps its packets to itself."""
_NO_PROPERTIES = PahoProperties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]


class PahoClient(Client):
    """One connection's client."""

    def __init__(self, address: BrokerAddress, tls: ssl.SSLContext | None, client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._address = address
        self._tls = tls
        self._ahead = b""
        self._read_to = 0
        self._outgoing = bytearray()
        self.on_delivery: Callable[[Delivery, int, Sequence[int]], None] | None = None
        """Told of each message: without token, its message id, and the subscriptions it is for."""
        # Says that somebody calls `loop_write`; otherwise paho writes at each call.
        self.on_socket_register_write = lambda _client, _userdata, _socket: None

    @property
    def has_more(self) -> bool:
        """Whether there is something to read that the selector does not see."""
        sock = self.socket()
        if sock is None:
            return False
        return self._read_to < len(self._ahead) or (
            isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        )

    def forget(self) -> None:
        """Leave unread what is read ahead, and unsent what waits."""
        self._ahead, self._read_to = b"", 0
        self._outgoing.clear()

    def want_write(self) -> bool:
        """Whether something waits for the socket."""
        return bool(self._outgoing) or super().want_write()

    def loop_write(self) -> MQTTErrorCode:
        """Send all that waits, as far as the socket takes it."""
        code = super().loop_write()
        try:
            self._send()
        except OSError:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        return code

    def _create_socket(self) -> socket.socket:
        return open_socket(self._address, self._tls)

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._read_to == len(self._ahead):
            self._ahead, self._read_to = super()._sock_recv(_READ), 0
        begin, self._read_to = self._read_to, min(self._read_to + bufsize, len(self._ahead))
        return self._ahead[begin : self._read_to]

    def _sock_send(self, buf: bytes | bytearray) -> int:
        """Put a packet to what goes out with the next `_send`."""
        last = buf[0] == MessageType.DISCONNECT  # paho closes the socket right behind it
        if last or len(self._outgoing) > _SEND_MOST:
            self._send()
            if self._outgoing:
                raise BlockingIOError
        if last:
            return self._sent(buf)
        self._outgoing += buf
        return len(buf)

    def _send(self) -> None:
        while self._outgoing and self.socket() is not None:
            try:
                sent = self._sent(self._outgoing)
            except BlockingIOError:
                return
            del self._outgoing[:sent]

    def _sent(self, data: bytes | bytearray) -> int:
        try:
            return super()._sock_send(data)
        except (BrokenPipeError, ConnectionResetError):
            # paho would close at once, and with the socket throw away what a broker that died
            # had sent before: it may be known to nobody else. Read that; its end ends us.
            raise BlockingIOError from None

    def _sock_close(self) -> None:
        with suppress(OSError):
            self._send()
        super()._sock_close()

    def _handle_publish(self) -> MQTTErrorCode:
        header, packet = self._in_packet["command"], bytes(self._in_packet["packet"])
        try:
            delivery, mid, identifiers = read_publish(header, packet)
        except ValueError as error:
            log.error("the broker sent what is no message; connecting anew: %s", error)  # noqa: TRY400
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if self.on_delivery:
            self.on_delivery(delivery, mid, identifiers)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if cmd == "PUBCOMP" or len(packet) > 3:
            return super()._handle_pubackcomp(cmd)
        mid = int.from_bytes(packet[:2], "big")
        with self._out_message_mutex:
            if mid in self._out_messages:
                reason = _reason(packet[2] if len(packet) == 3 else 0)
                return self._do_on_publish(mid, reason, _NO_PROPERTIES)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


@cache
def _reason(number: int) -> ReasonCode:
    return ReasonCode(PacketTypes.PUBACK, identifier=number)


def open_socket(address: BrokerAddress, tls: ssl.SSLContext | None) -> socket.socket:
    """A connected socket, TLS included; blocks.

    Raises:
        OSError: nobody listens, or the certificates do not fit.
    """
    if address.scheme == "unix":
        plain = socket.socket(socket.AF_UNIX)
        try:
            plain.settimeout(CONNECT_TIMEOUT_S)
            plain.connect(address.path)
        except BaseException:
            plain.close()
            raise
        return plain
    plain = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
    try:
        # Without it Nagle and delayed acks make a QoS 1 round trip 88 ms instead of 0.6.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tls.wrap_socket(plain, server_hostname=address.host) if tls else plain
    except BaseException:
        plain.close()
        raise
