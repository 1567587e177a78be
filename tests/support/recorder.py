"""A subscriber whose session the broker keeps, that writes down all it gets."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import paho.mqtt.client as paho

_READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A message, and when it came."""

    at: float
    """Seconds since 1970."""
    topic: str
    payload: bytes
    retain: bool


class Recorder:
    """MQTT 3.1.1, QoS 1, persistent session."""

    def __init__(self, port: int, name: str, *topics: str) -> None:
        self.heard: list[Heard] = []
        self._topics = topics
        self._ready = threading.Event()
        self._client = client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False
        )
        client.reconnect_delay_set(0.2, 0.5)
        client.on_connect = lambda c, *_: c.subscribe([(topic, 1) for topic in self._topics])
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._message
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self._ready.wait(_READY_S)

    def _message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        got = Heard(time.time(), message.topic, message.payload, message.retain)
        self.heard.append(got)

    def close(self) -> None:
        """Say goodbye; the session stays."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None
        del self._client
