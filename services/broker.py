"""The private Mosquitto of `andon up`: its files and how it is started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from services import broker_file
from services.broker_conf import CAREFUL, EASY
from services.child import End
from services.mosquitto import program
from services.rights import internal
from services.runtime.config import Broker
from services.runtime.errors import Fatal, Unavailable
from services.signals import signalled

USER = "andon"
LISTEN_S = 20.0
_CONF = """\
# Written by `andon up`; loopback only, so that PLCs and scanners need no password.
listener {port} 127.0.0.1
allow_anonymous true
acl_file {folder}/acl
password_file {folder}/passwords
set_tcp_nodelay true
max_inflight_messages 200
max_queued_messages 100000
max_queued_bytes 67108864
max_packet_size 2097152
persistence true
persistence_location {folder}/
# A PUBACK says that Mosquitto has a message, not that the disk has it. To write the file after
# each message costs 43 to 177 messages a second instead of 3,000, and with the answers of 500
# machines retained 3.8 MB a message. So `andon up` has it do so while it matters: see `careful`.
{autosave}
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
"""
_ACL = """\
# Anybody on this machine may report faults and read answers, but not speak for the services.
topic readwrite #
{internal}

user {user}
topic readwrite #
"""


def port_is_free(port: int) -> bool:
    """Return whether nobody listens on this port of the loopback address."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def any_port() -> int:
    """Return a port of the loopback address that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class OwnBroker:
    """Files of a broker in a folder, and the connection to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self.log = folder / "mosquitto.log"
        self.file = folder / "mosquitto.db"
        self._fatal: str | None = None
        self.connection = Broker(
            url=f"mqtt://127.0.0.1:{port}", username=USER, password=secrets.token_urlsafe(24)
        )

    async def prepare(self, prefix: str) -> list[str]:
        """Write the files; return the command that starts the broker.

        Raises:
            Fatal: Mosquitto is not installed, or its password file cannot be written.
        """
        command = [program("mosquitto"), "-c", str(self._folder / "mosquitto.conf")]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_conf(CAREFUL)  # its file may hold faults for the orchestrator's session
        denied = "\n".join(f"topic deny {topic}" for topic in internal(prefix))
        acl = _ACL.format(internal=denied, user=USER)
        (self._folder / "acl").write_text(acl, encoding="utf-8")
        passwords = str(self._folder / "passwords")
        process = await asyncio.create_subprocess_exec(
            *(program("mosquitto_passwd"), "-c", "-b", passwords, USER, self.connection.password),
            stderr=asyncio.subprocess.DEVNULL,
        )
        if await process.wait():
            raise Fatal("start broker", f"mosquitto_passwd cannot write {passwords}")
        return command

    def mend(self, tell: Callable[[str], None]) -> None:
        """Before each start: set a damaged file aside, since Mosquitto would not start with it.

        What it held of sessions, of messages that waited and of retained ones is lost; the
        services subscribe anew, and the ledger has all they took in.
        """
        if reason := broker_file.damage(self.file):
            self._set_aside(reason, tell)

    def ended(self, end: End, tell: Callable[[str], None]) -> None:
        """After each end that was not asked for: set a file aside that it cannot begin with.

        Some damage only Mosquitto itself sees, or dies of: twice with the same file is enough.
        """
        known, self._fatal = self._fatal, None
        by_itself = end.code not in {0, -signal.SIGTERM, -signal.SIGKILL}
        at_fault = by_itself and not end.ready and port_is_free(self._port)
        if not at_fault or not (found := broker_file.fingerprint(self.file)):
            return
        if found == known:
            self._set_aside(f"Mosquitto twice {end} with it", tell)
        else:
            self._fatal = found

    def _set_aside(self, reason: str, tell: Callable[[str], None]) -> None:
        line = broker_file.put_aside(self.file, reason)
        tell(line)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def careful(self, pid: int | None, *, on: bool) -> bool:
        """Have the broker write its file after whatever it confirmed, or once a minute.

        For the time when the orchestrator is away and faults lie with the broker alone. Mosquitto
        reads that setting again on SIGHUP and writes in the turn of its loop in which it sent the
        PUBACKs, right after them.

        Args:
            pid: the broker that runs; None for the one that starts next.
            on: whether to.

        Returns:
            Whether it knows. One that has just begun may not; ask again.
        """
        self._write_conf(CAREFUL if on else EASY)
        return pid is None or signalled(pid, signal.SIGHUP)

    def save(self, pid: int) -> None:
        """Have the running broker write its file now; mosquitto(8), SIGUSR1.

        Asked for once all are ready, since a broker killed before knows no session afterwards
        and confirms faults that nobody gets.
        """
        signalled(pid, signal.SIGUSR1)

    def _write_conf(self, autosave: str) -> None:
        conf = _CONF.format(port=self._port, folder=self._folder, autosave=autosave)
        if os.geteuid() == 0:
            conf += "user root\n"  # it would give up root, and with it the folder
        new = self._folder / "mosquitto.conf.new"
        new.write_text(conf, encoding="utf-8")
        new.replace(self._folder / "mosquitto.conf")

    async def listening(self) -> None:
        """Wait until it takes connections.

        Raises:
            Unavailable: it does not, after `LISTEN_S` seconds.
        """
        try:
            async with asyncio.timeout(LISTEN_S):
                while True:
                    with contextlib.suppress(OSError):
                        _reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                        writer.close()
                        await writer.wait_closed()
                        return
                    await asyncio.sleep(0.025)
        except TimeoutError:
            raise Unavailable(
                "start broker", "it does not listen", f"{self.log} says why"
            ) from None
