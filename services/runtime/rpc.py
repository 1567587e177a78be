"""Requests between services, typed: what the registry declares is what goes over the bus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import msgspec

from schemas.channel import Rpc
from schemas.channels import REPLY, STATUS
from schemas.health import ServiceStatus
from services.runtime.bus import Bus
from services.runtime.errors import AndonError, DeadlineExceeded, Rejected, Retryable
from services.runtime.messages import Delivery, Inbox

log = logging.getLogger(__name__)

Handler = Callable[[Any], Awaitable[Any]]
StreamHandler = Callable[[Any], AsyncIterator[Any]]

deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
"""When the request that is being answered is over, in the loop's time."""

_encode = msgspec.msgpack.Encoder().encode
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def client_id(prefix: str, service: str) -> str:
    """Return a service's name at the broker."""
    return f"{prefix.replace('/', '-')}-{service}"


def _decode(payload: bytes, kind: Any) -> Any:
    if kind not in _decoders:
        _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return _decoders[kind].decode(payload)


class Caller:
    """The asking side."""

    def __init__(self, bus: Bus, prefix: str) -> None:
        self._bus = bus
        self._prefix = prefix

    async def call(self, rpc: Rpc, request: Any, *, deadline_s: float) -> Any:
        """Ask and wait for the reply.

        Args:
            rpc: what is asked.
            request: an `rpc.request`.
            deadline_s: how long the reply may take, seconds.

        Raises:
            Unavailable: nobody answers this request now.
            DeadlineExceeded: no reply in time.
            Retryable, Rejected, Fatal: what the other side said.
        """
        payload = await self._bus.request(
            rpc.topic(self._prefix), _encode(request), deadline_s=deadline_s
        )
        return _decode(payload, rpc.reply)

    async def pages(
        self, rpc: Rpc, request: Any, *, deadline_s: float
    ) -> AsyncGenerator[Any, None]:
        """Ask for one page after the other, and yield each; raises as `call` does.

        Args:
            rpc: what is asked; its request has `after`, its reply `next`.
            request: an `rpc.request`.
            deadline_s: how long each may take, seconds.
        """
        while True:
            page = await self.call(rpc, request, deadline_s=deadline_s)
            yield page
            if not page.next:
                return
            request = msgspec.structs.replace(request, after=page.next)

    async def stream(
        self, rpc: Rpc, request: Any, *, deadline_s: float
    ) -> AsyncGenerator[Any, None]:
        """Ask and yield each piece of a streamed reply; raises as `call` does."""
        pieces = self._bus.stream(rpc.topic(self._prefix), _encode(request), deadline_s=deadline_s)
        try:
            async for payload in pieces:
                if payload:
                    yield _decode(payload, rpc.reply)
        finally:
            await pieces.aclose()

    async def watch(self, gone: Callable[[str], None] = lambda _: None) -> None:
        """Have nobody wait for the reply of a service that has ended; forever.

        Args:
            gone: told the name of each that ends.
        """
        inbox = await self._bus.consume(STATUS.filter(self._prefix), qos=0)
        while True:
            delivery = await inbox.get()
            with contextlib.suppress(msgspec.DecodeError):  # anybody's message
                status: ServiceStatus = STATUS.decode(delivery.payload)
                if status.state == "offline" and not delivery.retain:
                    self._bus.give_up(f"{self._prefix}/rpc/{status.service}/")
                    gone(status.service)


class Server:
    """The answering side: each request is a task of its own, bounded in number."""

    def __init__(self, bus: Bus, prefix: str, tasks: asyncio.TaskGroup) -> None:
        self._bus = bus
        self._prefix = prefix
        self._tasks = tasks
        self._working: set[asyncio.Task[None]] = set()
        self._streaming: dict[asyncio.Task[None], str | None] = {}
        """Tasks that stream a reply, and the topic it goes to."""
        self._inboxes: list[Inbox] = []
        self._held = 0
        """Requests that wait until fewer are worked on."""
        self.asked_at = 0.0
        """When the last request came, in the loop's time."""

    async def serve(self, rpc: Rpc, handler: Handler | StreamHandler, *, at_once: int = 32) -> None:
        """Answer requests with `handler` from now on.

        Args:
            rpc: what is answered.
            handler: takes an `rpc.request`; returns an `rpc.reply`, or yields them if streamed.
            at_once: requests worked on at the same time; more wait their turn.
        """
        queue = await self._bus.consume(rpc.topic(self._prefix))
        self._inboxes.append(queue)
        gate = asyncio.Semaphore(at_once)

        async def loop() -> None:
            while True:
                delivery = await queue.get()
                # Acked at once: the asker repeats what gets no reply, so a request need not
                # outlive us.
                self._bus.ack(delivery)
                expiry_s = delivery.properties.expiry_s
                self.asked_at = now = asyncio.get_running_loop().time()
                until = None if expiry_s is None else now + expiry_s
                self._held += 1
                await gate.acquire()
                self._held -= 1
                task = self._tasks.create_task(
                    self._answer(rpc, handler, delivery, gate, until), name=f"rpc {rpc.name}"
                )
                self._working.add(task)
                task.add_done_callback(self._working.discard)
                if rpc.streamed:
                    self._streaming[task] = delivery.properties.response_topic
                    task.add_done_callback(lambda done: self._streaming.pop(done, None))

        self._tasks.create_task(loop(), name=f"serve {rpc.name}")

    @property
    def busy(self) -> bool:
        """Return whether there are requests without a reply."""
        return bool(self._working or self._held or any(map(len, self._inboxes)))

    def forget(self, service: str) -> None:
        """End the streams for a service that has ended: nobody reads them any more.

        Other requests are worked on: what they change is to be whole.
        """
        topic = REPLY.topic(self._prefix, client_id=client_id(self._prefix, service))
        for task in [one for one, reply in self._streaming.items() if reply == topic]:
            task.cancel()

    def leave(self) -> None:
        """Take no more requests: who asks from now on is told at once that nobody serves it."""
        for inbox in self._inboxes:
            self._bus.unsubscribe(inbox)

    async def drain(self) -> None:
        """Take no more requests, and wait until every one that came has its reply.

        One without would be waited for until its deadline, long after the next process is there.
        """
        self.leave()
        await asyncio.sleep(0)  # inside one process a message takes a turn of the loop
        while self.busy:
            if self._working:
                await asyncio.wait(self._working)
            await asyncio.sleep(0)  # the next ones have their turn

    async def _answer(
        self,
        rpc: Rpc,
        handler: Any,
        delivery: Delivery,
        gate: asyncio.Semaphore,
        until: float | None,
    ) -> None:
        """Answer one request until its deadline, in the loop's time."""
        if until is not None:
            deadline.set(until)
        try:
            async with asyncio.timeout_at(until):
                request = _decode(delivery.payload, rpc.request)
                if rpc.streamed:
                    await self._stream(handler(request), delivery)
                else:
                    await self._bus.reply(delivery, _encode(await handler(request)))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            await self._refuse(rpc, delivery, Rejected(rpc.name, str(error)))
        except TimeoutError:
            await self._refuse(rpc, delivery, DeadlineExceeded(rpc.name, "the deadline is over"))
        except AndonError as error:
            await self._refuse(rpc, delivery, error)
        except Exception as error:
            # One request must not end the service; the asker is told and the log has it all.
            log.exception("%s failed", rpc.name)
            reason = f"{type(error).__name__}: {error}"
            await self._refuse(rpc, delivery, Retryable(rpc.name, reason))
        finally:
            gate.release()

    async def _stream(self, pieces: AsyncIterator[Any], delivery: Delivery) -> None:
        """Send each piece as it comes; an empty reply ends the stream."""
        try:
            async for piece in pieces:
                await self._bus.reply(delivery, _encode(piece), more=True)
            await self._bus.reply(delivery, b"")
        finally:
            # An async generator left early runs its cleanup only when it is closed.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    async def _refuse(self, rpc: Rpc, delivery: Delivery, error: AndonError) -> None:
        log.info("%s: %s", rpc.name, error)
        try:
            await self._bus.reply_error(delivery, error)
        except (Retryable, Rejected) as lost:
            log.warning("%s: the reply could not be sent: %s", rpc.name, lost)
