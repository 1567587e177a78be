"""A program that is kept running: ended when it hangs, started again when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from services.runtime.errors import Fatal

RESTART_S = 1.0
RESTART_MOST_S = 30.0
LENIENT = 3
"""Failures in a row after which the wait before each start doubles."""
START_S = 60.0
"""How long a program may take to its first sign of life."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class End:
    """How a run of a program ended."""

    code: int
    """Exit code; the number of a signal, negative."""
    ready: bool
    """Whether it had said that it is ready."""
    hung: bool
    """Whether it was ended for want of a sign of life."""

    @property
    def failed(self) -> bool:
        """Whether it is to blame itself, rather than somebody who ended it at work."""
        told = self.code in {0, -signal.SIGTERM, -signal.SIGKILL}
        return self.hung or not self.ready or not told

    def __str__(self) -> str:
        if self.hung:
            return "hung and was ended"
        if self.code >= 0:
            return f"ended with code {self.code}"
        return f"was ended by {signal.Signals(-self.code).name}"


class Signs:
    """What a program says of itself over sd_notify(3), on a socket of its own."""

    def __init__(self) -> None:
        self.ready = False
        self.status = ""
        """Its last words for a person."""
        self.at: float | None = None
        """When it last gave a sign of life, monotonic seconds; None before the first."""
        # In the abstract namespace: no file is left, and no path is too long.
        self.address = f"@andon-{os.getpid()}-{secrets.token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        self._socket.bind(f"\0{self.address[1:]}")
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        for line in self._socket.recv(4096).decode("utf-8", "replace").splitlines():
            match line.partition("="):
                case "READY", _, "1":
                    self.ready = True
                    self.at = time.monotonic()
                case (("WATCHDOG" | "STOPPING"), _, "1"):
                    self.at = time.monotonic()
                case "STATUS", _, text:
                    self.status = text


class Child:
    """One program, run again and again until cancelled."""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        stop_within_s: float,
        tell: Callable[[str], None],
        watchdog_s: float | None = None,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] = lambda: None,
        after: Callable[[End], None] = lambda _end: None,
    ) -> None:
        """Prepare; `keep` runs it.

        Args:
            name: what a person calls it.
            command: program and arguments.
            stop_within_s: how long it has to end when told to.
            tell: where a line for a person goes.
            watchdog_s: without a sign of life for so long it is ended; None where it gives none.
            log: where what it prints goes; None for where ours goes.
            env: added to its environment.
            before: called before each start.
            after: called after each end that was not asked for.
        """
        self._name = name
        self._command = command
        self._stop_within_s = stop_within_s
        self._tell = tell
        self._watchdog_s = watchdog_s
        self._log = log
        self._env = env or {}
        self._before = before
        self._after = after
        self.pid: int | None = None
        """Of the process that runs now."""
        self._signs: Signs | None = None

    @property
    def ready(self) -> bool:
        """Whether it runs and has said that it is ready."""
        return self._signs is not None and self._signs.ready

    async def keep(self) -> None:
        """Run for ever; the process ends when this is cancelled.

        Raises:
            Fatal: the program says that starting it again is of no use.
        """
        failures = 0
        while True:
            self._before()
            end = await self._run()
            self._after(end)
            if end.code == os.EX_CONFIG:
                raise Fatal(f"start {self._name}", "it cannot run like this, see above")
            failures = failures + 1 if end.failed else 0
            pause = min(RESTART_S * 2 ** max(0, failures - LENIENT), RESTART_MOST_S)
            again = "is started again"
            if failures > LENIENT:
                again = f"failed {failures} times in a row, see above; it {again} in {pause:.0f} s"
            self._tell(f"{self._name} {end} and {again}")
            await asyncio.sleep(pause)

    async def _run(self) -> End:
        """Run once."""
        with Signs() as signs:
            environment = {**os.environ, **self._env, "NOTIFY_SOCKET": signs.address}
            for foreign in ("WATCHDOG_PID", "WATCHDOG_USEC"):
                environment.pop(foreign, None)
            if self._watchdog_s:
                environment["WATCHDOG_USEC"] = str(int(self._watchdog_s * 1e6))
            # A session of its own: Ctrl-C reaches us alone, and we end the others in order.
            with self._log.open("ab") if self._log else contextlib.nullcontext() as said:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    start_new_session=True,
                    stdout=said,
                    stderr=said,
                    env=environment,
                    preexec_fn=_die_with_parent,
                )
            self.pid = process.pid
            self._signs = signs
            watching = asyncio.create_task(self._hangs(signs), name=f"watch {self._name}")
            waiting = asyncio.create_task(process.wait(), name=f"wait for {self._name}")
            try:
                await asyncio.wait({watching, waiting}, return_when=asyncio.FIRST_COMPLETED)
                hung = not waiting.done()
                if hung:
                    said_last = f", its last word: {signs.status}" if signs.status else ""
                    self._tell(f"{self._name} gives no sign of life{said_last}")
                    process.kill()
                return End(await waiting, signs.ready, hung)
            finally:
                self.pid = self._signs = None
                watching.cancel()
                await _end(process, self._stop_within_s)

    async def _hangs(self, signs: Signs) -> None:
        """Return when it hangs."""
        if not self._watchdog_s:
            await asyncio.Event().wait()
            return
        begun = time.monotonic()
        while True:
            until = signs.at + self._watchdog_s if signs.at else begun + START_S
            if (left := until - time.monotonic()) <= 0:
                return
            await asyncio.sleep(min(left, self._watchdog_s))


def _die_with_parent() -> None:
    """For a child: SIGTERM when we are killed and cannot end it ourselves (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
