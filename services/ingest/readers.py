"""Starts readers: keeps the process they are forked from, see zygote.py, while it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from services.ingest import frames
from services.ingest.zygote import MAX_ORDER, Answer, Order

log = logging.getLogger(__name__)

IDLE_S = 10.0
"""Seconds without a document after which nothing is kept."""
_ANSWER_S = 60.0
"""Seconds it may take to load what a kind of document needs: a slow board, a cold disk."""
_ROOT = Path(__file__).resolve().parents[2]
_MODULE = "services.ingest.zygote"


class Reader:
    """A reader at work, a child of this process."""

    def __init__(self, pid: int, output: asyncio.StreamReader, pipe: asyncio.BaseTransport) -> None:
        """Take charge of it: `wait` must be awaited once, or what is left of it stays."""
        self.pid = pid
        self.resident_mb = 0.0
        """The most memory it had at hand, MiB; known from its end on."""
        self.output = output
        self._pipe = pipe
        self._end = asyncio.get_running_loop().create_future()
        self._watched = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._watched, self._ended)

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not self._end.done()

    def kill(self) -> None:
        """End it."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Return its exit code, that of a signal negative, once it has ended."""
        code: int = await asyncio.shield(self._end)
        self._pipe.close()
        return code

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watched)
        os.close(self._watched)
        _, status, used = os.wait4(self.pid, 0)
        self.resident_mb = used.ru_maxrss / 1024
        self._end.set_result(os.waitstatus_to_exitcode(status))


async def _end(starting: asyncio.Task[Reader]) -> None:
    """End a reader as soon as it is started."""
    with contextlib.suppress(OSError):
        reader = await starting
        reader.kill()
        await reader.wait()


class Readers:
    """Where readers come from."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        """Make it; nothing is started before the first document."""
        self._idle_s = idle_s
        self._zygote: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._lock = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        """Readers that nobody waits for any more."""

    @property
    def pid(self) -> int | None:
        """Process id of what readers are forked from; None while there is none."""
        return self._zygote.pid if self._zygote and self._zygote.returncode is None else None

    async def start(self, job: frames.Job, environment: dict[str, str], errors: BinaryIO) -> Reader:
        """Start a reader of a file.

        Raises:
            OSError: there is no room for a process.
        """
        starting = asyncio.create_task(self._start(job, environment, errors), name="start reader")
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Who is cancelled a second time waits no longer; what was started ends all the same.
            ending = asyncio.create_task(_end(starting), name="end reader")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End what is kept; readers at work go on."""
        if self._ending:
            await asyncio.wait(self._ending)
        async with self._lock:
            self._kill()
            await self._drop(told=False)

    async def _start(
        self, job: frames.Job, environment: dict[str, str], errors: BinaryIO
    ) -> Reader:
        order = Order(job=job, environment=environment)
        pid, pipe = await self._ordered(order, errors)
        output = asyncio.StreamReader(limit=2**20)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), pipe
        )
        return Reader(pid, output, transport)

    async def _ordered(self, order: Order, errors: BinaryIO) -> tuple[int, BinaryIO]:
        """Return the process id of a new reader, and the pipe it writes to.

        Raises:
            OSError: there is no room for one.
        """
        async with self._lock:
            # It may just have ended for want of work, or been killed. Where it ends again, it may
            # be what it loads: then the reader has to load it, and tells what is wrong with it.
            for warm in (True, True, False):
                receiving, sending = os.pipe()
                with contextlib.ExitStack() as opened:
                    # One that was started and not told of may be writing: each has its own.
                    pipe = opened.enter_context(os.fdopen(receiving, "rb", buffering=0))
                    with os.fdopen(sending, "wb", buffering=0):
                        files = [sending, errors.fileno()]
                        answer = await self._ask(msgspec.structs.replace(order, warm=warm), files)
                    if answer is None:
                        await self._drop()
                    elif answer.errno:
                        raise OSError(answer.errno, os.strerror(answer.errno))
                    else:
                        opened.pop_all()
                        return answer.pid, pipe
        raise OSError(errno.ECHILD, "the process that readers are forked from ends by itself")

    async def _ask(self, order: Order, files: list[int]) -> Answer | None:
        """Return the answer to an order, None where the process ended, or hung, over it."""
        loop = asyncio.get_running_loop()
        control = self._control or await self._open(order.environment)
        try:
            socket.send_fds(control, [msgspec.json.encode(order)], files)
            async with asyncio.timeout(_ANSWER_S):
                message = await loop.sock_recv(control, MAX_ORDER)
        except ConnectionError:
            return None
        except TimeoutError:
            self._kill()
            return None
        except BaseException:
            # Its answer may still come: nobody may take it for that to the next order.
            self._kill()
            control.close()
            self._control = None
            raise
        return msgspec.json.decode(message, type=Answer) if message else None

    async def _open(self, environment: dict[str, str]) -> socket.socket:
        """Start the process."""
        own, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with others:
            try:
                self._zygote = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", _MODULE, str(os.getpid()), str(self._idle_s)),
                    stdin=others.fileno(),
                    cwd=_ROOT,
                    env=environment,
                    start_new_session=True,
                )
            except BaseException:
                own.close()
                raise
        own.setblocking(False)
        self._control = own
        return own

    def _kill(self) -> None:
        # Process.kill would first look whether it has ended, and take its exit code from asyncio.
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def _drop(self, *, told: bool = True) -> None:
        """Let go of the process, which ends by that if it has not yet; tell how."""
        if self._control:
            self._control.close()
            self._control = None
        if self._zygote:
            code = await self._zygote.wait()
            self._zygote = None
            if code and told:
                how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
                log.warning("the process that readers are forked from %s; another is started", how)
