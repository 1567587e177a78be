"""`andon up`: a broker and the services as children of this process, for trying out and tests.

On a box systemd does this; here one terminal does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import yaml

from schemas.channels import STATUS
from schemas.health import SERVICES, ServiceStatus
from services.runtime.bus import Bus
from services.runtime.config import Broker, Config
from services.runtime.errors import Fatal, Unavailable

Tell = Callable[[str], None]

_MOSQUITTO = ("mosquitto", "/usr/sbin/mosquitto")
_RESTART_S = 1.0
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
autosave_interval 60
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
"""

_USER = "andon"
_ACL = """\
# Anybody on this machine may report faults and read answers, but not speak for the services.
topic readwrite #
topic deny {prefix}/rpc/#
topic deny {prefix}/reply/#

user {user}
topic readwrite #
"""


def free_port(wanted: int = 0) -> int:
    """Return `wanted` if nobody listens there, else any free port of the loopback address."""
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return int(sock.getsockname()[1])
    raise Fatal("find a port", "the loopback address has none free")


def mosquitto_program() -> str:
    """Return the broker's program.

    Raises:
        Fatal: it is not installed.
    """
    for name in _MOSQUITTO:
        if found := shutil.which(name):
            return found
    raise Fatal("start broker", "mosquitto is not installed", "apt-get install mosquitto")


class Up:
    """Broker and services, started, watched, restarted when they die, and ended."""

    def __init__(
        self, config: Config, *, port: int, services: Sequence[str] = SERVICES, tell: Tell = print
    ) -> None:
        """Prepare.

        Args:
            config: the configuration; its broker is replaced by one of our own.
            port: TCP port of the broker; 0 for a free one.
            services: which to run.
            tell: where a line for a person goes.
        """
        self._data = config.data_dir.resolve()
        self._port = free_port(port)
        self._services = services
        self._tell = tell
        self.config = msgspec.structs.replace(
            config,
            data=str(self._data),
            broker=Broker(
                url=f"mqtt://127.0.0.1:{self._port}",
                username=_USER,
                password=secrets.token_urlsafe(24),
            ),
        )
        self.config_file = self._data / "up.yaml"
        self._ending = False
        self.pids: dict[str, int] = {}
        """Process ids by name, `mosquitto` among them."""

    async def run(self, *, ready: Callable[[Up], None] | None = None) -> None:
        """Run until cancelled; each process that ends by itself is started again."""
        os.umask(0o077)  # what is kept here is nobody else's; the services inherit it
        broker = mosquitto_program()
        (self._data / "broker").mkdir(parents=True, exist_ok=True)
        conf = self._data / "broker" / "mosquitto.conf"
        text = _CONF.format(port=self._port, folder=conf.parent)
        prefix = self.config.prefix
        conf.with_name("acl").write_text(_ACL.format(prefix=prefix, user=_USER), encoding="utf-8")
        await self._password(conf.with_name("passwords"))
        if os.geteuid() == 0:
            text += "user root\n"  # it would give up root, and with it the folder
        conf.write_text(text, encoding="utf-8")
        plain = msgspec.to_builtins(self.config)
        self.config_file.write_text(
            "# Written by `andon up`.\n"
            + yaml.safe_dump(plain, allow_unicode=True, sort_keys=False),
            encoding="utf-8",
        )
        begun = time.monotonic()
        # The broker is in the outer group: it goes last, so that the services can say goodbye.
        async with asyncio.TaskGroup() as outer:
            log = conf.with_name("mosquitto.log")
            keep = self._keep("mosquitto", [broker, "-c", str(conf)], log)
            outer.create_task(keep, name="mosquitto")
            await self._listening(log)
            async with asyncio.TaskGroup() as inner:
                for name in self._services:
                    command = [sys.executable, "-m", f"services.{name}", "--config"]
                    keep = self._keep(name, [*command, str(self.config_file)])
                    inner.create_task(keep, name=name)
                await self._all_ready(begun)
                if ready:
                    ready(self)

    async def _password(self, file: Path) -> None:
        """Write the broker's password file: the services' user, a new password at each start."""
        process = await asyncio.create_subprocess_exec(
            *("mosquitto_passwd", "-c", "-b", str(file), _USER, self.config.broker.password),
            stderr=asyncio.subprocess.DEVNULL,
        )
        if await process.wait():
            raise Fatal("start broker", f"mosquitto_passwd cannot write {file}")

    async def _keep(self, name: str, command: list[str], log: Path | None = None) -> None:
        """Run a program for ever; end it when cancelled. What it says goes to `log`, if given."""
        while True:
            # A group of its own: Ctrl-C reaches us alone, and we end the others in order.
            with log.open("ab") if log else contextlib.nullcontext() as said:
                process = await asyncio.create_subprocess_exec(
                    *command, start_new_session=True, stdout=said, stderr=said
                )
            self.pids[name] = process.pid
            try:
                code = await process.wait()
            finally:
                await _end(process, self.config.stop_within_s + 2)
            if code == os.EX_CONFIG:
                raise Fatal(f"start {name}", "its configuration is wrong, see above")
            self._tell(f"{name} ended with code {code} and is started again")
            await asyncio.sleep(_RESTART_S)

    async def _listening(self, log: Path) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                _reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.025)
        raise Unavailable("start broker", "it does not listen", f"{log} says why")

    async def _all_ready(self, begun: float) -> None:
        """Wait for each service's word that it is ready, and pass it on."""
        from services.client import connected  # noqa: PLC0415  a cycle otherwise

        async with connected(self.config) as bus:
            await self._each_ready(bus, begun)

    async def _each_ready(self, bus: Bus, begun: float) -> None:
        inbox = await bus.consume(STATUS.filter(self.config.prefix))
        waiting = set(self._services)
        while waiting:
            delivery = await inbox.get()
            bus.ack(delivery)
            status: ServiceStatus = STATUS.decode(delivery.payload)
            known = status.pid == self.pids.get(status.service)
            if known and status.service in waiting and status.state in {"ready", "degraded"}:
                waiting.discard(status.service)
                took = time.monotonic() - begun
                why = f" ({status.reason})" if status.reason else ""
                self._tell(
                    f"{status.service:<13}{status.state} after {took:.1f} s,"
                    f" {status.memory_mb:.0f} MB{why}"
                )


async def _end(process: asyncio.subprocess.Process, within_s: float) -> None:
    """End a child: politely, then not."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(within_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def lasting(folder: Path) -> Path:
    """Return the folder, made if need be.

    Raises:
        Fatal: it cannot be made or written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Fatal(
            "use data folder", f"{folder}: {error.strerror}", "name one with --data"
        ) from error
    return folder
