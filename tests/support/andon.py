"""A whole Andon in a folder: `andon up` as a person starts it, and the commands beside it."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import paho.mqtt.client as paho

from services.client import Client, connected
from services.runtime import config as configuration
from services.runtime.errors import AndonError
from tests.support.mosquitto import free_port
from tests.support.processes import gone

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
SOON_S = 60.0


class Andon:
    """Broker and services, from start to stop."""

    def __init__(
        self, folder: Path, config: str = "", *, options: Sequence[str] = (), **env: str
    ) -> None:
        """Prepare; `options` are further ones of `andon up`."""
        self._options = options
        self._env = {**os.environ, **env}
        self.data = folder / "data"
        self.config = folder / "given.yaml"
        self.config.write_text(config, encoding="utf-8")
        self.log = folder / "andon.log"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "services.cli", "up", "--port", str(free_port())]
        command += ["--config", str(self.config), "--data", str(self.data)]
        command += self._options
        with self.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while "Andon is up" not in self.said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"andon up did not start:\n{self.said()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self.exit_code = self._process.returncode

    def said(self) -> str:
        """What it and its services printed so far."""
        return self.log.read_text(encoding="utf-8")

    @property
    def running_config(self) -> Path:
        return self.data / "up.yaml"

    @property
    def port(self) -> int:
        text = self.running_config.read_text(encoding="utf-8")
        return int(text.split("mqtt://127.0.0.1:")[1].split()[0])

    def cli(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run `andon …` against it."""
        command = [sys.executable, "-m", "services.cli", *arguments]
        command += ["--config", str(self.running_config)]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
        )

    def json(self, *arguments: str) -> Any:
        """Run `andon … --json`, and return what it printed."""
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr + self.said()
        return json.loads(done.stdout)

    def documents(self) -> list[dict[str, Any]]:
        """What `andon documents --json` prints, for those who ask often; nothing from nobody."""

        async def listed() -> list[dict[str, Any]]:
            config = configuration.load(self.running_config)
            async with connected(config) as bus:
                return [msgspec.to_builtins(one) async for one in Client(bus, config).documents()]

        try:
            return asyncio.run(listed())
        except AndonError:  # a service that is just starting
            return []

    def json_whatever(self, *arguments: str) -> Any:
        """The same, of a command whose exit code tells of trouble as well."""
        done = self.cli(*arguments, "--json")
        return json.loads(done.stdout)

    def json_status(self) -> Any:
        """What `andon status --json` says, whatever the exit code."""
        return self.json_whatever("status")

    def status(
        self,
        service: str,
        wanted: Callable[[dict[str, Any]], object] = lambda _status: True,
        *,
        within_s: float = SOON_S,
    ) -> dict[str, Any]:
        """What a service says of itself at the broker, as soon as it is what is wanted."""
        deadline = time.monotonic() + within_s
        while True:  # the broker may be just starting, or end
            try:
                with listening(self.port, f"andon/status/{service}") as client:
                    found: dict[str, Any] = json.loads(
                        client.next(
                            lambda m: bool(m.payload) and wanted(json.loads(m.payload)),
                            within_s=deadline - time.monotonic(),
                        ).payload
                    )
                    return found
            except OSError:
                assert time.monotonic() < deadline, self.said()
                time.sleep(0.02)
            except queue.Empty:
                raise AssertionError(f"{service} does not say so:\n{self.said()}") from None

    def pid(self, service: str) -> int:
        """Process id of a service that is running now."""
        found: int = self.status(
            service, lambda said: said["state"] in {"ready", "degraded"} and not gone(said["pid"])
        )["pid"]
        return found

    @property
    def up_pid(self) -> int:
        """Process id of `andon up` itself."""
        assert self._process is not None
        return self._process.pid

    def kill(self, service: str, sent: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a service; `andon up` starts it again when it ends."""
        os.kill(self.pid(service), sent)


class Listener:
    """An MQTT client as plain as a scanner: MQTT 3.1.1 unless told otherwise."""

    def __init__(self, port: int, *topics: str, version: int = paho.MQTTv311) -> None:
        self._got: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._ready = threading.Event()
        self._topics = topics
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTProtocolVersion(version)
        )
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _u, message: self._got.put(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not topics:
            self._ready.set()
        assert self._ready.wait(SOON_S)

    def _connected(self, *_: Any) -> None:
        if self._topics:
            self._client.subscribe([(topic, 1) for topic in self._topics])

    def publish(self, topic: str, payload: Any, **options: Any) -> None:
        """Publish with QoS 1, and wait for the broker's word."""
        if isinstance(payload, dict):
            payload = json.dumps(payload)
        self._client.publish(topic, payload, qos=1, **options).wait_for_publish(SOON_S)

    def next(
        self,
        wanted: Callable[[paho.MQTTMessage], object] = lambda _m: True,
        *,
        within_s: float = SOON_S,
    ) -> Any:
        """The next message that is wanted."""
        deadline = time.monotonic() + within_s
        while True:
            message = self._got.get(timeout=max(0.01, deadline - time.monotonic()))
            if wanted(message):
                return message

    def answer(self, stage: str = "final") -> dict[str, Any]:
        """The next answer of a stage."""
        message = self.next(
            lambda m: m.payload[:1] == b"{" and f'"stage":"{stage}"'.encode() in m.payload
        )
        got: dict[str, Any] = json.loads(message.payload)
        return got

    def waiting(self) -> int:
        """How many messages have come and were not asked for."""
        return self._got.qsize()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # paho closes its pair of sockets when it goes, which a cycle of references would put off.
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None
        del self._client


@contextmanager
def listening(port: int, *topics: str, version: int = paho.MQTTv311) -> Iterator[Listener]:
    """A client for the length of a block."""
    client = Listener(port, *topics, version=version)
    try:
        yield client
    finally:
        client.close()
