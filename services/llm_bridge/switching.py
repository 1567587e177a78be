"""Changing the model: what was begun finishes, then the new one is loaded, or the old one stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from schemas.models import Choice, Chosen, Running, Switched, Switching, UseStep
from services.llm_bridge import errors
from services.llm_bridge.errors import NotOffered
from services.llm_bridge.files import name_of
from services.llm_bridge.llama import LlamaServer
from services.llm_bridge.router import Routed, Router
from services.runtime import choice
from services.runtime.clock import now
from services.runtime.config import Bridge
from services.runtime.errors import (
    AndonError,
    DeadlineExceeded,
    Rejected,
    Retryable,
    Unavailable,
)

log = logging.getLogger(__name__)

Tell = Callable[[Switching], None]
Paused = Callable[[], AbstractAsyncContextManager[None]]
"""Lets the answers that were begun end, and holds the others for the block."""

_LOOK_S = 0.1
_UNLOAD_S = 30.0
_AGAIN_S = 30.0
"""A router's model that failed is loaded again after so long."""
_USE = "use the model"
_ANOTHER = "`andon model list` shows which there are, `andon model use` takes one"


class Exchange:
    """Knows which model is to run, and has another one run in its place.

    Two ways: a router loads and unloads by request. Any other server is started anew, by whoever
    follows `<data>/model/current.json`, as `andon up --model` does.
    """

    def __init__(
        self,
        settings: Bridge,
        data: Path,
        llama: LlamaServer,
        *,
        paused: Paused,
        probe: Callable[[Bridge], Awaitable[int]],
    ) -> None:
        """Take up the choice that stands.

        Args:
            settings: the bridge's.
            data: the data folder.
            llama: the client whose requests are to go to the model.
            paused: holds requests.
            probe: asks the server what it runs, has requests go to that and returns its context,
                tokens; raises as `LlamaServer`.
        """
        self._settings = settings
        self._data = data
        self._llama = llama
        self._router = Router(settings)
        self._routes: bool | None = None
        """Whether the server is a router; None while that is not known."""
        self._paused = paused
        self._probe = probe
        self.changed: Callable[[], None] = lambda: None
        """Called when `switching` changes."""
        self.may: Callable[[Routed], bool] = lambda _: True
        """Whether a router's model may be used that nobody chose."""
        self._chosen = choice.read(data, Chosen)
        self._ours = False
        self._loaded_at = -_AGAIN_S
        self._task: asyncio.Task[Switched] | None = None
        self.switching = ""
        """Path of the model that is being changed to; empty most of the time."""
        self.failed: dict[str, str] = {}
        """Why a model could not be loaded the last time, by its path."""
        self.at_rest = asyncio.Lock()
        """Held while the model changes."""

    async def close(self) -> None:
        """End a change that is under way, the next start takes it up again; let go."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._router.close()

    @property
    def current(self) -> Choice | None:
        """The model in use, None where that is not ours to say."""
        return self._chosen.now if self._chosen and self._ours else None

    @property
    def settings(self) -> Bridge:
        """The bridge's settings, for the model in use."""
        if not self._ours:
            return self._settings
        return msgspec.structs.replace(self._settings, model=self._llama.routed)

    async def look(self) -> None:
        """See to it that the server runs what was chosen, where it is ours to say, and probe it.

        Raises:
            Rejected: a change that was under way at the last stop came to nothing.
            Retryable: the model is being loaded, or could not be; or as `LlamaServer`.
        """
        try:
            await self._ask()
            if self._ours and self._chosen and (before := self._chosen.before):
                await self._swap(self._chosen.now, before, lambda step: log.info("%s", step.text))
                return
            if self._routes:
                await self._route()
            elif self._ours:
                self._follow()
            await self._probe(self.settings)
        except (Unavailable, NotOffered):
            self._routes = None  # another kind of server may come in its place
            raise

    async def can_switch(self) -> None:
        """Return where the model can be changed.

        Raises:
            Rejected: nobody would follow.
            Retryable: as `LlamaServer`.
        """
        await self._ask()
        if not self._ours:
            raise Rejected(
                _USE,
                f"the server at {self._settings.url} has one model and is not ours to restart",
                "start it without a model and with --models-dir, or have `andon up --model` run it",
            )

    def uses(self, path: str) -> bool:
        """Return whether the model of a file is the one in use."""
        used = self.current
        return used is not None and (path == used.path or path.endswith(f"/{used.path}"))

    @property
    def replaced(self) -> str:
        """What to do where the file of the model in use is another one now; empty: it is not."""
        if not self._llama.replaced:
            return ""
        name = name_of(self.current.path) if self.current else ""
        do = f"run `andon model use {name}`" if name else "start its server again"
        return f"replaced since it was loaded: {do}"

    async def routed(self, path: str) -> Routed | None:
        """Return how a router knows a model; None where the server is none.

        A file that it does not know may have come since: it looks again when nobody is answered,
        as it then ends models whose files are gone.
        """
        if not self._routes:
            return None
        models = await self._router.models()
        some = [model for model in models if model.is_of(path)] or models
        return some[0] if some else Routed(id="", path=path, state="unloaded")

    async def to(self, chosen: Choice) -> AsyncGenerator[UseStep, None]:
        """Change to a model, telling how far that is; it goes on when nobody listens any more.

        Raises:
            Rejected: the model could not be loaded, the one before answers again; or a change is
                under way.
        """
        if self.switching:
            reason = f"{name_of(self.switching)} is being loaded already"
            raise Rejected(_USE, reason, "wait for it")
        steps: asyncio.Queue[Switching | None] = asyncio.Queue()
        self.switching = chosen.path
        self.changed()
        self._task = asyncio.create_task(
            self._change(chosen, steps.put_nowait), name="change model"
        )

        def ended(task: asyncio.Task[Switched]) -> None:
            steps.put_nowait(None)
            if not task.cancelled():
                task.exception()  # it was logged; the asker may have left

        self._task.add_done_callback(ended)
        while step := await steps.get():
            yield step
        yield await self._task

    async def _ask(self) -> None:
        """Find out how the model can be changed."""
        # Who follows a choice runs no router; its server need not be up to be asked.
        said = choice.read(self._data, Running)
        follows = said is not None
        self._llama.began_with = said.file if said else ""
        if follows:
            self._routes = False
        elif self._routes is None:
            self._routes = await self._router.is_one()
        self._ours = follows or self._routes

    async def _change(self, chosen: Choice, tell: Tell) -> Switched:
        begun = asyncio.get_running_loop().time()
        try:
            tell(Switching(step="finishing", text="answers that were begun are finished"))
            async with self._paused(), self.at_rest:
                await self._ask()  # the server may have gone, and been forgotten, meanwhile
                context = await self._swap(chosen, self.current, tell)
        except AndonError as error:
            log.warning("%s", error)
            raise
        finally:
            self.switching = ""
            self.changed()
        seconds = round(asyncio.get_running_loop().time() - begun, 1)
        return Switched(model=name_of(chosen.path), context=context, seconds=seconds)

    async def _swap(self, chosen: Choice, before: Choice | None, tell: Tell) -> int:
        """Have a model run in place of another; return its context, tokens."""
        name = name_of(chosen.path)
        tell(Switching(step="loading", text=f"{name} is being loaded"))
        try:
            await self._run(chosen, before)
            context = await self._probe(self.settings)
        except AndonError as error:
            self.failed[chosen.path] = error.reason
            if before is None:
                choice.remove(self._data, Chosen)
                self._chosen = None  # as at the next start: it is not tried for ever
                raise Rejected(_USE, f"{name}: {error.reason}", "use another one") from error
            tell(Switching(step="returning", text=f"{name}: {error.reason}"))
            await self._run(before)
            await self._probe(self.settings)
            stays = f"{name_of(before.path)} answers as before"
            raise Rejected(_USE, f"{name}: {error.reason}", stays) from error
        self.failed.pop(chosen.path, None)
        self._choose(chosen)
        return context

    async def _run(self, chosen: Choice, before: Choice | None = None) -> None:
        """Have a model run, whatever runs now; return when it can be asked.

        Args:
            chosen: the model.
            before: the one to go back to while this one is on trial.

        Raises:
            Rejected: it failed.
            Retryable: it is not ready in time, or as `LlamaServer`.
        """
        within_s = self._settings.load_within_s
        if self._routes:
            self._choose(chosen, before)
            model = await self._router.find(chosen.path)
            # One whose file was replaced has to be read again.
            stays = [] if self._llama.replaced else [model.id]
            self._llama.loads_anew()
            await self._router.unloaded(stays, _UNLOAD_S)
            await self._router.loaded(model.id, within_s)
            self._llama.route(model.id)
            return
        self._choose(chosen, before)
        try:
            async with asyncio.timeout(within_s):
                while (said := choice.read(self._data, Running)) is None or not (
                    said.since == chosen.since and said.state == "ready"
                ):
                    if said and said.since == chosen.since and said.state == "failed":
                        raise Rejected(_USE, said.reason)
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            reason = f"it is not ready after {within_s:g} s"
            raise DeadlineExceeded(_USE, reason, "raise llm_bridge.load_within_s") from None

    def _choose(self, now: Choice, before: Choice | None = None) -> None:
        chosen = Chosen(now=now, before=before)
        choice.write(self._data, chosen)
        self._chosen = chosen

    def _follow(self) -> None:
        """See what became of the choice that stands.

        Raises:
            Retryable: its server failed, or is not ready yet.
        """
        said = choice.read(self._data, Running)
        if said and said.state == "failed":
            raise Retryable(_USE, said.reason, _ANOTHER)
        if said and said.state == "starting":
            raise errors.loading()

    async def _route(self) -> None:
        """Have requests go to the chosen model of a router, loaded if need be."""
        model = self._pick([m for m in await self._router.models() if self.may(m)])
        clock = asyncio.get_running_loop().time
        if model.state == "unloaded":
            # Where it fails it would fail again at once, and loading takes what the box has.
            if model.failed and clock() - self._loaded_at < _AGAIN_S:
                raise Retryable(_USE, f"{model.id}: its server {model.failed}", _ANOTHER)
            self._loaded_at = clock()
            await self._router.load(model.id)
        if model.state != "loaded":
            raise errors.loading()
        self._llama.route(model.id)
        if self._chosen is None or not model.is_of(self._chosen.now.path):
            self._choose(Choice(path=model.path, context=0, slots=0, since=now()))

    def _pick(self, models: list[Routed]) -> Routed:
        """Return the model to use of those a router has."""
        chosen = self._chosen
        named = [m for m in models if chosen and m.is_of(chosen.now.path)]
        wished = [m for m in models if m.id == self._settings.model]
        loaded = [m for m in models if m.state != "unloaded"]
        for some in (named, wished, loaded, models):
            if len(some) == 1 or (some and some is loaded):
                return some[0]
        which = "several models" if models else "no model that may be used"
        reason = f"the router has {which}"
        raise Retryable(_USE, reason, _ANOTHER)
