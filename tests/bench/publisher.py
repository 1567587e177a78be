"""A publisher that costs next to nothing, so that a benchmark measures Andon and not its load."""

from __future__ import annotations

import json
import socket
import struct
import threading

_CONNECT = b"\x10\x17\x00\x04MQTT\x04\x02\x00\x00\x00\x0bbench-flood"
_PUBACK_BYTES = 4


class Publisher:
    """MQTT 3.1.1 over a bare socket, QoS 1: packets out, PUBACKs counted."""

    def __init__(self, port: int) -> None:
        self.confirmed = 0
        """Messages the broker has confirmed."""
        self._mid = 0
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_CONNECT)
        if (answer := self._socket.recv(4)) != b"\x20\x02\x00\x00":
            raise ConnectionError(f"the broker answers {answer.hex()}")
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        got = 0
        while data := self._socket.recv(65_536):
            got += len(data)
            self.confirmed = got // _PUBACK_BYTES

    def packet(self, topic: str, payload: dict[str, str]) -> bytes:
        """Return the next PUBLISH; each has its own message id."""
        self._mid = self._mid % 65_535 + 1
        name = topic.encode()
        body = struct.pack("!H", len(name)) + name + struct.pack("!H", self._mid)
        body += json.dumps(payload).encode()
        length = len(body)
        digits = bytes([length]) if length < 128 else bytes([length % 128 | 128, length // 128])
        return b"\x32" + digits + body

    def send(self, packets: bytes) -> None:
        """Send packets; waits where the broker does not read."""
        self._socket.sendall(packets)

    def close(self) -> None:
        """Say goodbye."""
        self._socket.sendall(b"\xe0\x00")
        self._reader.join()
        self._socket.close()
