"""A controller that reports faults with QoS 1 and knows which ones the broker confirmed.

What the broker did not confirm before a connection broke is sent again with DUP, as a PLC does.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import paho.mqtt.client as paho

_IN_FLIGHT = 20
_CONNECT_S = 60.0


class Plc:
    """An MQTT client, 3.1.1 or 5, with a session of its own."""

    def __init__(self, port: int, name: str, version: int) -> None:
        self.confirmed: dict[str, float] = {}
        """Marks of the faults the broker said PUBACK to, and when, seconds since 1970."""
        self.unheard: set[str] = set()
        """Marks to which it said that nobody subscribes (MQTT 5, reason 16), or that it refuses."""
        self._mids: dict[int, str] = {}
        self._pubacks: list[tuple[int, float, bool]] = []
        self._lock = threading.Lock()
        self._done = threading.Condition(self._lock)
        v5 = version == paho.MQTTv5
        self._client = client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=paho.MQTTProtocolVersion(version),
            clean_session=None if v5 else False,
        )
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(0.2, 0.5)
        client.on_publish = self._published
        # In place from the start, so that nothing is sent before the session is ours again.
        deadline = time.monotonic() + _CONNECT_S
        options: dict[str, Any] = {}
        if v5:
            options["clean_start"] = False
            options["properties"] = paho.Properties(paho.PacketTypes.CONNECT)
            options["properties"].SessionExpiryInterval = 3600
        while True:
            try:
                client.connect("127.0.0.1", port, **options)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        client.loop_start()

    def report(self, asset: str, mark: str, **payload: Any) -> None:
        """Report a fault whose text is `mark`; returns before the broker has it."""
        self._send(f"{asset}/fault", mark, {**payload, "text": mark})

    def ask(self, name: str, mark: str, question: str) -> None:
        """Ask a question that ends with `mark`, as the scanner `name`."""
        self._send(f"andon/ask/{name}", mark, {"question": f"{question} {mark}"})

    def _send(self, topic: str, mark: str, body: dict[str, Any]) -> None:
        # Without our lock: paho holds its own while it calls `_published`.
        info = self._client.publish(topic, json.dumps(body), qos=1)
        with self._done:
            self._mids[info.mid] = mark
            self._match()

    def _published(self, _c: object, _u: object, mid: int, reason: Any, _p: object) -> None:
        with self._done:
            heard = not reason.is_failure and reason.value != 16
            self._pubacks.append((mid, time.time(), heard))
            self._match()

    def _match(self) -> None:
        """Bring PUBACKs and faults together; one can come before `publish` told us its number."""
        early = []
        for mid, at, heard in self._pubacks:
            mark = self._mids.pop(mid, None)
            if mark is None:
                early.append((mid, at, heard))
            elif heard:
                self.confirmed[mark] = at
            else:
                self.unheard.add(mark)
        self._pubacks = early
        self._done.notify_all()

    def all_confirmed(self, within_s: float) -> bool:
        """Wait until the broker has said something to every fault; return whether it has."""
        with self._done:
            return self._done.wait_for(lambda: not self._mids, within_s)

    def waiting(self) -> int:
        """Faults the broker has not confirmed yet."""
        with self._lock:
            return len(self._mids)

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_publish = None
        del self._client
