"""The broker of a box in a folder: its files made by the commands, Mosquitto started with them."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from services.signals import signalled
from tests.support.mosquitto import free_port, program

ROOT = Path(__file__).resolve().parents[2]
SOON_S = 20.0
DENIED = 135
"""MQTT 5: not authorized."""


class BoxBroker:
    """One broker with access list, inside and plant; kept in `folder` over restarts."""

    def __init__(self, folder: Path, *options: str, config: str = "") -> None:
        """Make passwords and certificates; `options` go to `andon access init`."""
        self.folder = folder
        self.etc, self.state, self.run = folder / "etc", folder / "state", folder / "run"
        self.connected = folder / "connected"
        for one in (self.state, self.run):
            one.mkdir(parents=True)
        self.tls_port, self.plain_port = free_port(), free_port()
        self.config = folder / "config.yaml"
        self.config.write_text(
            f"broker:\n  url: unix://{self.socket}\n  username: '{{service}}'\n"
            f"  password_file: {self.etc}/credentials/{{service}}\n"
            f"data: {folder / 'data'}\n{config}",
            encoding="utf-8",
        )
        ports = ("--tls-port", str(self.tls_port), "--plain-port", str(self.plain_port))
        self.access("init", *ports, "--host", "localhost", "--host", "127.0.0.1", *options)
        if os.geteuid() == 0:  # or it would give up the right to write our folder
            (self.etc / "broker" / "conf.d" / "root.conf").write_text("user root\n")
        self.log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.run / "broker.sock"

    @property
    def ca(self) -> Path:
        return self.etc / "broker" / "tls" / "ca.crt"

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `andon …` against it."""
        command = [sys.executable, "-m", "services.cli", *arguments, "--config", str(self.config)]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )

    def try_access(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `andon access …`, whatever comes of it."""
        group = grp.getgrgid(os.getegid()).gr_name
        return self.cli("access", *arguments, "--etc", str(self.etc), "--group", group)

    def access(self, *arguments: str) -> Any:
        """Run `andon access … --json`, and return what it printed."""
        done = self.try_access(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def broker(self, what: str) -> Any:
        """Run `andon broker prepare` or `care`, as the units do."""
        places = {"--etc": self.etc, "--state": self.state, "--run-dir": self.run}
        options = [str(one) for pair in places.items() for one in pair]
        done = self.cli("broker", what, *options, "--connected", str(self.connected), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def prepare(self) -> list[str]:
        """As ExecStartPre."""
        told: list[str] = self.broker("prepare")["told"]
        return told

    def start(self) -> list[str]:
        """Prepare, start, and wait until it takes connections; return what was told."""
        told = self.prepare()
        binary = program()
        assert binary, "mosquitto is missing: apt-get install mosquitto"
        assert self._process is None
        with self.log.open("ab") as log:
            command = [binary, "-c", self.run / "mosquitto.conf"]
            self._process = subprocess.Popen(command, stderr=log, stdout=log)
        deadline = time.monotonic() + SOON_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"mosquitto did not start:\n{self.log.read_text()}")
            time.sleep(0.01)
        (self.run / "broker.starting").unlink()  # as ExecStartPost
        return told

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
            return True
        return False

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def hang_up(self) -> None:
        """SIGHUP, once it catches that."""
        deadline = time.monotonic() + SOON_S
        while not signalled(self.pid, signal.SIGHUP):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _end(self, sent: signal.Signals) -> None:
        process, self._process = self._process, None
        if process:
            process.send_signal(sent)
            process.wait(SOON_S)

    def password(self, user: str) -> str:
        """That of one of Andon's own users."""
        return (self.etc / "credentials" / user).read_text().strip()

    def inside(self, user: str, client_id: str = "", **options: Any) -> Client:
        """A connection as one of Andon's own users."""
        client_id = client_id or f"andon-{user}"
        return Client(self, user, self.password(user), client_id, unix=True, **options)

    def outside(self, user: str, password: str, client_id: str = "x", **options: Any) -> Client:
        """A connection from the plant, with TLS unless `port` says otherwise."""
        return Client(self, user, password, client_id, **options)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Client:
    """An MQTT client that tells everything the broker says to it."""

    def __init__(
        self,
        broker: BoxBroker,
        user: str | None,
        password: str | None,
        client_id: str,
        *,
        unix: bool = False,
        port: int = 0,
        tls: bool = True,
        certificate: tuple[str, str] | None = None,
        session: bool = False,
        version: int = paho.MQTTv5,
    ) -> None:
        self.got: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._said: queue.Queue[int] = queue.Queue()
        self._gone = threading.Event()
        self.why_gone = 0
        self._client = client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTProtocolVersion(version),
            clean_session=None if version == paho.MQTTv5 else not session,
            transport="unix" if unix else "tcp",
            reconnect_on_failure=False,
        )
        if user is not None:
            client.username_pw_set(user, password)
        if not unix and tls:
            context = ssl.create_default_context(cafile=str(broker.ca))
            if certificate:
                context.load_cert_chain(*certificate)
            client.tls_set_context(context)
        client.on_connect = lambda _c, _u, _f, reason, _p: self._said.put(reason.value)
        client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._said.put(reasons[0].value)
        client.on_publish = lambda _c, _u, _m, reason, _p: self._said.put(reason.value)
        client.on_message = lambda _c, _u, message: self.got.put(message)
        client.on_disconnect = self._disconnected
        options: dict[str, Any] = {}
        if version == paho.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600 if session else 0
            options = {"clean_start": not session, "properties": properties}
        host = str(broker.socket) if unix else "127.0.0.1"
        client.connect(host, port or broker.tls_port, **options)
        client.loop_start()
        self.connected = self._answer()
        """Reason code of the broker's CONNACK, 0 is yes; 1000 where it closed instead."""

    def _disconnected(self, *arguments: Any) -> None:
        self.why_gone = arguments[3].value
        self._gone.set()
        self._said.put(1000)

    def _answer(self) -> int:
        return self._said.get(timeout=SOON_S)

    def subscribe(self, topic: str) -> int:
        """Return the reason code; 128 and above is no."""
        self._client.subscribe(topic, 1)
        return self._answer()

    def publish(self, topic: str, payload: bytes | str = b"x", *, retain: bool = False) -> int:
        """Return the reason code; with MQTT 3.1.1 it is always 0."""
        self._client.publish(topic, payload, 1, retain)
        return self._answer()

    def next(self) -> paho.MQTTMessage:
        """The next message that comes."""
        return self.got.get(timeout=SOON_S)

    def gone(self) -> bool:
        """Wait until the broker ended the connection; whether it did."""
        return self._gone.wait(SOON_S)

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._stop()

    def _stop(self) -> None:
        self._client.loop_stop()
        self._client._reset_sockets(sockpair_only=True)  # or they stay until it is collected

    def vanish(self) -> None:
        """Be gone without a word, as after kill -9."""
        sock = self._client.socket()
        self._stop()
        if sock:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
