"""The bridge's door: requests for answers in, pieces of answers out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import ClassVar

from schemas.channels import GENERATE, LIST_MODELS, URGE, USE_MODEL
from schemas.generation import Generate, Piece, Urge, Urged
from services.llm_bridge.breaker import Breaker
from services.llm_bridge.llama import LlamaServer
from services.llm_bridge.model import Model
from services.llm_bridge.queue import SlotQueue
from services.llm_bridge.rack import Rack
from services.llm_bridge.switching import Exchange
from services.llm_bridge.writing import Writing, refused
from services.runtime.config import Bridge, Config
from services.runtime.errors import AndonError, Unavailable
from services.runtime.process import Context
from services.runtime.rpc import deadline

_CHECK_EVERY_S = 3.0
_FIRST_CHECK_S = 1.0
"""How long the start waits for the model's server."""
_TELL_EVERY_S = 1.0
"""How old the figures of the queue in the status may be."""
_WAITING = 256
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
        self._queue: SlotQueue[Generate] = SlotQueue(
            self._settings.slots,
            waiting=_WAITING,
            ageing_s=self._settings.ageing_s,
            cut_off=self._settings.cut_off,
            changed=self._count,
        )
        self._queue.choose = self._choose
        self._breaker = Breaker()
        self._exchange: Exchange | None = None
        self._model: Model | None = None
        self._trouble: AndonError | None = None
        self._checked = asyncio.Event()
        self._asked: dict[str, tuple[asyncio.Task[object] | None, Writing]] = {}

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
            context.spawn(self._tell(), "figures of the queue")
            context.spawn(self._let_go(), "let go at the stop")
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
        writing = Writing(
            request,
            self._queue,
            self._breaker,
            self._write,
            check=self._check,
            until=deadline.get(),
        )
        self._asked[request.id] = asked = (asyncio.current_task(), writing)
        try:
            await self._checked.wait()
            if not self._breaker.admits(asyncio.get_running_loop().time()):
                raise refused(self._breaker)
            async with aclosing(writing.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            if self._asked.get(request.id) is asked:
                del self._asked[request.id]
            self._judge()

    def _check(self) -> None:
        """Raise where the model cannot be asked now."""
        if self._stopping.is_set():
            raise _stops()
        # A server known to be away is not waited for again by every fault.
        if self._trouble is not None or self._model is None:
            raise self._trouble or Unavailable("generate", "the model is not known yet")

    def _choose(self, free: Sequence[int], request: Generate) -> int:
        return free[0] if self._model is None else self._model.choose(free, request)

    def _write(self, request: Generate, slot: int) -> AsyncGenerator[Piece, None]:
        if self._model is None:
            raise Unavailable("generate", "the model is not known yet")
        return self._model.write(request, slot)

    async def urge(self, request: Urge) -> Urged:
        """Let a request that waits be more urgent, or end one that nobody wants any more."""
        if (asked := self._asked.get(request.id)) is None:
            return Urged(known=False)
        task, writing = asked
        if request.priority is not None:
            writing.urge(request.priority)
        elif task is not None:
            task.cancel()
        return Urged(known=True)

    async def _let_go(self) -> None:
        """When we are to end, let those end that were begun and that somebody waits for."""
        await self._stopping.wait()
        self._queue.turn_away(_stops())
        self._queue.cut_background()

    async def _watch(self, exchange: Exchange, rack: Rack) -> None:
        """Ask the server how it is, again and again."""
        while True:
            async with exchange.at_rest:
                try:
                    await exchange.look()
                except AndonError as error:
                    self._trouble = error
                    self._health.trouble("model", f"{error}: {_ALONE}")
                    self._health.facts.update(unreachable=error.reason, mend=error.hint)
                    self._note("")
                self._checked.set()
            await rack.check()
            await asyncio.sleep(self._check_every_s)

    async def _probe(self, llama: LlamaServer, settings: Bridge) -> int:
        """Have requests go to what the server runs now; return its context, tokens."""
        model = await Model.probe(settings, llama)
        if self._trouble is not None:
            self._breaker.restarted(asyncio.get_running_loop().time())
        self._trouble = None
        for name in ("unreachable", "mend"):
            self._health.facts.pop(name, None)
        if not model.same_as(self._model):
            self._model = model
            self._queue.resize(min(self._settings.slots, model.props.slots))
        self._note(model.props.model)
        self._health.well("model")
        return model.props.context

    def _note(self, name: str) -> None:
        """Say what the model is; empty where there is none now."""
        facts = self._health.facts
        identity = self._model.told.identity if name and self._model else ""
        if (facts.get("model"), facts.get("identity")) != (name, identity):
            self._health.changed.set()
        facts["model"] = name
        facts["identity"] = identity
        facts["reachable"] = bool(name)
        if self._model is not None:
            facts["context"] = self._model.props.context
        self._count()

    async def _tell(self) -> None:
        """Keep the figures that change with time."""
        while True:
            self._judge()
            self._count()
            await asyncio.sleep(_TELL_EVERY_S)

    def _judge(self) -> None:
        """Say how the breaker is; while it is open nobody has to wait to be told so."""
        now = asyncio.get_running_loop().time()
        state = self._breaker.state(now)
        self._health.facts["breaker"] = state
        if state == "open":
            self._queue.turn_away(refused(self._breaker))
            self._health.trouble("breaker", f"{refused(self._breaker)}: {_ALONE}")
        else:
            self._health.well("breaker")

    def _count(self) -> None:
        self._health.facts.update(self._queue.facts)
        if self._model is not None:
            self._health.facts.update(self._model.facts)


def _stops() -> Unavailable:
    return Unavailable("generate", "the bridge is stopping", "ask again in a moment")
