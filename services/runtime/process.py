"""One way to run a service: config, log, bus, tasks, readiness, watchdog, drain, stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal, Protocol

from schemas.channels import REPLY, STATUS
from schemas.health import ServiceStatus
from services.runtime import config as configuration
from services.runtime import log as logs
from services.runtime.bus import Bus
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.connect import as_service, open_bus
from services.runtime.errors import AndonError, Damaged, Fatal, Retryable, leaves
from services.runtime.messages import Will
from services.runtime.metrics import memory_mb
from services.runtime.notify import notify, tell_connected, watchdog_s
from services.runtime.rpc import Caller, Server, client_id

log = logging.getLogger(__name__)

EXIT_CONFIG = 78  # EX_CONFIG of sysexits(3): systemd must not restart a wrong configuration
EXIT_FAILED = 1
_LAST_WORDS_S = 2.0
"""How long a process that fails waits for the broker, to tell why."""


class Health:
    """What a service says of itself; published when it changes and every few seconds."""

    def __init__(self) -> None:
        self.facts: dict[str, str | int | float | bool] = {}
        self.farewell = ""
        """Why it ends, where that is no failure."""
        self._troubles: dict[str, str] = {}
        self.changed = asyncio.Event()

    def trouble(self, key: str, reason: str) -> None:
        """Say that something is missing; the state is `degraded` until it is `well`."""
        if self._troubles.get(key) != reason:
            log.warning("%s: %s", key, reason)
            self._troubles[key] = reason
            self.changed.set()

    def rests(self, reason: str) -> None:
        """Say that the service is about to end because there is nothing to do."""
        self.farewell = reason
        self.facts = {"resting": True}

    def well(self, key: str) -> None:
        """Say that what was missing is back."""
        if self._troubles.pop(key, None) is not None:
            log.info("%s: well again", key)
            self.changed.set()

    @property
    def reason(self) -> str:
        """Return what is missing, one line; empty when all is well."""
        return "; ".join(self._troubles.values())


@dataclass(slots=True)
class Context:
    """What a running service has at hand."""

    config: Config
    """The configuration."""
    bus: Bus
    """The broker's connection, open or trying."""
    caller: Caller
    """Requests to other services."""
    server: Server
    """Requests from other services."""
    tasks: asyncio.TaskGroup
    """Tasks that live as long as the service; one that fails ends it."""
    stopping: asyncio.Event
    """Set when the service shall end: take nothing new."""
    health: Health
    """What it says of itself."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a named task."""
        return self.tasks.create_task(work, name=name)


class Service(Protocol):
    """A process of Andon."""

    name: ClassVar[str]
    """Its name on the bus and in the configuration."""
    keeps_session: ClassVar[bool]
    """Whether the broker keeps messages for it while it is away."""

    async def start(self, context: Context) -> None:
        """Open files, subscribe, spawn tasks; return when ready to work."""

    async def drain(self) -> None:
        """Take nothing new and finish what is begun; cut off when `stop_within_s` is over."""

    async def close(self) -> None:
        """Let go of files and connections; always called, also where `start` failed."""


def version_of_andon() -> str:
    """Return the installed version, `0+source` when run from a checkout that is not installed."""
    try:
        return version("andon")
    except PackageNotFoundError:
        return "0+source"


class _Runner:
    """A service, its bus and its status, from start to stop."""

    def __init__(self, service: Service, config: Config) -> None:
        self._service = service
        self._config = config
        self._since = now()
        self._health = Health()
        self._started = False
        self._ended_by = ""
        self._stopping = asyncio.Event()
        self._version = version_of_andon()

    def _status(
        self, state: Literal["starting", "ready", "degraded", "stopping", "offline"]
    ) -> bytes:
        alive = state != "offline"
        gone = self._ended_by or self._health.farewell or "the process is not running"
        facts = self._health.facts if alive or self._health.farewell else {}
        return STATUS.encode(
            ServiceStatus(
                service=self._service.name,
                state=state,
                reason=self._health.reason if alive else gone,
                memory_mb=memory_mb() if alive else 0.0,
                budget_mb=getattr(self._config, self._service.name).budget_mb,
                pid=os.getpid() if alive else 0,
                version=self._version,
                since=self._since,
                facts=facts,
            )
        )

    async def run(self) -> None:
        name, prefix = self._service.name, self._config.prefix
        topic = STATUS.topic(prefix, service=name)
        bus = open_bus(
            as_service(self._config.broker, name),
            client_id=client_id(prefix, name),
            reply_topic=REPLY.topic(prefix, client_id=client_id(prefix, name)),
            keep_session=self._service.keeps_session,
            will=Will(topic=topic, payload=self._status("offline"), qos=1, retain=True),
            on_connection=self._on_connection,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._callback_broke: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._broken)
        async with bus:
            try:
                await self._serve(bus, topic)
            except Exception as error:
                self._ended_by = "the process ended: " + "; ".join(map(str, leaves(error)))
                with contextlib.suppress(Retryable):  # a start that fails at once is that quick
                    await bus.wait_connected(_LAST_WORDS_S)
                raise
            finally:
                with contextlib.suppress(Retryable):  # a broker that is away has our will
                    await bus.publish(topic, self._status("offline"), retain=True, timeout=2.0)

    def _on_connection(self, up: bool) -> None:
        self._health.changed.set()
        tell_connected(up)

    async def _serve(self, bus: Bus, topic: str) -> None:
        """Run the service until told to stop; the tasks of its group end with it."""
        prefix = self._config.prefix
        beating = asyncio.create_task(self._beat(), name="watchdog")
        try:
            async with asyncio.TaskGroup() as tasks:
                context = Context(
                    config=self._config,
                    bus=bus,
                    caller=Caller(bus, prefix),
                    server=Server(bus, prefix, tasks),
                    tasks=tasks,
                    stopping=self._stopping,
                    health=self._health,
                )
                tasks.create_task(bus.failed(), name="bus")
                tasks.create_task(
                    context.caller.watch(context.server.forget), name="other services"
                )
                tasks.create_task(self._callbacks(), name="callbacks")
                reporting = tasks.create_task(self._report(bus, topic), name="status")
                with bus.starting():
                    await self._service.start(context)
                self._started = True
                self._health.changed.set()
                notify("READY=1", "STATUS=ready")
                log.debug("%s is ready", self._service.name)
                await self._stopping.wait()
                reporting.cancel()
                await self._stop(bus, topic, context)
                raise _Stopped  # noqa: TRY301  the way out of a TaskGroup
        except* _Stopped:
            pass
        finally:
            await self._service.close()
            beating.cancel()

    async def _stop(self, bus: Bus, topic: str, context: Context) -> None:
        """Drain within the deadline, then let go."""
        notify("STOPPING=1")
        log.info("%s stops", self._service.name)
        # First: the broker confirms the next message behind the requests that were on their way.
        context.server.leave()
        with contextlib.suppress(Retryable):
            await bus.publish(topic, self._status("stopping"), retain=True, timeout=1.0)
        try:
            async with asyncio.timeout(self._config.stop_within_s):
                await context.server.drain()
                await self._service.drain()
        except TimeoutError:
            log.warning("not everything was finished in %s s", self._config.stop_within_s)

    async def _report(self, bus: Bus, topic: str) -> None:
        """Publish the status when it changes, and every few seconds."""
        while True:
            if bus.disputed:
                self._health.facts["client_id_disputed"] = bus.disputed
            else:
                self._health.facts.pop("client_id_disputed", None)
            self._health.changed.clear()
            if bus.connected:
                with contextlib.suppress(Retryable):  # the next one tells as much
                    await bus.publish(topic, self._status(self._state), retain=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.status_every_s):
                    await self._health.changed.wait()

    async def _callbacks(self) -> None:
        """Wait for a callback of the event loop to break, and raise its reason."""
        await self._callback_broke

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take note of what the event loop would only log: a timer or callback that broke.

        Nobody waits for those. The process would go on without what they were for.
        """
        error = context.get("exception")
        called = "handle" in context and not self._callback_broke.done()
        if called and isinstance(error, Exception):
            self._callback_broke.set_exception(error)
        else:
            loop.default_exception_handler(context)

    @property
    def _state(self) -> Literal["starting", "ready", "degraded"]:
        if not self._started:
            return "starting"
        return "degraded" if self._health.reason else "ready"

    async def _beat(self) -> None:
        """Tell systemd that the event loop turns, while draining too."""
        every = watchdog_s()
        while every is not None:
            notify("WATCHDOG=1")
            await asyncio.sleep(every / 3)


class _Stopped(Exception):
    pass


def run(build: Callable[[Config], Service], argv: list[str] | None = None) -> int:
    """Run a service until SIGTERM or SIGINT; return the process's exit code."""
    parser = argparse.ArgumentParser(description="A service of Andon.")
    parser.add_argument("--config", metavar="FILE", help="configuration file (config.yaml)")
    options = parser.parse_args(argv)
    try:
        config = configuration.load(configuration.find(options.config))
    except Fatal as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    logs.setup(config.log)
    try:
        service = build(config)
        logs.setup(config.log, service.name)
        asyncio.run(_run(service, config))
    except Exception as error:
        causes = leaves(error)
        for cause in causes:
            expected = isinstance(cause, AndonError)
            log.critical("%s", cause, exc_info=None if expected else cause)
        # After a damaged file the next start goes on without it, so there must be one.
        fatal = all(isinstance(c, Fatal) and not isinstance(c, Damaged) for c in causes)
        return EXIT_CONFIG if fatal else EXIT_FAILED
    return 0


async def _run(service: Service, config: Config) -> None:
    await _Runner(service, config).run()
