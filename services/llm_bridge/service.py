"""The bridge's door: requests for answers in, pieces of answers out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import ClassVar

from schemas.channels import GENERATE, LIST_MODELS, URGE, USE_MODEL
from schemas.generation import Generate, Piece, Urge, Urged
from services.llm_bridge.llama import LlamaServer
from services.llm_bridge.model import Model
from services.llm_bridge.queue import SlotQueue
from services.llm_bridge.rack import Rack
from services.llm_bridge.switching import Exchange
from services.runtime.config import Bridge, Config
from services.runtime.errors import AndonError, Unavailable
from services.runtime.process import Context

_CHECK_EVERY_S = 3.0
_FIRST_CHECK_S = 1.0
"""How long the start waits for the model's server."""
_WAITING = 64
"""Requests that may wait for a slot."""
_FINISH_S = 120.0
"""How long a change of model waits for the answers that were begun."""
_ALONE = "answers come from the passages alone"


class LlmBridgeService:
    """One door to the language model.

    In:  llm_bridge/generate, answered with a stream of `Piece`; llm_bridge/urge;
         llm_bridge/models; llm_bridge/use, answered with a stream of `UseStep`.
    Asks: llama-server, by HTTP.

    With no model configured it is `ready` and refuses every request at once, fact `model` empty
    and `note` saying why. With one that cannot be reached it is `degraded`.
    """

    name: ClassVar[str] = "llm_bridge"
    keeps_session: ClassVar[bool] = False

    def __init__(self, config: Config, *, check_every_s: float = _CHECK_EVERY_S) -> None:
        self._config = config
        self._check_every_s = check_every_s
        self._settings = config.llm_bridge
        self._llama = LlamaServer(self._settings) if self._settings.url else None
        self._queue = SlotQueue(self._settings.slots, waiting=_WAITING, changed=self._count)
        self._exchange: Exchange | None = None
        self._model: Model | None = None
        self._trouble: AndonError | None = None
        self._checked = asyncio.Event()
        self._asked: dict[str, asyncio.Task[object] | None] = {}

    async def start(self, context: Context) -> None:
        """Look for the model's server, then take requests."""
        self._health = context.health
        self._stopping = context.stopping
        if self._llama is not None:
            self._exchange = Exchange(
                self._settings,
                self._config.data_dir,
                self._llama,
                paused=lambda: self._queue.paused(_FINISH_S),
                probe=partial(self._probe, self._llama),
            )
        rack = Rack(self._config, self._exchange, self._health)
        context.spawn(rack.run(), "watch the models' folders")
        if self._exchange is None:
            self._note("")
            self._health.facts["note"] = f"no language model is configured: {_ALONE}"
        else:
            self._note("")
            context.spawn(self._watch(self._exchange, rack), "watch the model")
            try:
                async with asyncio.timeout(_FIRST_CHECK_S):
                    await self._checked.wait()
            except TimeoutError:  # it may come later; we are ready without it
                self._health.trouble("model", f"the model's server does not answer: {_ALONE}")
        # More than the queue holds, so that what is too much is refused and not left waiting.
        at_once = _WAITING + self._settings.slots + 8
        await context.server.serve(GENERATE, self.generate, at_once=at_once)
        await context.server.serve(URGE, self.urge)
        await context.server.serve(LIST_MODELS, rack.list)
        await context.server.serve(USE_MODEL, rack.use)

    async def drain(self) -> None:
        """Nothing is left to finish: the requests in flight were answered before."""

    async def close(self) -> None:
        """Close the connections."""
        if self._exchange is not None:
            await self._exchange.close()
        if self._llama is not None:
            await self._llama.close()

    async def generate(self, request: Generate) -> AsyncGenerator[Piece, None]:
        """Yield the answer while it is written; the last piece is `Generated`.

        Closing it early, as the deadline does, stops the server's work.

        Raises:
            Unavailable: no model is configured, or its server is away.
            Retryable, Rejected: as `Model.write`.
        """
        if self._llama is None:
            raise Unavailable(
                "generate",
                "no language model is configured",
                f"set llm_bridge.url; until then {_ALONE}",
            )
        self._asked[request.id] = task = asyncio.current_task()
        try:
            await self._checked.wait()
            async with self._queue.slot(request.priority, request.id):
                if self._stopping.is_set():
                    raise Unavailable("generate", "the bridge is stopping", "ask again in a moment")
                # A server known to be away is not waited for again by every fault.
                if self._trouble is not None or self._model is None:
                    raise self._trouble or Unavailable("generate", "the model is not known yet")
                async with aclosing(self._model.write(request)) as pieces:
                    async for piece in pieces:
                        yield piece
        finally:
            if self._asked.get(request.id) is task:
                del self._asked[request.id]

    async def urge(self, request: Urge) -> Urged:
        """Let a request that waits be more urgent, or end one that nobody wants any more."""
        task = self._asked.get(request.id)
        if task is None:
            return Urged(known=False)
        if request.priority is None:
            task.cancel()
        else:
            self._queue.urge(request.id, request.priority)
        return Urged(known=True)

    async def _watch(self, exchange: Exchange, rack: Rack) -> None:
        """Ask the server how it is, again and again."""
        while True:
            async with exchange.at_rest:
                try:
                    await exchange.look()
                except AndonError as error:
                    self._trouble = error
                    self._health.trouble("model", f"{error}: {_ALONE}")
                    self._note("")
                self._checked.set()
            await rack.check()
            await asyncio.sleep(self._check_every_s)

    async def _probe(self, llama: LlamaServer, settings: Bridge) -> int:
        """Have requests go to what the server runs now; return its context, tokens."""
        model = await Model.probe(settings, llama)
        self._trouble = None
        if not model.same_as(self._model):
            self._model = model
            self._queue.resize(min(self._settings.slots, model.props.slots))
        self._note(model.props.model)
        self._health.well("model")
        return model.props.context

    def _note(self, name: str) -> None:
        """Say what the model is; empty where there is none now."""
        facts = self._health.facts
        if facts.get("model") != name:
            self._health.changed.set()
        facts["model"] = name
        facts["reachable"] = bool(name)
        if self._model is not None:
            facts["context"] = self._model.props.context
        self._count()

    def _count(self) -> None:
        facts, queue = self._health.facts, self._queue
        facts.update(slots=queue.slots, queued=queue.depth, in_flight=queue.in_flight)
