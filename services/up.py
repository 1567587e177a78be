"""`andon up`: a broker and the services as children of this process, for trying out and tests.

On a box systemd does this; here one terminal does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml

from schemas.channels import STATUS
from schemas.health import SERVICES, ServiceStatus
from schemas.models import Chosen
from services.broker import OwnBroker, any_port, port_is_free
from services.child import Child, End
from services.client import connected
from services.model_server import ModelServer, choose
from services.running import LEFT, only_one
from services.runtime import choice
from services.runtime.address import BrokerAddress
from services.runtime.bus import Bus
from services.runtime.config import Broker, Config
from services.runtime.errors import Fatal
from services.runtime.messages import Delivery, Inbox

Tell = Callable[[str], None]

DEFAULT_PORT = 1883
_LOOK_S = 0.1
_HERE = {"localhost", "127.0.0.1", "::1"}


class Up:
    """Broker and services, started, watched, restarted when they die, and ended."""

    def __init__(
        self,
        config: Config,
        *,
        port: int | None,
        own_broker: bool = True,
        model: Path | None = None,
        tell: Tell = print,
    ) -> None:
        """Prepare.

        Args:
            config: the configuration; its broker is replaced by one of our own, if wanted.
            port: TCP port of that broker; 0 for a free one; None for the configured one, else 1883,
                or if that is taken a free one.
            own_broker: whether to start a broker; else the configured one is used.
            model: a GGUF file, or a folder of some, to run a model's server for; None for none.
            tell: where a line for a person goes.

        Raises:
            Fatal: the port that was asked for is taken, or no program can run a model.
        """
        self._data = config.data_dir.resolve()
        self._services = (*SERVICES, "metrics") if config.metrics.port else SERVICES
        self._tell = tell
        self._broker: OwnBroker | None = None
        # Nothing here would start it again.
        ingest = msgspec.structs.replace(config.ingest, idle_exit_s=0.0)
        self.config = msgspec.structs.replace(config, data=str(self._data), ingest=ingest)
        if own_broker:
            wanted = self._configured_port(config.broker) if port is None else port
            self._broker = OwnBroker(self._data / "broker", self._choose(wanted))
            self.config = msgspec.structs.replace(self.config, broker=self._broker.connection)
        self._model = model.absolute() if model else None
        self._server: ModelServer | None = None
        if self._model:
            self._server = server = ModelServer(
                self._data, stop_within_s=config.stop_within_s, tell=tell
            )
            self.config = _with_model(self.config, self._model, server)
        self.config_file = self._data / LEFT
        self._children: dict[str, Child] = {}
        self._alone = asyncio.Event()
        self._alone.set()
        self._heard = False
        """Whether the orchestrator is known to be connected to the broker that runs now."""

    def _configured_port(self, broker: Broker) -> int | None:
        """Return the port of a configured broker, where one of ours can be in its place."""
        if broker == Broker():
            return None
        address = BrokerAddress.from_url(broker.url)
        if address.scheme == "mqtt" and address.host in _HERE:
            return address.port
        self._tell(
            f"broker.url {broker.url} is not used: this starts a broker of its own;"
            " --no-broker uses the configured one."
        )
        return None

    def _choose(self, port: int | None) -> int:
        if port == 0:
            return any_port()
        wanted = DEFAULT_PORT if port is None else port
        if port_is_free(wanted):
            return wanted
        if port is not None:
            raise Fatal(
                "start broker",
                f"port {port} is taken",
                "end the broker that has it, name another --port, or use it with --no-broker",
            )
        chosen = any_port()
        self._tell(
            f"Port {wanted} is taken, by another broker perhaps: ours listens on {chosen}.\n"
            "Whoever publishes faults must use that, or use the other broker with --no-broker."
        )
        return chosen

    async def run(self, *, ready: Callable[[Up], None] | None = None) -> None:
        """Run until cancelled; each process that ends by itself is started again.

        Raises:
            Fatal: another `andon up` uses the folder, or something that is needed is missing.
        """
        os.umask(0o077)  # what is kept here is nobody else's; the services inherit it
        with only_one(lasting(self._data)):
            if self._model:
                first = await asyncio.to_thread(choose, self._model, self.config)
                choice.write(self._data, Chosen(now=first))
            self._leave_config()
            begun = time.monotonic()
            # The broker is in the outer group: it goes last, so that the others can say goodbye.
            async with asyncio.TaskGroup() as outer:
                if self._broker:
                    command = await self._broker.prepare(self.config.prefix)
                    child = self._child("mosquitto", command, self._broker)
                    outer.create_task(child.keep(), name="mosquitto")
                    await self._broker.listening()
                    outer.create_task(self._guard(self._broker), name="guard")
                if self._server:
                    outer.create_task(self._server.keep(), name="model")
                async with asyncio.TaskGroup() as inner:
                    for name in self._services:
                        command = [sys.executable, "-m", f"services.{name}", "--config"]
                        child = self._child(name, [*command, str(self.config_file)])
                        inner.create_task(child.keep(), name=name)
                    async with connected(self.config) as bus:
                        inbox = await bus.consume(STATUS.filter(self.config.prefix))
                        await self._each_ready(bus, inbox, begun)
                        if self._broker and (pid := self.pids.get("mosquitto")):
                            self._broker.save(pid)
                        if ready:
                            ready(self)
                        await self._listen(bus, inbox)

    def _child(self, name: str, command: list[str], broker: OwnBroker | None = None) -> Child:
        """Return what keeps one of them running; `broker` where it is ours."""
        own = self._broker

        def after(end: End) -> None:
            if own and name == "orchestrator":
                self._worry(own)
            if broker:
                self._heard = False
                broker.careful(None, on=True)
                broker.ended(end, self._tell)
                self._alone.set()

        self._children[name] = Child(
            name,
            command,
            stop_within_s=self.config.stop_within_s + 2,
            tell=self._tell,
            watchdog_s=None if broker else self.config.watchdog_s,
            log=broker.log if broker else None,
            before=(lambda: broker.mend(self._tell)) if broker else (lambda: None),
            after=after,
        )
        return self._children[name]

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids of what runs now, by name, `mosquitto` and `llama-server` too."""
        pids = {name: child.pid for name, child in self._children.items() if child.pid}
        if self._server and self._server.pid:
            pids["llama-server"] = self._server.pid
        return pids

    def _leave_config(self) -> None:
        """Write what the services and the other commands read."""
        self.config_file.touch(mode=0o600)  # it may hold an API key
        text = yaml.safe_dump(msgspec.to_builtins(self.config), allow_unicode=True, sort_keys=False)
        self.config_file.write_text(f"# Written by `andon up`.\n{text}", encoding="utf-8")

    def _worry(self, broker: OwnBroker) -> None:
        """Have the broker be careful from now on, the orchestrator being away.

        One that has not seen the orchestrator since it began is careful already, and must not be
        told again: when it reads its configuration anew it ends sessions that it knows from its
        file alone, since it has no password for them, and with the session go the faults.
        """
        if self._heard:
            broker.careful(self.pids.get("mosquitto"), on=True)
            self._heard = False
        self._alone.set()

    async def _guard(self, broker: OwnBroker) -> None:
        """Let the broker be at ease once the orchestrator has what is its own."""
        while True:
            await self._alone.wait()
            if self._heard and (pid := self.pids.get("mosquitto")):
                self._alone.clear()
                broker.careful(pid, on=False)
            await asyncio.sleep(_LOOK_S)

    async def _listen(self, bus: Bus, inbox: Inbox) -> None:
        """Take note of who speaks through the broker that runs now."""
        while True:
            self._note(delivery := await inbox.get())
            bus.ack(delivery)

    def _note(self, delivery: Delivery) -> ServiceStatus | None:
        """Return a status, None for one that cannot be read."""
        try:
            status: ServiceStatus = STATUS.decode(delivery.payload)
        except msgspec.DecodeError as error:
            self._tell(f"an unreadable status on {delivery.topic}: {error}")
            return None
        # What is retained may be from before.
        if status.service == "orchestrator" and not delivery.retain:
            ready = status.state in {"ready", "degraded"}
            self._heard |= ready and status.pid == self.pids.get("orchestrator")
        return status

    async def _each_ready(self, bus: Bus, inbox: Inbox, begun: float) -> None:
        """Wait for each service's word that it is ready, and pass it on."""
        waiting = set(self._services)
        while waiting:
            delivery = await inbox.get()
            bus.ack(delivery)
            status = self._note(delivery)
            if status is None:
                continue
            known = status.pid == self.pids.get(status.service)
            if known and status.service in waiting and status.state in {"ready", "degraded"}:
                waiting.discard(status.service)
                took = time.monotonic() - begun
                why = f" ({status.reason})" if status.reason else ""
                self._tell(
                    f"{status.service:<13}{status.state} after {took:.1f} s,"
                    f" {status.memory_mb:.0f} MB{why}"
                )


def _with_model(config: Config, model: Path, server: ModelServer) -> Config:
    """Return the configuration with a model's server of our own."""
    folder = str(model if model.is_dir() else model.parent)
    bridge = msgspec.structs.replace(
        config.llm_bridge,
        url=server.url,
        api_key=server.key,
        ca="",
        model_folders=tuple(dict.fromkeys((*config.model_folders, folder))),
    )
    return msgspec.structs.replace(config, llm_bridge=bridge)


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
        reason = f"{folder}: {error.strerror}"
        raise Fatal("use data folder", reason, "name one with --data") from error
    return folder
