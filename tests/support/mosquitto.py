"""A private Mosquitto: its own folder, a free port, ended by its process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files for a listener that asks for a client certificate."""

    ca: Path
    cert: Path
    key: Path


def program() -> str | None:
    """Path of the broker's program; Debian keeps it where users' PATH does not look."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A TCP port nobody listens on now.

    Not one of those the kernel gives to connections: while a broker is away, somebody's client
    could have its port, or, where it tries to connect again and again, be connected to itself.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(min(10_000, lowest - 1000), lowest)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Mosquitto:
    """One broker, that can be stopped, killed and started again on the same port and folder."""

    def __init__(
        self,
        folder: Path,
        *,
        tls: Tls | None = None,
        unix: bool = False,
        persistence: bool = False,
        users: dict[str, str] | None = None,
        extra: str = "",
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "mqtt.sock" if unix else None
        self.log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            "per_listener_settings false",
            f"allow_anonymous {'false' if users else 'true'}",
            "set_tcp_nodelay true",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "connection_messages true",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # or it would give up the right to write our folder
        if persistence:
            # Written after each change, so that a killed broker has them too.
            lines += [
                "persistence true",
                f"persistence_location {folder}/",
                "autosave_on_changes true",
                "autosave_interval 1",
            ]
        if users:
            lines.append(f"password_file {self._passwords(users)}")
        lines.append(f"listener {self.port} 127.0.0.1")
        if tls:
            lines += [
                f"cafile {tls.ca}",
                f"certfile {tls.cert}",
                f"keyfile {tls.key}",
                "require_certificate true",
            ]
        if self.socket:
            lines.append(f"listener 0 {self.socket}")
        self.config = folder / "mosquitto.conf"
        self.config.write_text("\n".join([*lines, extra, ""]))

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        binary = program()
        assert binary, "mosquitto is missing: apt-get install mosquitto"
        assert self._process is None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([binary, "-c", self.config], stderr=log, stdout=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"mosquitto did not start:\n{self.log.read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    async def in_thread(self, action: str) -> None:
        """Do `start`, `stop`, `kill` or `restart` while the event loop runs on."""
        await asyncio.to_thread(getattr(self, action))

    def _end(self, sent: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sent)
        try:
            process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError):
            if self.socket:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self.socket))
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        return False

    def _passwords(self, users: dict[str, str]) -> Path:
        passwords = self.folder / "passwords"
        passwords.write_text("")
        passwords.chmod(0o600)
        for name, word in users.items():
            subprocess.run(["mosquitto_passwd", "-b", passwords, name, word], check=True)
        return passwords

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
