"""How long a request and its reply take over QoS 1: bare paho against our bus, in one run.

Both ends are processes of their own. Both ways of asking carry a response topic and
correlation data, and both have TCP_NODELAY. Bare paho is a loop over `select` written out by
hand: nothing with paho in it can be faster.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from services.runtime.address import BrokerAddress
from services.runtime.mqtt import MqttBus
from tests.support.mosquitto import Mosquitto

BLOCK = 25
"""Requests of one kind before those of the other kind have their turn."""
WARM_UP = 50
"""Requests of each kind that are not counted."""
ROOT = Path(__file__).parents[2]


class Bare:
    """paho and `select`, nothing else."""

    def __init__(self, port: int, client_id: str) -> None:
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.on_socket_open = _no_delay
        self.client.connect("127.0.0.1", port)
        self.run_until(self.client.is_connected)

    def run_until(self, done: Callable[[], bool]) -> None:
        client = self.client
        while not done():
            sock: Any = client.socket()
            writers = [sock] if client.want_write() else []
            readable, writable, _ = select.select([sock], writers, [], 1.0)
            if readable:
                client.loop_read()
            if writable or client.want_write():
                client.loop_write()
            client.loop_misc()

    def subscribe(self, topic: str) -> None:
        confirmed: list[int] = []
        self.client.on_subscribe = lambda _c, _u, mid, _r, _p: confirmed.append(mid)
        self.client.subscribe(topic, 1)
        self.run_until(lambda: bool(confirmed))


class BareRequester(Bare):
    def __init__(self, port: int) -> None:
        super().__init__(port, "bare-requester")
        self.reply: bytes | None = None
        self.asked = 0
        self.client.on_message = self._on_message
        self.subscribe("bench/bare/reply")

    def request(self, payload: bytes) -> bytes:
        self.asked += 1
        self.reply = None
        properties = PahoProperties(PacketTypes.PUBLISH)
        properties.ResponseTopic = "bench/bare/reply"
        properties.CorrelationData = self.asked.to_bytes(16, "big")
        self.client.publish("bench/bare/ask", payload, 1, properties=properties)
        self.run_until(lambda: self.reply is not None)
        assert self.reply is not None
        return self.reply

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if message.properties.CorrelationData == self.asked.to_bytes(16, "big"):
            self.reply = message.payload


def _no_delay(_client: Client, _userdata: object, opened: Any) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def respond_bare(port: int) -> None:
    """Answer until killed."""
    bare = Bare(port, "bare-responder")

    def answer(client: Client, _userdata: object, message: MQTTMessage) -> None:
        asked = message.properties
        properties = PahoProperties(PacketTypes.PUBLISH)
        properties.CorrelationData = asked.CorrelationData
        client.publish(asked.ResponseTopic, message.payload, 1, properties=properties)

    bare.client.on_message = answer
    bare.subscribe("bench/bare/ask")
    print("ready", flush=True)
    bare.run_until(lambda: False)


async def respond_ours(port: int) -> None:
    """Answer until killed."""
    async with our_bus(port, "responder") as bus:
        await bus.wait_connected(10)
        inbox = await bus.consume("bench/ours/ask")
        print("ready", flush=True)
        while True:
            request = await inbox.get()
            bus.ack(request)
            await bus.reply(request, request.payload)


def our_bus(port: int, client_id: str) -> MqttBus:
    address = BrokerAddress.from_url(f"mqtt://127.0.0.1:{port}")
    return MqttBus(address, client_id, reply_topic=f"bench/reply/{client_id}", session_expiry_s=0)


async def measure(broker_port: int, n: int) -> dict[str, dict[str, float]]:
    """Ask `n` times each way on the broker at `broker_port`, in turns.

    Returns:
        p50 and p99 in milliseconds of `bare_ms` and `bus_ms`, and their `ratio`.
    """
    responders = [await _start(kind, broker_port) for kind in ("bare", "ours")]
    try:
        bare = BareRequester(broker_port)
        times: dict[str, list[float]] = {"bare_ms": [], "bus_ms": []}
        async with our_bus(broker_port, "requester") as bus:
            await bus.wait_connected(10)
            payload = b"x" * 200
            while len(times["bus_ms"]) < n + WARM_UP:
                for _ in range(BLOCK):
                    started = time.perf_counter()
                    bare.request(payload)
                    times["bare_ms"].append((time.perf_counter() - started) * 1e3)
                for _ in range(BLOCK):
                    started = time.perf_counter()
                    await bus.request("bench/ours/ask", payload, deadline_s=10)
                    times["bus_ms"].append((time.perf_counter() - started) * 1e3)
        bare.client.disconnect()
    finally:
        for process in responders:
            process.kill()
            await process.wait()
    result = {kind: _percentiles(values[WARM_UP:]) for kind, values in times.items()}
    result["ratio"] = {
        name: round(result["bus_ms"][name] / result["bare_ms"][name], 2) for name in ("p50", "p99")
    }
    return result


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3)}


async def _start(kind: str, port: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.bus",
        kind,
        str(port),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    assert line == b"ready\n", line
    return process


def main() -> None:
    match sys.argv[1:]:
        case ["bare", port]:
            respond_bare(int(port))
        case ["ours", port]:
            asyncio.run(respond_ours(int(port)))
        case _:
            with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder)) as broker:
                print(json.dumps(asyncio.run(measure(broker.port, 2000)), indent=1))


if __name__ == "__main__":
    main()
